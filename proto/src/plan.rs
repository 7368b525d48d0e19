//! What a deploy is going to do, for people to read before (`--dry-run`) and after.

use crate::{Digest, RelPath, ReleaseId, release::PromotedFrom};
use serde::{Deserialize, Serialize};

/// The plan of one deploy or rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployPlan {
    /// The release that will be live.
    pub release: ReleaseId,
    /// The one that is live now.
    pub live: Option<ReleaseId>,
    /// Compose's project name.
    pub project: String,
    /// Whether a stack that its owner started by hand is taken over (and kept as v0).
    pub adopts: bool,
    pub versions: Vec<VersionChange>,
    pub files: FileChanges,
    pub services: Vec<ServicePlan>,
    /// Every mount that holds data, before and after.
    pub data: Vec<DataMount>,
    /// Databases that are dumped before anything changes.
    pub dumps: Vec<String>,
    /// Commands that are run in the new images before they serve.
    pub migrations: Vec<String>,
    /// What containers' logs may take, where that is new to some of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<String>,
    pub warnings: Vec<String>,
    /// The release whose very source is shipped, where one is promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<PromotedFrom>,
    /// In a dry run: the images of that release that would serve here, once they were sent. Without them they are built.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaited_images: Vec<Digest>,
}

/// A front end's version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionChange {
    pub file: RelPath,
    /// What is live.
    pub from: Option<String>,
    pub to: String,
}

/// How the app directory will change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChanges {
    pub added: u64,
    pub changed: u64,
    pub removed: u64,
    pub unchanged: u64,
    /// Changed on the server since Wharf wrote them: saved aside, then replaced.
    #[serde(default)]
    pub drifted: Vec<RelPath>,
}

/// What happens to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePlan {
    pub service: String,
    pub image: ImageAction,
    pub container: ContainerAction,
    /// Why, where it is not left alone.
    pub why: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageAction {
    /// Built from the project, with no cache.
    Build,
    /// The image of an earlier release serves again.
    Reuse,
    /// Fetched from its registry.
    Pull,
    Keep,
    /// One that a newer agent tells of and this build does not know.
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerAction {
    Create,
    /// Stopped and made anew: the service is away for a moment.
    Recreate,
    Keep,
    /// The new model lacks the service: its containers go, its volumes stay.
    Remove,
    /// One that a newer agent tells of and this build does not know.
    #[serde(other)]
    Unknown,
}

/// Where a container keeps data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataMount {
    pub service: String,
    /// The path in the container.
    pub target: String,
    /// The volume or server path behind it now.
    pub before: Option<String>,
    /// And after.
    pub after: Option<String>,
}

impl DeployPlan {
    /// Services that are away for a moment.
    pub fn interrupted(&self) -> impl Iterator<Item = &str> {
        self.services.iter().filter(|s| s.container == ContainerAction::Recreate).map(|s| s.service.as_str())
    }
}
