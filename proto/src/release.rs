//! What an agent tells of its apps: releases, jobs, containers, the audit.

use crate::{
    AppName, BackupId, Digest, JobId, Outcome, RelPath, ReleaseId, backup::Proof,
    certificate::CertificateFacts, event::JobKind, lock::DeployLock,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One release of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseInfo {
    pub release: ReleaseId,
    pub live: bool,
    /// What ran before Wharf came.
    pub adopted: bool,
    pub created: Timestamp,
    /// The versions of its front ends, by the file that holds them.
    pub versions: BTreeMap<String, String>,
    pub message: Option<String>,
    /// Who deployed it.
    pub by: String,
    pub git_commit: Option<String>,
    /// The backup that was made just before it went live.
    pub backup: Option<BackupId>,
    /// Whether a drill has restored that backup; `None`: there is none, or nothing is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// The release whose very source this one is, where it was promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<PromotedFrom>,
}

/// The release that another one's source comes from: `staging v12`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromotedFrom {
    /// The name that `wharf.toml` has for where it ran.
    pub environment: String,
    /// Its app there.
    pub app: AppName,
    pub release: ReleaseId,
    /// The server that it runs on, where that is another one. Then all of this is the client's word: an agent sees only its own
    /// releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl std::fmt::Display for PromotedFrom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.environment, self.release)
    }
}

/// What an agent says of a release whose source somebody wants to ship elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseSource {
    /// Tells agents apart, and means nothing else.
    pub agent: String,
    pub app: AppName,
    pub release: ReleaseId,
    pub live: bool,
    /// The versions of its front ends, by the file that holds them.
    pub versions: BTreeMap<RelPath, String>,
    pub message: Option<String>,
    pub git_commit: Option<String>,
    /// Its images, for another server to run; `None`: the agent does not know how to send any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<OfferedImages>,
}

/// The images of a release that were built for it, and what can be done with them elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedImages {
    /// Those that say nothing of where they were built.
    pub images: Vec<PortableImage>,
    /// Why the others are not sent, by service.
    #[serde(default)]
    pub kept: BTreeMap<String, String>,
}

/// An image that another server can run as it is: nothing went into it but files of the project and images of registries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortableImage {
    pub service: String,
    /// The digest that is its ID on the engine.
    pub image: Digest,
    /// What it was built from, but for the base images: equal for every agent.
    pub inputs: Digest,
    /// `linux/amd64`.
    pub platform: String,
    /// Its layers, the lowest first, by the digests of their content.
    pub layers: Vec<Digest>,
    /// What it takes on the engine's disk.
    pub size_bytes: u64,
}

impl OfferedImages {
    /// The image of a service.
    pub fn of(&self, service: &str) -> Option<&PortableImage> {
        self.images.iter().find(|image| image.service == service)
    }
}

impl PortableImage {
    /// As the engine calls it: `sha256:…`.
    pub fn id(&self) -> String {
        format!("sha256:{}", self.image.to_hex())
    }
}

/// One job, running or over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobInfo {
    pub job: JobId,
    pub app: AppName,
    pub kind: JobKind,
    pub by: String,
    pub started: Timestamp,
    pub finished: Option<Timestamp>,
    /// `None` while it runs.
    pub outcome: Option<Outcome>,
}

/// An app and its containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppStatus {
    pub app: AppName,
    pub path: String,
    pub project: String,
    pub live: Option<ReleaseInfo>,
    pub containers: Vec<ContainerStatus>,
    /// Services that `wharf scale` has set to no container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scaled_to_zero: Vec<String>,
    pub last_backup: Option<Timestamp>,
    /// Whether a drill has restored the last backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_backup_proof: Option<Proof>,
    /// The drill that was held last, of whichever backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_drill: Option<LastDrill>,
    /// When backups are made; `None`: the project has no schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleStatus>,
    /// The job that runs now.
    pub job: Option<JobId>,
    /// Who does not want the app to be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<DeployLock>,
    /// The disk that the app's folder is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskSpace>,
    /// What the hosts show that the app's health is asked of by HTTPS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateFacts>,
    pub warnings: Vec<String>,
}

/// An app's backup schedule, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleStatus {
    /// Cron's five fields.
    pub schedule: String,
    /// The zone that they are read in.
    pub timezone: String,
    /// Whether backups are made by it: not before the recovery key is saved.
    pub on: bool,
    pub next: Option<Timestamp>,
}

/// How full a disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpace {
    pub free_bytes: u64,
    pub size_bytes: u64,
}

/// What the last drill tried, and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastDrill {
    pub backup: BackupId,
    pub proof: Proof,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerStatus {
    pub service: String,
    pub name: String,
    /// Docker's word: running, exited, restarting, …
    pub state: String,
    /// healthy, unhealthy, starting; `None` without a health check.
    pub health: Option<String>,
    pub restarts: u64,
    pub image: String,
    pub started: Option<String>,
    /// What it takes now, without what the kernel can take back at once; `None`: it does not run, or cannot be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The most that it may take; `None`: as much as the server has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<u64>,
}

/// Who did what, when, from where, and how it ended. Entries are only ever appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    pub at: Timestamp,
    pub app: Option<AppName>,
    /// The key's comment and fingerprint, and the login name on the laptop.
    pub by: String,
    /// The address that the connection came from.
    pub from: String,
    /// What was asked, in the words of the command line.
    pub action: String,
    pub outcome: String,
}

/// What a client must know to choose the next version of a front end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontEnd {
    pub file: RelPath,
    /// [`crate::Manifest::tree_digest`] of the live release over the rule's globs.
    pub live_tree: Option<crate::Digest>,
    /// The version in the live release.
    pub live_version: Option<String>,
    /// The highest version ever started on this server: never used again.
    pub highest_version: Option<String>,
}
