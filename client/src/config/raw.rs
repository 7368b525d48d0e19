//! `wharf.toml` as it is written, before it is checked. Unknown keys were found before ([`super::keys`]).

use super::local::GitRules;
use serde::Deserialize;
use toml::Spanned;
use wharf_proto::spec::{
    DumpSpec, HookSpec, KeepSpec, LogsSpec, MigrateSpec, ProbeSpec, RedisSpec, SecretsSpec, VerifySpec,
    VolumeSpec,
};

#[derive(Debug, Deserialize)]
pub(super) struct Raw {
    pub app: Option<Spanned<String>>,
    pub keep_releases: Option<Spanned<u32>>,
    pub server: Option<Spanned<RawServer>>,
    pub compose: Option<Spanned<RawCompose>>,
    #[serde(default)]
    pub pack: RawPack,
    #[serde(default)]
    pub bump: Vec<RawBump>,
    #[serde(default)]
    pub postgres: Vec<Spanned<RawPostgres>>,
    #[serde(default)]
    pub mysql: Vec<Spanned<RawMysql>>,
    #[serde(default)]
    pub redis: Vec<Spanned<RedisSpec>>,
    #[serde(default)]
    pub dump: Vec<Spanned<DumpSpec>>,
    #[serde(default)]
    pub volume: Vec<Spanned<VolumeSpec>>,
    #[serde(default)]
    pub migrate: Vec<Spanned<MigrateSpec>>,
    #[serde(default)]
    pub hook: Vec<Spanned<HookSpec>>,
    #[serde(default)]
    pub health: Vec<Spanned<ProbeSpec>>,
    pub verify: Option<Spanned<VerifySpec>>,
    #[serde(default)]
    pub secrets: SecretsSpec,
    pub backup: Option<RawBackup>,
    #[serde(default)]
    pub logs: LogsSpec,
    #[serde(default)]
    pub git: GitRules,
    #[serde(default)]
    pub check: Vec<Spanned<RawCheck>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawPostgres {
    pub service: Option<String>,
    pub url_env: Option<String>,
    pub image: Option<String>,
    pub network: Option<String>,
    pub user: Option<String>,
    pub database: Option<String>,
    pub databases: Option<Vec<String>>,
    pub check_sql: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawMysql {
    pub service: String,
    pub user: Option<String>,
    pub database: Option<String>,
    pub databases: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawCheck {
    pub command: Vec<String>,
    pub folder: Option<Spanned<String>>,
    pub timeout_seconds: Option<u32>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawServer {
    pub host: Option<Spanned<String>>,
    pub path: Option<Spanned<String>>,
    pub identity: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawCompose {
    pub files: Option<Spanned<Vec<Spanned<String>>>>,
    pub env_file: Option<Spanned<String>>,
    #[serde(default)]
    pub profiles: Vec<String>,
    pub project: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawPack {
    #[serde(default)]
    pub include: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawBump {
    pub file: Spanned<String>,
    pub when_changed: Spanned<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawBackup {
    pub schedule: Option<Spanned<String>>,
    pub timezone: Option<Spanned<String>>,
    pub keep: Option<Spanned<KeepSpec>>,
    pub drill: Option<Spanned<String>>,
}
