//! What a client says of a change that it asks for: a deploy, a rollback, migrations that go back.

use crate::{
    AppName, AppSpec, RelPath, ReleaseId,
    release::{OfferedImages, PromotedFrom},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployRequest {
    pub spec: AppSpec,
    pub options: JobOptions,
    /// Build every service, whatever is unchanged.
    #[serde(default)]
    pub rebuild: bool,
    /// Refresh base images and pulled images first.
    #[serde(default)]
    pub pull: bool,
    /// The versions that the shipped files carry, by the rule's file, for the agent to check.
    #[serde(default)]
    pub versions: BTreeMap<RelPath, String>,
    pub source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackRequest {
    pub app: AppName,
    /// `None`: the release that was live before this one.
    pub to: Option<ReleaseId>,
    pub options: JobOptions,
}

/// Which migrations go back: those that whoever confirmed it has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrateDown {
    pub app: AppName,
    pub service: String,
    /// The database's name.
    pub database: String,
    pub folder: RelPath,
    /// The last ones that are applied, the last one first.
    pub names: Vec<String>,
    #[serde(default)]
    pub lock_wait_seconds: u32,
}

/// What jobs that change an app have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOptions {
    /// Plan, tell, change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Volumes that containers may lose sight of, by name. The volumes themselves stay.
    #[serde(default)]
    pub accept_detach: Vec<String>,
    /// Volumes that exist already and that this app may take as its own, by name.
    #[serde(default)]
    pub accept_volume: Vec<String>,
    /// Copy the data directory of a stopped database where it is too broken to dump.
    #[serde(default)]
    pub cold_backup: bool,
    /// Go back to a release that lived with another schema of the database.
    #[serde(default)]
    pub accept_schema: bool,
    /// How long to wait for another job of the app; 0: not at all.
    #[serde(default)]
    pub lock_wait_seconds: u32,
    #[serde(default)]
    pub message: Option<String>,
}

/// Where a deploy comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub git_commit: Option<String>,
    pub git_branch: Option<String>,
    /// Whether the work tree had changes that were not committed.
    #[serde(default)]
    pub git_dirty: bool,
    /// Whether the project's checks before a ship were skipped (`--force`). The audit says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checks_skipped: bool,
    /// The release whose very source this is, where it is promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<Promoted>,
}

/// A release that is promoted, and which agent said what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promoted {
    pub from: PromotedFrom,
    /// [`crate::release::ReleaseSource::agent`]: an agent that finds itself here has the release's images.
    pub agent: String,
    /// [`crate::release::ReleaseSource::images`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<OfferedImages>,
}
