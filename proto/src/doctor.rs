//! What an agent sees of its server and of one app, for `wharf doctor`: facts alone. Whoever asked judges them.

use crate::certificate::CertificateFacts;
use crate::release::AppStatus;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The server, as its agent sees it. What could not be seen is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFacts {
    /// The agent's own version.
    pub agent: String,
    /// When the question arrived and when it was answered, by the server's clock.
    pub asked: Timestamp,
    pub answered: Timestamp,
    /// How many apps there are that the key is for.
    pub apps: u32,
    /// Who the agent runs as.
    pub user: String,
    pub root: bool,
    /// `None`: the engine does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineFacts>,
    /// Compose's version.
    pub compose: String,
    #[serde(default)]
    pub disks: Vec<DiskFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryFacts>,
    /// `None`: none was asked about, or this one was never deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Box<AppFacts>>,
}

/// The Docker engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineFacts {
    pub version: String,
    /// The newest version of its API.
    pub api_version: String,
}

/// One file system, and what of ours lies on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskFacts {
    pub places: Vec<DiskPlace>,
    pub size_bytes: u64,
    /// What the agent's user may still write.
    pub free_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskPlace {
    pub holds: DiskUse,
    pub path: String,
}

/// What a place is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskUse {
    /// The agent's state: content, backups.
    State,
    /// Docker's images and volumes.
    Docker,
    /// The app directory.
    App,
    /// One that this build does not know.
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryFacts {
    pub available_bytes: u64,
    /// 0: there is none.
    pub swap_bytes: u64,
}

/// One app, as its agent sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppFacts {
    /// Its warnings are apart, each in its place below.
    pub status: AppStatus,
    /// Services that stay down after a reboot.
    #[serde(default)]
    pub no_restart_policy: Vec<String>,
    /// Services that ran out of memory and were killed.
    #[serde(default)]
    pub oom_killed: Vec<String>,
    /// Logs that grow without a limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlimited_logs: Vec<LogFacts>,
    /// Whether there is a repository of backups.
    pub backups: bool,
    /// Whether its owner has put the recovery key away.
    pub key_saved: bool,
    /// The longest time between two backups of the schedule; `None`: there is no schedule, or it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_every_seconds: Option<u64>,
    /// Data that no backup holds.
    #[serde(default)]
    pub uncovered: Vec<String>,
    /// What the agent does of its own and what fails now, in words.
    #[serde(default)]
    pub chores: Vec<String>,
    /// Copies in other places that fail, in words.
    #[serde(default)]
    pub copies: Vec<String>,
    /// Why something could not be looked at, in words.
    #[serde(default)]
    pub problems: Vec<String>,
    /// The certificates of the hosts that the app's health is asked of.
    #[serde(default)]
    pub certificates: Vec<CertificateFacts>,
}

/// The log of one running container, which has no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFacts {
    pub service: String,
    /// What it takes on the disk; `None`: the agent cannot look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}
