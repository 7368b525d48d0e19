//! From what is written to a [`Config`]: every rule about a value, with what to write instead.

mod data;
mod databases;
mod local;
mod server;

use super::{
    Config,
    error::{ConfigError, Place},
    keys,
    raw::{Raw, RawBump, RawCompose},
};
use std::{
    ops::{Range, RangeInclusive},
    path::PathBuf,
};
use toml::Spanned;
use wharf_proto::{
    AppSpec, RelPath,
    spec::{BumpRule, ComposeSpec, HookSpec, MigrateSpec, ProbeSpec, VerifySpec},
};

const KEEP_RELEASES: RangeInclusive<u32> = 1..=100;
const KEEP_RELEASES_DEFAULT: u32 = 5;
const START_TIMEOUT_SECONDS: RangeInclusive<u32> = 1..=3600;
const STABLE_SECONDS: RangeInclusive<u32> = 0..=600;
const TIMEOUT_SECONDS: RangeInclusive<u32> = 1..=86_400;
const HTTP_STATUS: RangeInclusive<u32> = 100..=599;

pub(super) struct Checker<'a> {
    pub file: &'a str,
    pub text: &'a str,
    pub root: PathBuf,
    /// The environments that exist.
    pub known: Vec<String>,
    pub environment: Option<&'a str>,
    pub source: Source,
}

/// Whose files are shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The project's: what is named must be there.
    Project,
    /// Those of a release that a server keeps.
    Elsewhere,
}

pub(super) type Checked<T> = Result<T, ConfigError>;

impl Checker<'_> {
    pub fn check(self, raw: Raw) -> Checked<Config> {
        let app = self.required(raw.app, "app", None)?;
        let name = app.get_ref().parse().map_err(|error: wharf_proto::id::IdError| {
            self.value(app.span(), "app", error.to_string(), "write for example: app = \"myapp\"")
        })?;
        let (server, path) = self.server(raw.server, &name)?;
        let compose = self.required(raw.compose, "compose.files", None)?;
        let migrations: Vec<Range<usize>> = raw.migrate.iter().map(Spanned::span).collect();
        let has_env_file = compose.get_ref().env_file.is_some();
        let databases = self.databases(raw.postgres, raw.mysql, raw.redis, raw.dump, has_env_file)?;
        let spec = AppSpec {
            app: name,
            path,
            compose: self.compose(compose)?,
            bump: raw.bump.into_iter().map(|rule| self.bump(rule)).collect::<Checked<_>>()?,
            postgres: databases.postgres,
            mysql: databases.mysql,
            redis: databases.redis,
            dump: databases.dump,
            hook: raw.hook.into_iter().map(|spec| self.hook(spec)).collect::<Checked<_>>()?,
            volume: self.volumes(raw.volume)?,
            migrate: raw.migrate.into_iter().map(|spec| self.migrate(spec)).collect::<Checked<_>>()?,
            health: raw.health.into_iter().map(|spec| self.probe(spec)).collect::<Checked<_>>()?,
            verify: self.verify(raw.verify)?,
            secrets: raw.secrets,
            backup: raw.backup.map(|backup| self.backup(backup)).transpose()?.unwrap_or_default(),
            logs: raw.logs,
            keep_releases: match raw.keep_releases {
                None => KEEP_RELEASES_DEFAULT,
                Some(count) => self.within(count.span(), "keep_releases", *count.get_ref(), KEEP_RELEASES)?,
            },
        };
        for (number, span) in migrations.into_iter().enumerate() {
            wharf_migrations::check(&spec, number)
                .map_err(|error| self.value(span, "migrate", error.to_string(), error.hint()))?;
        }
        for path in &raw.pack.include {
            self.relative(path, "pack.include")?;
        }
        let include = raw.pack.include.into_iter().map(Spanned::into_inner).collect();
        let checks = raw.check.into_iter().map(|spec| self.project_check(spec)).collect::<Checked<_>>()?;
        Ok(Config {
            environment: self.environment.map(str::to_owned),
            root: self.root,
            spec,
            server,
            include,
            checks,
            git: raw.git,
        })
    }

    fn compose(&self, compose: Spanned<RawCompose>) -> Checked<ComposeSpec> {
        let (span, compose) = (compose.span(), compose.into_inner());
        let files = self.required(compose.files, "compose.files", Some(span))?;
        if files.get_ref().is_empty() {
            let message = "no Compose file is listed".to_owned();
            return Err(self.value(files.span(), "compose.files", message, &self.found_compose_files()));
        }
        let files = files.into_inner().iter().map(|file| self.compose_file(file)).collect::<Checked<_>>()?;
        let env_file = compose.env_file.map(|file| self.relative(&file, "compose.env_file")).transpose()?;
        if let Some(project) = &compose.project
            && project.get_ref().parse::<wharf_proto::AppName>().is_err()
        {
            let message = format!("{:?} is not a Compose project name", project.get_ref());
            let instead = "use lower-case letters, digits, '-' and '_', or leave the key out: Compose then chooses as ever";
            return Err(self.value(project.span(), "compose.project", message, instead));
        }
        let project = compose.project.map(Spanned::into_inner);
        Ok(ComposeSpec { files, env_file, profiles: compose.profiles, project })
    }

    fn compose_file(&self, file: &Spanned<String>) -> Checked<RelPath> {
        let path = self.relative(file, "compose.files")?;
        if self.source == Source::Elsewhere || path.below(&self.root).is_file() {
            return Ok(path);
        }
        let message = format!("there is no file {:?} in the project", file.get_ref());
        Err(self.value(file.span(), "compose.files", message, &self.found_compose_files()))
    }

    /// Names the Compose files that are there, in the project's folder and one below it.
    fn found_compose_files(&self) -> String {
        let mut found = Vec::new();
        let here = std::fs::read_dir(&self.root).into_iter().flatten().flatten();
        for entry in here {
            let name = entry.file_name().to_string_lossy().into_owned();
            let below = std::fs::read_dir(entry.path()).into_iter().flatten().flatten();
            let below = below.map(|inner| format!("{name}/{}", inner.file_name().to_string_lossy()));
            found.extend(below.chain([name.clone()]).filter(|path| is_compose_file(path)));
        }
        found.sort();
        match found.as_slice() {
            [] => {
                "write the path from the folder of wharf.toml, for example: files = [\"docker-compose.yml\"]"
                    .into()
            }
            _ => format!("these look like Compose files: {}", found.join(", ")),
        }
    }

    fn bump(&self, rule: RawBump) -> Checked<BumpRule> {
        let file = self.relative(&rule.file, "bump.file")?;
        if self.source == Source::Project && !file.below(&self.root).is_file() {
            let message = format!("there is no file {:?} in the project", rule.file.get_ref());
            let instead =
                "write the path of the app.json whose version must rise, from the folder of wharf.toml";
            return Err(self.value(rule.file.span(), "bump.file", message, instead));
        }
        let span = rule.when_changed.span();
        let checked = BumpRule { file, when_changed: rule.when_changed.into_inner() };
        let instead = "write globs of the front end's files, for example: when_changed = [\"mobile/**\"]";
        if checked.when_changed.is_empty() {
            return Err(self.value(span, "bump.when_changed", "no glob is listed".into(), instead));
        }
        match checked.matcher().err().map(|error| error.to_string()) {
            None => Ok(checked),
            Some(message) => Err(self.value(span, "bump.when_changed", message, instead)),
        }
    }

    fn migrate(&self, spec: Spanned<MigrateSpec>) -> Checked<MigrateSpec> {
        let (span, spec) = (spec.span(), spec.into_inner());
        if let Some(folder) = &spec.folder
            && self.source == Source::Project
            && !folder.below(&self.root).is_dir()
        {
            let message = format!("there is no folder {folder} in the project");
            let instead = "write the path of the folder of *.sql files, from the folder of wharf.toml";
            return Err(self.value(span, "migrate.folder", message, instead));
        }
        self.within(span, "migrate.timeout_seconds", spec.timeout_seconds, TIMEOUT_SECONDS)?;
        Ok(spec)
    }

    fn hook(&self, spec: Spanned<HookSpec>) -> Checked<HookSpec> {
        let (span, spec) = (spec.span(), spec.into_inner());
        if spec.command.first().is_none_or(String::is_empty) {
            let instead = "write for example: command = [\"./scripts/announce\"]";
            return Err(self.value(span, "hook.command", "the command is empty".into(), instead));
        }
        self.within(span, "hook.timeout_seconds", spec.timeout_seconds, TIMEOUT_SECONDS)?;
        Ok(spec)
    }

    fn probe(&self, spec: Spanned<ProbeSpec>) -> Checked<ProbeSpec> {
        let (span, spec) = (spec.span(), spec.into_inner());
        let host = spec.url.strip_prefix("http://").or_else(|| spec.url.strip_prefix("https://"));
        if host
            .is_none_or(|rest| rest.is_empty() || rest.starts_with('/') || rest.contains(char::is_whitespace))
        {
            let instead = "write the address as the server sees it, for example: url = \"http://127.0.0.1:8080/health\"";
            let message = format!("{:?} is not an http:// or https:// address", spec.url);
            return Err(self.value(span, "health.url", message, instead));
        }
        self.within(span.clone(), "health.status", u32::from(spec.status), HTTP_STATUS)?;
        self.within(span.clone(), "health.timeout_seconds", spec.timeout_seconds, TIMEOUT_SECONDS)?;
        self.within(span, "health.within_seconds", spec.within_seconds, TIMEOUT_SECONDS)?;
        Ok(spec)
    }

    fn verify(&self, spec: Option<Spanned<VerifySpec>>) -> Checked<VerifySpec> {
        let Some(spec) = spec else { return Ok(VerifySpec::default()) };
        let (span, spec) = (spec.span(), spec.into_inner());
        let (start, stable) = (spec.start_timeout_seconds, spec.stable_seconds);
        self.within(span.clone(), "verify.start_timeout_seconds", start, START_TIMEOUT_SECONDS)?;
        self.within(span, "verify.stable_seconds", stable, STABLE_SECONDS)?;
        Ok(spec)
    }

    fn relative(&self, path: &Spanned<String>, key: &'static str) -> Checked<RelPath> {
        let plain = path.get_ref().strip_prefix("./").unwrap_or(path.get_ref());
        plain.parse().map_err(|error: wharf_proto::path::PathError| {
            let instead = if key == "compose.env_file" {
                "write the path below the app's folder on the server, for example: env_file = \".env.prod\""
            } else {
                "write the path from the folder of wharf.toml, with '/' between its parts"
            };
            self.value(path.span(), key, error.to_string(), instead)
        })
    }

    pub(super) fn within(
        &self,
        span: Range<usize>,
        key: &'static str,
        number: u32,
        range: RangeInclusive<u32>,
    ) -> Checked<u32> {
        if range.contains(&number) {
            return Ok(number);
        }
        let instead = format!("write a number from {} to {}", range.start(), range.end());
        Err(self.value(span, key, format!("{number} is out of bounds"), &instead))
    }

    fn required<T>(&self, value: Option<T>, key: &'static str, section: Option<Range<usize>>) -> Checked<T> {
        value.ok_or_else(|| ConfigError::Missing {
            place: match section {
                Some(span) => Place::of(self.file, self.text, span),
                None => self.nowhere(),
            },
            key,
            example: keys::example(key).unwrap_or(key),
        })
    }

    pub(super) fn value(
        &self,
        span: Range<usize>,
        key: &'static str,
        message: String,
        instead: &str,
    ) -> ConfigError {
        let place = Place::of(self.file, self.text, span);
        ConfigError::Value { place, key, message, instead: instead.to_owned() }
    }

    fn nowhere(&self) -> Place {
        Place { file: self.file.to_owned(), line: None }
    }
}

fn is_compose_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    (name.ends_with(".yml") || name.ends_with(".yaml"))
        && (name.starts_with("docker-compose") || name.starts_with("compose"))
}
