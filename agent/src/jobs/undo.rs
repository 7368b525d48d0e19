//! What a job writes down before it acts, so that whoever comes later can put everything back.
//!
//! **Invariants**: an entry is durable before the act it undoes. Undoing is idempotent: an act that never happened, or was
//! undone already, is left alone. Only what this job wrote is touched.

use super::role::RoleChange;
use serde::{Deserialize, Serialize};
use wharf_plan::facts::ContainerFacts;
use wharf_proto::{Entry, RelPath, ReleaseId};

/// One act's undo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum Undo {
    /// What ran before the job: the first entry of every journal.
    Before {
        project: String,
        live: Option<ReleaseId>,
        containers: Vec<ContainerFacts>,
    },
    File(FileUndo),
    /// A tag that named `before` (nothing, where it is new) will name `after`.
    Tag {
        reference: String,
        before: Option<String>,
        after: String,
    },
    /// A role of a database is given the password that the env file holds; after the env file it is given the old one.
    Role {
        project: String,
        role: RoleChange,
    },
    /// A container that runs is stopped for a while.
    Stopped {
        container: String,
    },
    /// A container that runs is frozen or stopped while data that it writes is copied ([`super::hold`]).
    Held {
        container: String,
        how: wharf_backup::Hold,
    },
    /// A tag of the release's own: it goes if the release never lives.
    Pin {
        tag: String,
    },
}

/// The undo of one change in the app directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "file", rename_all = "snake_case")]
pub enum FileUndo {
    /// The original lies in the undo folder under this number and goes back to `path`.
    Restore { path: RelPath, saved: u32 },
    /// Nothing stood at the entry's path: what the job wrote there goes, if it is still what the job wrote.
    Remove { wrote: Entry },
    /// The job makes this folder: it goes, if it is empty.
    RemoveFolder { path: RelPath },
    /// The job removes this empty folder.
    MakeFolder { path: RelPath, mode: u32, uid: u32, gid: u32 },
    /// The job makes the app directory itself.
    RemoveAppDir,
}
