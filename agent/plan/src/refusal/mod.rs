//! What Wharf will not do.
//!
//! **Invariants**: a refusal comes before anything was changed; its text says what, why and what to do instead, with
//! the exact flag where there is one; it never holds a secret's value.

mod failure;

use std::fmt;
use wharf_proto::RelPath;

/// One thing that Wharf will not do. `Display` says what; [`Refusal::to_failure`] adds why and what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    #[error("{service} would start with {after} at {target}, and not with the volume {before}")]
    VolumeReplaced {
        service: String,
        target: String,
        before: String,
        after: String,
        /// Whether a volume `after` is there already.
        after_exists: bool,
        /// The key of `after` in the Compose file.
        key: String,
        /// The project whose name `before` carries, where only the project's name makes the difference.
        project_before: Option<String>,
    },
    #[error("{service} would start without {before}, which holds {target} now")]
    MountGone { service: String, target: String, before: String, is_volume: bool },
    #[error("{service} would find {before} at {to}, and nothing of it at {from}")]
    TargetMoved { service: String, before: String, from: String, to: String },
    #[error("{service} would keep {target} in {after}, and not in {before}")]
    BackingChanged { service: String, target: String, before: String, after: String },
    #[error("{service} would leave its data at {target} behind in the anonymous volume {volume}")]
    AnonymousLeftBehind { service: String, target: String, volume: String },
    #[error("{service} takes the place of {old_service}, but would start with an empty {target}")]
    DataLeftBehind { old_service: String, service: String, target: String, before: String, after: String },
    #[error("{service} would start PostgreSQL {image_major} on data of PostgreSQL {volume_major}")]
    PostgresMajor {
        service: String,
        image: String,
        image_major: String,
        volume: String,
        volume_major: String,
    },
    #[error("{service} is a database whose data would be kept in no volume")]
    DatabaseWithoutVolume {
        service: String,
        image: String,
        data_dir: String,
        /// The anonymous volume that has the data now.
        anonymous: Option<String>,
    },
    #[error("{service} would look for its data at {data_dir}, where {backing} does not have it")]
    DataDirectoryMoved { service: String, image: String, data_dir: String, backing: String, found_at: String },
    #[error("the volume {volume} exists already, and is not known as this app's")]
    VolumeNotOwned { volume: String, project: String, other_project: Option<String> },
    #[error("the volume {volume} does not exist")]
    ExternalVolumeMissing { volume: String, key: String },
    #[error("the value of {key} in the env file has characters that break URLs")]
    PasswordCharacters { key: String },
    #[error("the env file lacks {}", List(keys))]
    MissingSecrets { keys: Vec<String> },
    #[error("two apps would share the Compose project {project}")]
    TwoApps { project: String, path: String, other_path: String },
    #[error("more than one stack that runs on the server could be this app")]
    AmbiguousStacks { projects: Vec<String>, path: String },
    #[error("the Compose project would be called {to}, and not {from} as the stack that runs")]
    ProjectRenamed { from: String, to: String },
    #[error("{} changed on the server, and the containers can write there", List(paths))]
    WritableMountOverwrite { paths: Vec<RelPath> },
    #[error("{path} is in the way of what the release ships")]
    PathInTheWay { path: RelPath, what: InTheWay },
    #[error("{file} still has a version that was used before, but the front end changed")]
    VersionNotRaised { file: RelPath, live: String, shipped: Option<String> },
    #[error("the Compose files ask for the rights of root on the server: {}", List(reasons))]
    RootEquivalent { app: String, reasons: Vec<String> },
    #[error("the server does not allow {app} to run hooks")]
    HooksNotAllowed { app: String },
    #[error("hooks cannot be kept from what is not their own on this server: {why}")]
    HooksNotIsolated { why: String },
    #[error("{service} cannot have {replicas} containers")]
    CannotScale { service: String, replicas: u32, why: Unscalable },
    #[error("Wharf deletes no volume: {what}")]
    VolumeDeletion { what: String },
}

/// What stands where a release ships something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InTheWay {
    /// A file or link of the server's, where a folder must be.
    File,
    /// A folder with the server's own files, where a file must be.
    Folder,
    /// A device, socket or pipe.
    Special,
}

/// Why a service can have one container and no other number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unscalable {
    /// It publishes this port of the server's.
    Port(String),
    /// Its container has this name.
    ContainerName(String),
    /// It listens on the server's own network.
    HostNetwork,
    /// It is a database whose data lies on a volume.
    Database,
}

/// At most this many names are told; the rest is counted.
const TOLD: usize = 10;

/// Names one after another, bounded.
struct List<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().take(TOLD).enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{item}")?;
        }
        match self.0.len().saturating_sub(TOLD) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// A URL without the name and password that it may carry.
pub(crate) fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests;
