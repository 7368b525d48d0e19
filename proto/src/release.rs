//! What an agent tells of its apps: releases, jobs, containers, the audit.

use crate::{
    AppName, BackupId, JobId, Outcome, RelPath, ReleaseId, backup::Proof, event::JobKind, lock::DeployLock,
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
