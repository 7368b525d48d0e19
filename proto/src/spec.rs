//! What a project says of itself: the part of `wharf.toml` that travels with a deploy.
//!
//! What protects data on the server (keys and their rights, the retention floor, where backups lie) is not here: a ship
//! cannot change it.
//!
//! Unknown fields are ignored here as everywhere on the wire; that a key of `wharf.toml` is unknown is found where that file
//! is read. What an older agent must not ignore needs a new version of the protocol.

mod backup;
mod dump;
mod logs;
mod outside;

use crate::{AppName, RelPath};
pub use backup::{BackupSpec, DrillSpec, KeepSpec};
pub use dump::DumpSpec;
pub use logs::{LOG_FILES, LogFiles, LogLimit, LogSize, LogsSpec};
pub use outside::OutsideSpec;
use serde::{Deserialize, Serialize};

/// How an app is deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppSpec {
    pub app: AppName,
    /// The app directory on the server: absolute.
    pub path: String,
    pub compose: ComposeSpec,
    #[serde(default)]
    pub bump: Vec<BumpRule>,
    #[serde(default)]
    pub postgres: Vec<PostgresSpec>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mysql: Vec<MysqlSpec>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redis: Vec<RedisSpec>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dump: Vec<DumpSpec>,
    #[serde(default)]
    pub volume: Vec<VolumeSpec>,
    #[serde(default)]
    pub migrate: Vec<MigrateSpec>,
    #[serde(default)]
    pub hook: Vec<HookSpec>,
    #[serde(default)]
    pub health: Vec<ProbeSpec>,
    #[serde(default)]
    pub verify: VerifySpec,
    #[serde(default)]
    pub secrets: SecretsSpec,
    #[serde(default)]
    pub backup: BackupSpec,
    #[serde(default, skip_serializing_if = "LogsSpec::is_empty")]
    pub logs: LogsSpec,
    /// How many releases stay listed, and can be rolled back to, beside the live one.
    #[serde(default = "default_keep_releases")]
    pub keep_releases: u32,
}

fn default_keep_releases() -> u32 {
    5
}

/// Which Compose project this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComposeSpec {
    /// Compose files, in the order of `-f`.
    pub files: Vec<RelPath>,
    /// The env file, below the app directory; it lives on the server and is not shipped.
    #[serde(default)]
    pub env_file: Option<RelPath>,
    #[serde(default)]
    pub profiles: Vec<String>,
    /// Compose's project name, where it is not the one that Compose would choose itself.
    #[serde(default)]
    pub project: Option<String>,
}

/// A front end whose version must rise when it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BumpRule {
    /// An `app.json` with `expo.version` or `version`.
    pub file: RelPath,
    /// Globs of the files that the front end is made of; `**` crosses folders.
    pub when_changed: Vec<String>,
}

/// A PostgreSQL database, inside the stack or outside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresSpec {
    /// Empty where `outside` is set, and then left out: an agent that knows no databases outside the stack says that it is
    /// missing, and does not deploy without a backup of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// `None`: the container's `POSTGRES_USER`, else `postgres`.
    #[serde(default)]
    pub user: Option<String>,
    /// `None`: the container's `POSTGRES_DB`, else the user's name.
    #[serde(default)]
    pub database: Option<String>,
    /// SQL that a drill runs in the restored database: it must succeed, and no row of it may be false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_sql: Option<String>,
    /// Where it is, if that is not a service of the stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<OutsideSpec>,
}

impl PostgresSpec {
    /// What its server is called in backups and on the command line: the service, or the key that holds the URL.
    pub fn server(&self) -> &str {
        self.outside.as_ref().map_or(&self.service, |outside| &outside.url_env)
    }
}

/// A MySQL or MariaDB database inside the stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MysqlSpec {
    pub service: String,
    /// `None`: root, where the container's environment has its password, else the user that the container was made with.
    #[serde(default)]
    pub user: Option<String>,
    /// `None`: the one that the container was made with, else all but the server's own.
    #[serde(default)]
    pub database: Option<String>,
}

/// A Redis or Valkey inside the stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedisSpec {
    pub service: String,
}

/// What is wrong with what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecProblem {
    /// As in `postgres.image`.
    pub key: &'static str,
    pub message: String,
    pub instead: &'static str,
}

/// Data of the app that a backup holds as it lies on the disk: a named volume, or a folder that containers mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// The volume's key in the Compose files, or its name on the engine. Either this or `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A folder, below the app directory or absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(default)]
    pub mode: VolumeMode,
}

/// What becomes of the containers that write to data while it is copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeMode {
    /// They go on. For files that are written once, such as uploads. SQLite databases are copied by SQLite itself.
    Live,
    /// They are frozen meanwhile, so that the copy is of one moment. What nobody said anything about is copied so.
    #[default]
    Pause,
    /// They are stopped before and started after. For what must be closed to be whole.
    Stop,
}

/// What brings the database's schema to the new release's: a command, or a folder of SQL files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrateSpec {
    /// Whose image runs the command; for a folder, the database's.
    pub service: String,
    /// Either this or `folder`. Left out where it is empty: an agent that knows no folders then says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Its files named `*.sql` are applied once each, in the order of their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<RelPath>,
    /// Which of the service's databases the folder is for, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The table that says what is applied; `None`: `schema_migrations`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    #[serde(default = "default_migrate_timeout_seconds")]
    pub timeout_seconds: u32,
}

fn default_migrate_timeout_seconds() -> u32 {
    600
}

/// A command of the project's that runs on the server itself, where the server's owner allows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookSpec {
    pub when: HookWhen,
    pub command: Vec<String>,
    #[serde(default = "default_migrate_timeout_seconds")]
    pub timeout_seconds: u32,
}

/// At which point of a deploy a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookWhen {
    /// After the build, while nothing was changed. Where it fails, the deploy does.
    BeforeDeploy,
    /// When the release is live.
    AfterDeploy,
    /// When the deploy failed and everything is as it was, or could not be put back.
    AfterFailure,
}

impl HookWhen {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeDeploy => "before-deploy",
            Self::AfterDeploy => "after-deploy",
            Self::AfterFailure => "after-failure",
        }
    }
}

/// An HTTP request, made from the server, that a healthy release answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSpec {
    pub url: String,
    #[serde(default = "default_probe_status")]
    pub status: u16,
    /// For one request.
    #[serde(default = "default_probe_timeout_seconds")]
    pub timeout_seconds: u32,
    /// For the probe as a whole: it is asked again until then.
    #[serde(default = "default_probe_within_seconds")]
    pub within_seconds: u32,
}

fn default_probe_status() -> u16 {
    200
}

fn default_probe_timeout_seconds() -> u32 {
    5
}

fn default_probe_within_seconds() -> u32 {
    30
}

/// How a new release proves itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifySpec {
    /// How long `docker compose up --wait` may take.
    #[serde(default = "default_start_timeout_seconds")]
    pub start_timeout_seconds: u32,
    /// How long containers must stay up and healthy, without a restart, after they first are.
    #[serde(default = "default_stable_seconds")]
    pub stable_seconds: u32,
}

fn default_start_timeout_seconds() -> u32 {
    120
}

fn default_stable_seconds() -> u32 {
    5
}

impl Default for VerifySpec {
    fn default() -> Self {
        Self {
            start_timeout_seconds: default_start_timeout_seconds(),
            stable_seconds: default_stable_seconds(),
        }
    }
}

/// What the env file must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretsSpec {
    /// Keys without which a deploy is refused.
    #[serde(default)]
    pub required: Vec<String>,
    /// Keys besides `DB_PASSWORD` whose values may hold letters, digits, `_` and `-` only.
    #[serde(default)]
    pub plain: Vec<String>,
}

impl BumpRule {
    /// Whether `path` belongs to the front end.
    ///
    /// # Errors
    /// A glob that cannot be read.
    pub fn matcher(&self) -> Result<impl Fn(&RelPath) -> bool + use<>, globset::Error> {
        let mut set = globset::GlobSetBuilder::new();
        for glob in &self.when_changed {
            set.add(globset::GlobBuilder::new(glob).literal_separator(true).build()?);
        }
        let set = set.build()?;
        Ok(move |path: &RelPath| path.as_str().is_some_and(|text| set.is_match(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_front_end_is_what_its_globs_take() {
        let rule = BumpRule {
            file: "mobile/app.json".parse().unwrap(),
            when_changed: vec!["mobile/**".into(), "*.ts".into()],
        };
        let matches = rule.matcher().unwrap();
        for (path, expected) in [
            ("mobile/src/App.tsx", true),
            ("mobile/app.json", true),
            ("a.ts", true),
            ("backend/a.ts", false),
            ("x", false),
        ] {
            assert_eq!(matches(&path.parse().unwrap()), expected, "{path}");
        }
    }
}
