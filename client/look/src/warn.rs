//! What a person should mend, or know, before a ship.

use crate::{
    Findings,
    compose::{Model, Problem, Source, path::Place},
    copied::{self, NotCopied},
    facts::Facts,
    image,
};

/// A rule that a project breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    UnreadableCompose,
    SecretInProject,
    LatestTag,
    DatabaseWithoutVolume,
    AbsolutePath,
    UnsetBuildVariable,
    DataNotCopied,
}

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Warning {
    pub rule: Rule,
    /// What there is, in one sentence without a full stop.
    pub text: String,
    /// What to do about it.
    pub remedy: String,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.text, self.remedy)
    }
}

/// Everything that is seen to be wrong.
pub fn all(facts: &Facts, model: &Model, findings: &Findings) -> Vec<Warning> {
    let mut found: Vec<Warning> = model.problems.iter().map(unreadable).collect();
    found.extend(facts.left_out.iter().map(|left| Warning {
        rule: Rule::SecretInProject,
        text: format!("{left} lies in the project, and no ignore rule names it"),
        remedy: "Wharf does not ship it; add it to .gitignore, so that git does not keep it either".into(),
    }));
    for (name, service) in model.running(&findings.profiles) {
        found.extend(
            service.image.iter().filter(|_| service.build.is_none()).filter_map(|i| floating(name, i)),
        );
        if let Some(file) = service.dockerfile() {
            found.extend(
                bases(facts.text(&file).unwrap_or_default()).filter_map(|base| floating(&file, &base)),
            );
        }
        for mount in &service.mounts {
            if let Source::Bind(Place::Absolute(path)) = &mount.source
                && !is_of_the_system(path)
            {
                found.push(absolute(name, path));
            }
        }
    }
    let open = findings
        .databases
        .iter()
        .filter(|database| database.volume.is_none() && database.kind != image::Kind::Redis);
    found.extend(open.map(|database| Warning {
        rule: Rule::DatabaseWithoutVolume,
        text: format!(
            "{} ({}) has no volume: its data goes with its container",
            database.service,
            database.kind.name()
        ),
        remedy: format!(
            "give the service a named volume at {}; Wharf refuses to deploy it without",
            database.data_dir()
        ),
    }));
    found.extend(findings.baked.iter().filter(|baked| !baked.given).map(|baked| Warning {
        rule: Rule::UnsetBuildVariable,
        text: format!("{} reads {} while it is built, and gets no value", baked.service, baked.variable),
        remedy:
            "name it under `build: args:` in the Compose file, and as ARG and ENV in the Dockerfile".into(),
    }));
    found.extend(copied::find(facts, model, &findings.profiles).into_iter().map(not_copied));
    found.sort();
    found.dedup();
    found
}

fn not_copied(missing: NotCopied) -> Warning {
    let NotCopied { service, code, data, dockerfile, beside } = missing;
    Warning {
        rule: Rule::DataNotCopied,
        text: format!("{code} of {service} reads {data}, which its image does not get"),
        remedy: match beside {
            None => format!("COPY it in {dockerfile}, and see that no .dockerignore leaves it out"),
            Some(context) => {
                format!(
                    "no COPY reaches it from {context}, which is built: move it there and COPY it, or mount it"
                )
            }
        },
    }
}

fn unreadable(problem: &Problem) -> Warning {
    let (text, remedy) = match problem {
        Problem::Missing { file } => (
            format!("{file} is named by a Compose file, and is not shipped"),
            "add it to the project, or take it out of .gitignore",
        ),
        Problem::NotYaml { file, why } => (format!("{file} cannot be read as YAML ({why})"), "mend it"),
        Problem::Outside { what } => (
            format!("{what} leads out of the project"),
            "move the file into the project, or wharf.toml further up",
        ),
    };
    Warning { rule: Rule::UnreadableCompose, text, remedy: remedy.into() }
}

fn floating(who: &str, reference: &str) -> Option<Warning> {
    image::floats(reference).then(|| Warning {
        rule: Rule::LatestTag,
        text: format!("{who} uses {reference}, which may be another image tomorrow"),
        remedy: "name a version".into(),
    })
}

fn absolute(service: &str, path: &str) -> Warning {
    Warning {
        rule: Rule::AbsolutePath,
        text: format!("{service} mounts {path}, which the server may not have"),
        remedy: "write a path that starts at the Compose file, or make sure that the server has it".into(),
    }
}

/// Paths that every Linux has, and that stacks mount on purpose.
fn is_of_the_system(path: &str) -> bool {
    [
        "/var/run/",
        "/run/",
        "/etc/localtime",
        "/etc/timezone",
        "/etc/ssl/",
        "/proc",
        "/sys",
        "/dev",
        "/var/lib/docker",
    ]
    .iter()
    .any(|start| path.starts_with(start))
        || path == "/"
}

/// The base images of a Dockerfile that are named in it, and are none of its own stages.
fn bases(dockerfile: &str) -> impl Iterator<Item = String> {
    let mut stages: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for line in dockerfile.lines() {
        let mut words = line.split_whitespace().filter(|word| !word.starts_with("--"));
        if !words.next().is_some_and(|word| word.eq_ignore_ascii_case("FROM")) {
            continue;
        }
        let Some(base) = words.next() else { continue };
        let is_stage = stages.iter().any(|stage| stage.eq_ignore_ascii_case(base));
        if !is_stage && !base.contains('$') && base != "scratch" {
            found.push(base.to_owned());
        }
        if words.next().is_some_and(|word| word.eq_ignore_ascii_case("AS")) {
            stages.extend(words.next().map(str::to_owned));
        }
    }
    found.into_iter()
}
