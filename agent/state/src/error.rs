//! Why the agent's state cannot be read or written.

use crate::PhaseError;
use std::path::PathBuf;
use wharf_proto::lock::DeployLock;
use wharf_proto::{AppName, JobId, ReleaseId};

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("cannot {act} {}; make sure that wharfd may write there and that the disk is not full", path.display())]
    Io {
        act: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "cannot {act} in the agent's state; make sure that its disk is sound and not full, then start wharfd again"
    )]
    Database {
        act: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    #[error(
        "the state in {} was written by {written_by} (schema {found}); this wharfd knows schemas up to {known}. Upgrade wharfd on this server to {written_by} or newer",
        path.display()
    )]
    Newer { path: PathBuf, found: u32, known: u32, written_by: String },
    #[error(
        "the state in {} is of an older schema ({found}); start wharfd once, which brings it to this one's",
        path.display()
    )]
    Older { path: PathBuf, found: u32 },
    #[error("what the agent's state holds as {what} cannot be read; restore the state from its last copy")]
    Corrupt {
        what: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("job {0} is not known; `wharf jobs` lists those that are")]
    NoSuchJob(JobId),
    #[error("{app} is locked by {} since {:.0}; `wharf unlock` lifts that", lock.by, lock.at)]
    Locked { app: AppName, lock: DeployLock },
    #[error("{0} is not an app of this server; `wharf status` lists those that are")]
    NoSuchApp(AppName),
    #[error("{app} has no release {release}; `wharf releases` lists those that it has")]
    NoSuchRelease { app: AppName, release: ReleaseId },
    #[error("{release} of {app} is live and stays; roll back to another release first")]
    Live { app: AppName, release: ReleaseId },
    #[error("job {job} is {phase}: what it does now cannot be undone, so it must not be done")]
    NotUndoable { job: JobId, phase: crate::Phase },
    #[error(transparent)]
    Phase(#[from] PhaseError),
    #[error("the agent's state is closed because its thread ended; start wharfd again")]
    Closed,
}

impl StateError {
    pub(crate) fn corrupt(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Corrupt { what, source: source.into() }
    }

    /// The same error, as part of `act`.
    pub(crate) fn during(self, act: &'static str) -> Self {
        match self {
            Self::Database { source, .. } => Self::Database { act, source },
            other => other,
        }
    }
}

impl From<rusqlite::Error> for StateError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Database { act: "read or write", source }
    }
}
