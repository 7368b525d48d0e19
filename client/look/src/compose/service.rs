//! A Compose service, read leniently, with its paths seen from the project's root.

use super::path::{self, Place};
use crate::yaml::Yaml;
use std::collections::BTreeMap;

/// What matters of a service. What a file does not say is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    pub image: Option<String>,
    pub build: Option<Build>,
    pub ports: Vec<Port>,
    pub mounts: Vec<Mount>,
    pub environment: BTreeMap<String, Option<String>>,
    pub env_files: Vec<Place>,
    pub depends_on: Vec<String>,
    /// The health check's words; `None` where there is none, empty where it is switched off.
    pub health: Option<Vec<String>>,
    pub command: Option<Vec<String>>,
    pub profiles: Vec<String>,
    /// Whether another service is what this one starts from.
    pub extends: Option<Extends>,
}

/// `extends`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extends {
    pub file: Option<Place>,
    pub service: String,
}

/// `build`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Build {
    pub context: Option<Place>,
    pub dockerfile: Option<String>,
    pub target: Option<String>,
    pub args: BTreeMap<String, Option<String>>,
    /// Whether it copies from other places than its context, too.
    pub more_contexts: bool,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The address on the host that it is bound to; `None` for all.
    pub address: Option<String>,
    /// `None` where Docker chooses.
    pub published: Option<u16>,
    pub target: u16,
    pub udp: bool,
}

/// What a container mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub source: Source,
    pub target: String,
    pub read_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Volume(String),
    /// A volume without a name.
    Anonymous,
    Bind(Place),
}

impl Service {
    /// Reads a service of a file whose relative paths start at `folder`. Its variables are replaced already.
    pub fn read(yaml: &Yaml, folder: &str) -> Self {
        let at = |key: &str| yaml.get(key).filter(|value| **value != Yaml::Null);
        Self {
            image: yaml.text_at("image").filter(|image| !image.is_empty()).map(str::to_owned),
            build: at("build").map(|build| read_build(build, folder)),
            ports: at("ports").into_iter().flat_map(|ports| ports.items()).filter_map(read_port).collect(),
            mounts: at("volumes")
                .into_iter()
                .flat_map(Yaml::items)
                .filter_map(|m| read_mount(m, folder))
                .collect(),
            environment: at("environment").map(read_variables).unwrap_or_default(),
            env_files: at("env_file").map(|files| read_env_files(files, folder)).unwrap_or_default(),
            depends_on: at("depends_on").map(names).unwrap_or_default(),
            health: at("healthcheck").map(read_health),
            command: at("command").or_else(|| at("entrypoint")).map(words),
            profiles: at("profiles").map(|list| owned(&list.texts())).unwrap_or_default(),
            extends: at("extends").and_then(|extends| read_extends(extends, folder)),
        }
    }

    /// This service with `over` laid over it, as Compose merges files.
    #[must_use]
    pub fn under(mut self, over: Self) -> Self {
        self.build = match (self.build, over.build) {
            (Some(below), Some(above)) => Some(below.under(above)),
            (below, above) => above.or(below),
        };
        self.image = over.image.or(self.image);
        self.health = over.health.or(self.health);
        self.command = over.command.or(self.command);
        self.ports.extend(over.ports);
        self.mounts.retain(|mount| !over.mounts.iter().any(|above| above.target == mount.target));
        self.mounts.extend(over.mounts);
        self.environment.extend(over.environment);
        self.env_files.extend(over.env_files);
        self.depends_on.extend(over.depends_on);
        if !over.profiles.is_empty() {
            self.profiles = over.profiles;
        }
        self
    }

    /// The Dockerfile's path, where it lies in the project.
    pub fn dockerfile(&self) -> Option<String> {
        let build = self.build.as_ref()?;
        let Some(Place::Inside(context)) = &build.context else { return None };
        match path::resolve(context, build.dockerfile.as_deref().unwrap_or("Dockerfile")) {
            Place::Inside(file) => Some(file),
            _ => None,
        }
    }

    /// The folder that is built, where it lies in the project.
    pub fn context(&self) -> Option<&str> {
        match self.build.as_ref()?.context.as_ref()? {
            Place::Inside(folder) => Some(folder),
            _ => None,
        }
    }
}

impl Build {
    fn under(mut self, over: Self) -> Self {
        self.args.extend(over.args);
        Self {
            context: over.context.or(self.context),
            dockerfile: over.dockerfile.or(self.dockerfile),
            target: over.target.or(self.target),
            args: self.args,
            more_contexts: over.more_contexts || self.more_contexts,
        }
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A list of names, or the keys of a mapping.
fn names(yaml: &Yaml) -> Vec<String> {
    match yaml {
        Yaml::Map(pairs) => pairs.iter().map(|(name, _)| name.clone()).collect(),
        _ => owned(&yaml.texts()),
    }
}

/// A command as a list, or as one text that a shell would split.
fn words(yaml: &Yaml) -> Vec<String> {
    match yaml {
        Yaml::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
        _ => owned(&yaml.texts()),
    }
}

fn read_build(yaml: &Yaml, folder: &str) -> Build {
    let context = yaml.text().or_else(|| yaml.text_at("context"));
    let url = context.is_some_and(|context| context.contains("://") || context.starts_with("git@"));
    // A file that only adds to a build leaves the context to the one below it.
    let default = yaml.get("dockerfile").is_some() && context.is_none();
    let context = context.or_else(|| default.then_some(".")).filter(|_| !url);
    Build {
        context: context.map(|context| path::resolve(folder, context)),
        dockerfile: yaml.text_at("dockerfile").map(str::to_owned),
        target: yaml.text_at("target").map(str::to_owned),
        args: yaml.get("args").map(read_variables).unwrap_or_default(),
        more_contexts: yaml.get("additional_contexts").is_some(),
    }
}

/// `{A: 1}` or `[A=1, B]`.
fn read_variables(yaml: &Yaml) -> BTreeMap<String, Option<String>> {
    let pair = |text: &str| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    };
    match yaml {
        Yaml::Map(pairs) => {
            pairs.iter().map(|(name, value)| (name.clone(), value.text().map(str::to_owned))).collect()
        }
        _ => yaml.texts().into_iter().map(pair).collect(),
    }
}

fn read_env_files(yaml: &Yaml, folder: &str) -> Vec<Place> {
    let required = |item: &&Yaml| item.text_at("required") != Some("false");
    let from_list =
        yaml.items().iter().filter(required).filter_map(|item| item.text().or_else(|| item.text_at("path")));
    yaml.text().into_iter().chain(from_list).map(|file| path::resolve(folder, file)).collect()
}

fn read_health(yaml: &Yaml) -> Vec<String> {
    if yaml.text_at("disable") == Some("true") {
        return Vec::new();
    }
    let test = yaml.get("test").map(words).unwrap_or_default();
    match test.split_first() {
        Some((first, rest)) if first == "CMD" || first == "CMD-SHELL" => {
            rest.iter().flat_map(|word| word.split_whitespace()).map(str::to_owned).collect()
        }
        Some((first, _)) if first == "NONE" => Vec::new(),
        _ => test,
    }
}

fn read_extends(yaml: &Yaml, folder: &str) -> Option<Extends> {
    let service = yaml.text().or_else(|| yaml.text_at("service"))?.to_owned();
    Some(Extends { file: yaml.text_at("file").map(|file| path::resolve(folder, file)), service })
}

/// `[ADDRESS:][PUBLISHED:]TARGET[/PROTOCOL]`, or the long form. Of a range the first counts.
fn read_port(yaml: &Yaml) -> Option<Port> {
    let first = |text: &str| text.split('-').next().and_then(|port| port.trim().parse::<u16>().ok());
    if let Some(target) = yaml.text_at("target") {
        return Some(Port {
            address: yaml.text_at("host_ip").map(str::to_owned),
            published: yaml.text_at("published").and_then(first),
            target: first(target)?,
            udp: yaml.text_at("protocol") == Some("udp"),
        });
    }
    let (text, protocol) = yaml.text()?.split_once('/').unwrap_or((yaml.text()?, "tcp"));
    let (rest, target) = match text.rsplit_once(':') {
        Some((rest, target)) => (Some(rest), target),
        None => (None, text),
    };
    let (address, published) = match rest.map(|rest| rest.rsplit_once(':').unwrap_or(("", rest))) {
        Some((address, published)) => (Some(address).filter(|a| !a.is_empty()), first(published)),
        None => (None, None),
    };
    Some(Port {
        address: address.map(|a| a.trim_matches(['[', ']']).to_owned()),
        published: published.filter(|port| *port > 0),
        target: first(target)?,
        udp: protocol == "udp",
    })
}

/// `[SOURCE:]TARGET[:OPTIONS]`, or the long form.
fn read_mount(yaml: &Yaml, folder: &str) -> Option<Mount> {
    if let Some(target) = yaml.text_at("target") {
        let source = yaml.text_at("source");
        let source = match (yaml.text_at("type"), source) {
            (Some("bind"), Some(source)) => Source::Bind(path::resolve(folder, source)),
            (Some("volume") | None, Some(source)) => Source::Volume(source.to_owned()),
            (Some("volume") | None, None) => Source::Anonymous,
            _ => return None,
        };
        return Some(Mount {
            source,
            target: target.to_owned(),
            read_only: yaml.text_at("read_only") == Some("true"),
        });
    }
    let text = yaml.text()?;
    // A drive's letter is no source of its own.
    let skip = if path::resolve("", text) == Place::Absolute(text.to_owned()) && !text.starts_with(['/', '~'])
    {
        2
    } else {
        0
    };
    let Some(colon) = text.get(skip..)?.find(':').map(|at| at + skip) else {
        return Some(Mount { source: Source::Anonymous, target: text.to_owned(), read_only: false });
    };
    let (source, rest) = (text.get(..colon)?, text.get(colon + 1..)?);
    let (target, options) = rest.split_once(':').unwrap_or((rest, ""));
    let is_path = source.starts_with(['.', '/', '~']) || skip > 0;
    let source =
        if is_path { Source::Bind(path::resolve(folder, source)) } else { Source::Volume(source.to_owned()) };
    let read_only = options.split(',').any(|option| option == "ro");
    Some(Mount { source, target: target.to_owned(), read_only })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(text: &str) -> Service {
        Service::read(&Yaml::read(text).unwrap(), "docker")
    }

    #[test]
    fn ports_in_every_form() {
        for (text, address, published, target) in [
            ("8080:80", None, Some(8080), 80),
            ("127.0.0.1:8080:80/tcp", Some("127.0.0.1"), Some(8080), 80),
            ("\"80\"", None, None, 80),
            ("'[::1]:8080:80'", Some("::1"), Some(8080), 80),
            ("9000-9001:80-81", None, Some(9000), 80),
            ("127.0.0.1::80", Some("127.0.0.1"), None, 80),
            ("{target: 80, published: \"8080\", host_ip: 10.0.0.1}", Some("10.0.0.1"), Some(8080), 80),
        ] {
            let found = service(&format!("ports:\n  - {text}\n")).ports;
            let port = found.first().unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                (port.address.as_deref(), port.published, port.target),
                (address, published, target),
                "{text}"
            );
        }
    }

    #[test]
    fn mounts_in_every_form() {
        let bind = |path: &str| Source::Bind(Place::Inside(path.to_owned()));
        for (text, source, target, read_only) in [
            ("data:/data", Source::Volume("data".into()), "/data", false),
            ("/data", Source::Anonymous, "/data", false),
            ("../up:/up:ro", bind("up"), "/up", true),
            ("./conf:/c:z,ro", bind("docker/conf"), "/c", true),
            ("/srv/x:/x", Source::Bind(Place::Absolute("/srv/x".into())), "/x", false),
            ("{type: bind, source: ./a, target: /a, read_only: true}", bind("docker/a"), "/a", true),
            ("{type: volume, source: v, target: /v}", Source::Volume("v".into()), "/v", false),
        ] {
            let found = service(&format!("volumes:\n  - {text}\n")).mounts;
            assert_eq!(found, [Mount { source, target: target.into(), read_only }], "{text}");
        }
        assert_eq!(service("volumes: [{type: tmpfs, target: /t}]").mounts, []);
    }

    #[test]
    fn health_checks_are_words() {
        for (text, expected) in [
            ("{test: [CMD, curl, -f, http://localhost/]}", &["curl", "-f", "http://localhost/"][..]),
            (
                "{test: [CMD-SHELL, \"curl -f http://localhost/ || exit 1\"]}",
                &["curl", "-f", "http://localhost/", "||", "exit", "1"],
            ),
            ("{test: curl http://localhost/}", &["curl", "http://localhost/"]),
            ("{test: [NONE]}", &[]),
            ("{disable: true}", &[]),
        ] {
            assert_eq!(service(&format!("healthcheck: {text}")).health.unwrap(), expected, "{text}");
        }
        assert_eq!(service("image: x").health, None);
    }

    #[test]
    fn an_override_adds_and_replaces() {
        let below =
            service("image: a\nbuild: {context: .., args: {A: 1}}\nports: [\"1:1\"]\nvolumes: [\"old:/d\"]");
        let above = service("image: b\nbuild: {args: [B=2]}\nports: [\"2:2\"]\nvolumes: [\"new:/d\"]");
        let merged = below.under(above);
        assert_eq!(merged.image.as_deref(), Some("b"));
        assert_eq!(merged.context(), Some(""));
        assert_eq!(merged.build.unwrap().args.len(), 2);
        assert_eq!((merged.ports.len(), merged.mounts.len()), (2, 1));
    }
}
