//! Everything that was seen of a project.

use crate::{
    baked::{self, Baked},
    bump::{self, FrontEnd},
    checks::{self, Check},
    compose::{self, Choice, Model, Source, path, path::Place},
    env_file::{self, EnvFile},
    facts::Facts,
    health::{self, Health},
    image::{self, Kind},
    warn::{self, Warning},
};
use std::collections::{BTreeMap, BTreeSet};

/// What `wharf init` writes down.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Findings {
    /// A name that fits the rules for apps.
    pub app: String,
    /// Compose files, in the order of `-f`.
    pub files: Vec<String>,
    pub why_these_files: String,
    pub other_files: Vec<String>,
    /// The folder that Compose names the project after, where no file gives it a name and it is not the app's own.
    pub named_after: Option<String>,
    pub profiles: Vec<String>,
    /// Profiles that are there and were not chosen.
    pub other_profiles: Vec<String>,
    pub env_file: Option<EnvFile>,
    pub front_ends: Vec<FrontEnd>,
    pub databases: Vec<Database>,
    pub health: Vec<Health>,
    pub data: Vec<Data>,
    pub baked: Vec<Baked>,
    pub checks: Vec<Check>,
    pub required: Vec<String>,
    /// Passwords that stand in a URL.
    pub plain: Vec<String>,
    pub warnings: Vec<Warning>,
}

/// A service that is a database.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Database {
    pub service: String,
    pub kind: Kind,
    /// The volume or folder that holds its data.
    pub volume: Option<String>,
    /// Where its data lies in the container, where the service says so.
    pub moved_to: Option<String>,
}

/// Data that containers write, and that outlives them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Data {
    /// A volume's name, or a folder of the project.
    pub source: String,
    pub is_volume: bool,
    pub service: String,
    pub target: String,
    /// Whether a database that Wharf dumps keeps its data here.
    pub of_database: bool,
}

/// Why nothing can be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    #[error("no Compose file was found in this folder, or in one up to three levels below it")]
    NoComposeFile,
}

/// Looks at everything. Pure.
///
/// # Errors
/// A project without a Compose file.
pub fn look(facts: &Facts) -> Result<Findings, LookError> {
    Ok(look_at(facts, compose::choose(facts).ok_or(LookError::NoComposeFile)?))
}

/// What a person should mend, or know, of the Compose files and profiles that a `wharf.toml` names. Pure.
pub fn warnings(facts: &Facts, files: Vec<String>, profiles: &[String]) -> Vec<Warning> {
    looked_at(facts, Choice { files, ..Choice::default() }, Some(profiles)).warnings
}

/// Looks at what a person chose already. Pure.
pub fn look_at(facts: &Facts, choice: Choice) -> Findings {
    looked_at(facts, choice, None)
}

/// `chosen`: the profiles that run, where that is known.
fn looked_at(facts: &Facts, choice: Choice, chosen: Option<&[String]>) -> Findings {
    let Choice { files, why, others } = choice;
    let folder = files.first().map_or("", |file| path::folder(file)).to_owned();
    let production = files.iter().any(|file| path::name(file).to_ascii_lowercase().contains("prod"));
    let values = env_file::values(facts, &folder, production);
    let model = compose::load(facts, &files, &|name| values.get(name).cloned());
    let (profiles, other_profiles) = match chosen {
        Some(chosen) => (chosen.to_vec(), Vec::new()),
        None => profiles(&model),
    };
    let env_file = env_file::choose(facts, &folder, &model, production);
    let databases = databases(facts, &model, &profiles);
    let mut findings = Findings {
        app: app_name(&model, &facts.folder),
        why_these_files: why,
        other_files: others,
        named_after: Some(folder).filter(|folder| !folder.is_empty() && model.name.is_none()),
        front_ends: bump::find(facts, &model, &profiles),
        health: health::find(facts, &model, &profiles),
        data: data(facts, &model, &profiles, &databases),
        baked: baked::find(facts, &model, &profiles),
        checks: checks::find(facts),
        required: env_file::required(facts, &model, env_file.as_ref()),
        plain: env_file::in_urls(facts, &model),
        files,
        profiles,
        other_profiles,
        env_file,
        databases,
        warnings: Vec::new(),
    };
    findings.warnings = warn::all(facts, &model, &findings);
    findings
}

impl Database {
    /// The section of `wharf.toml` that it gets. A Redis without a volume keeps nothing, so that there is nothing to dump.
    pub fn section(&self) -> Option<&'static str> {
        self.kind.section().filter(|_| self.kind != Kind::Redis || self.volume.is_some())
    }

    /// Where its data lies in the container.
    pub fn data_dir(&self) -> &str {
        match (&self.moved_to, self.kind) {
            (Some(path), _) => path,
            (None, Kind::Postgres) => "/var/lib/postgresql/data",
            (None, kind) => kind.home(),
        }
    }
}

/// Compose's rule for project names: what is left of a folder's name.
fn app_name(model: &Model, folder: &str) -> String {
    let from = model.name.as_deref().unwrap_or(folder);
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let text: String = from
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c == ' ' || c == '.' { '-' } else { c })
        .filter(|c| fits(*c))
        .collect();
    let text: String = text.trim_start_matches(['-', '_']).chars().take(63).collect();
    if text.is_empty() { "myapp".into() } else { text }
}

/// Those for production are chosen; the others are told.
fn profiles(model: &Model) -> (Vec<String>, Vec<String>) {
    let all: BTreeSet<String> =
        model.services.values().flat_map(|service| service.profiles.clone()).collect();
    all.into_iter().partition(|name| matches!(name.as_str(), "prod" | "production" | "live"))
}

fn databases(facts: &Facts, model: &Model, profiles: &[String]) -> Vec<Database> {
    let mut found = Vec::new();
    for (name, service) in model.running(profiles) {
        let by_image = || service.image.as_deref().and_then(image::database);
        let by_base = || {
            let text = facts.text(&service.dockerfile()?)?;
            let last = text.lines().filter_map(|line| line.trim().strip_prefix("FROM ")).next_back()?;
            image::database(last.split_whitespace().next()?)
        };
        let kind = if service.build.is_some() { by_base() } else { by_image() };
        let Some(kind) = kind.filter(|kind| kind.is_started_by(service.command.as_deref())) else { continue };
        let moved_to =
            service.environment.get("PGDATA").cloned().flatten().filter(|_| kind == Kind::Postgres);
        let home = moved_to.as_deref().unwrap_or_else(|| kind.home());
        let holds = |target: &str| {
            let target = target.trim_end_matches('/');
            target == home
                || target.starts_with(&format!("{home}/"))
                || home.starts_with(&format!("{target}/"))
        };
        let volume =
            service.mounts.iter().find(|mount| holds(&mount.target)).and_then(|mount| match &mount.source {
                Source::Volume(name) => Some(name.clone()),
                Source::Bind(Place::Inside(path) | Place::Absolute(path)) => Some(path.clone()),
                Source::Bind(Place::Outside) => Some("a folder outside the project".into()),
                Source::Anonymous => None,
            });
        found.push(Database { service: name.to_owned(), kind, volume, moved_to });
    }
    found
}

fn data(facts: &Facts, model: &Model, profiles: &[String], databases: &[Database]) -> Vec<Data> {
    let mut found = BTreeMap::new();
    for (service, definition) in model.running(profiles) {
        for mount in definition.mounts.iter().filter(|mount| !mount.read_only) {
            let (source, is_volume) = match &mount.source {
                Source::Volume(name) => (name.clone(), true),
                // What is shipped is configuration, not data.
                Source::Bind(Place::Inside(path)) if !facts.has(path) && !facts.has_below(path) => {
                    (path.clone(), false)
                }
                _ => continue,
            };
            let of_database =
                databases.iter().any(|d| d.volume.as_ref() == Some(&source) && d.section().is_some());
            found.entry(source.clone()).or_insert_with(|| Data {
                source,
                is_volume,
                service: service.to_owned(),
                target: mount.target.clone(),
                of_database,
            });
        }
    }
    found.into_values().collect()
}
