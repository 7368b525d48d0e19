//! What the agent sees when it looks at the server: the input of every decision. `wharf-engine` gathers these from Docker,
//! the agent gathers the disk's.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A container that belongs to a Compose project, running or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerFacts {
    pub id: String,
    pub name: String,
    /// Label `com.docker.compose.project`.
    pub project: String,
    /// Label `com.docker.compose.service`.
    pub service: String,
    /// Label `com.docker.compose.config-hash`.
    pub config_hash: String,
    /// Label `com.docker.compose.project.working_dir`.
    pub working_dir: String,
    /// Label `com.docker.compose.project.config_files`, cut at its commas.
    pub config_files: Vec<String>,
    /// Label `com.docker.compose.oneoff`: made by `docker compose run`.
    pub one_off: bool,
    /// `sha256:…`
    pub image_id: String,
    /// The name the container was created from.
    pub image: String,
    pub state: ContainerState,
    /// `healthy`, `unhealthy`, `starting`; `None` without a health check.
    pub health: Option<String>,
    pub exit_code: Option<i64>,
    pub oom_killed: bool,
    pub restarts: u64,
    pub started_at: Option<String>,
    /// `no`, `always`, `unless-stopped`, `on-failure`.
    pub restart_policy: String,
    pub mounts: Vec<MountFacts>,
    #[serde(default)]
    pub log: LogFacts,
}

/// Where what a container writes is kept, and how much of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFacts {
    /// `json-file`, `local`, `journald` and others.
    pub driver: String,
    /// The option `max-size`.
    pub max_size: Option<String>,
    /// The option `max-file`.
    pub max_files: Option<String>,
    /// Whether the limit is Wharf's.
    pub by_wharf: bool,
    /// The file on the server, where it is one.
    pub path: Option<String>,
}

/// The one driver that writes to the server's disk and has no limit of its own.
pub const UNLIMITED_LOGS: &str = "json-file";

impl LogFacts {
    /// Whether it grows without end.
    pub fn is_unlimited(&self) -> bool {
        self.driver == UNLIMITED_LOGS && self.max_size.is_none()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

/// One mount of a container, as Docker resolved it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountFacts {
    pub source: MountSource,
    /// The path in the container.
    pub target: String,
    pub writable: bool,
}

/// What backs a mount.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", content = "at", rename_all = "snake_case")]
pub enum MountSource {
    /// A volume, by its name on the engine.
    Volume(String),
    /// A volume that Docker named itself (64 hexadecimal digits, label `com.docker.volume.anonymous`).
    AnonymousVolume(String),
    /// A path on the server.
    Bind(String),
    Tmpfs,
}

/// A volume on the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeFacts {
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

/// An image on the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFacts {
    /// `sha256:…`
    pub id: String,
    pub tags: Vec<String>,
    pub repo_digests: Vec<String>,
    /// A digest of layers, configuration and platform, without the time of the build: two builds of the same content
    /// are equal in it though their IDs differ.
    pub content: String,
    /// The paths that the image declares as `VOLUME`.
    pub volumes: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
}
