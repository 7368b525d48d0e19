//! What a job about data makes or changes, written down before it does.

use super::database::Address;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum Undo {
    /// A folder of the job's own.
    Folder { path: PathBuf },
    /// A database of the job's own. One that has got another name since is not the job's any more.
    Database { at: Address, name: String },
    /// A container that runs is frozen or stopped while data that it writes is copied ([`crate::jobs::hold`]).
    Held { container: String, how: wharf_backup::Hold },
    /// Migrations are about to be applied or taken back.
    Migrations { before: Vec<crate::migrations::Before> },
    /// What is live is about to be swapped.
    Swap(Swaps),
}

/// The databases that change their names, and who writes to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swaps {
    pub project: String,
    pub swaps: Vec<Swap>,
    /// The services that ran and write, with their containers.
    pub writers: Vec<Writer>,
}

/// One database's change of name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    pub at: Address,
    /// The name that the app knows.
    pub live: String,
    /// The name of the restored one until it is live.
    pub restored: String,
    /// The name of the old one from then on; `None`: there was none.
    pub kept: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    pub service: String,
    pub container: String,
    /// Whether it was healthy, and so must be again.
    pub healthy: bool,
}
