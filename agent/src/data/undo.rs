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

/// The databases that change their names, the folders that change their places, and who writes to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swaps {
    pub project: String,
    pub swaps: Vec<Swap>,
    #[serde(default)]
    pub folders: Vec<Exchange>,
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

/// A folder, a volume's say, and the restored one that takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// As the backup calls it.
    pub label: String,
    /// Where what is live lies.
    pub live: PathBuf,
    /// Where the restored one lies until it is put in place; the job's own.
    pub staged: PathBuf,
    /// Where what was live lies from then on.
    pub kept: PathBuf,
    /// The volume that what was live is from then on; `None`: a folder.
    pub volume: Option<String>,
    /// The inode number of what was live.
    pub old: u64,
    /// The inode number of the restored one.
    pub new: u64,
    /// The server whose data it is: it is to save before, and to read all of it after.
    #[serde(default)]
    pub redis: Option<RedisServer>,
    /// The server whose data it is: what is restored is made from a copy of what it holds once it has stopped.
    #[serde(default)]
    pub mysql: Option<MysqlServer>,
}

impl Exchange {
    /// The container of the server whose data it is.
    pub fn server(&self) -> Option<&str> {
        let redis = self.redis.as_ref().map(|server| server.container.as_str());
        redis.or_else(|| self.mysql.as_ref().map(|server| server.at.container.as_str()))
    }
}

/// A server of MySQL or MariaDB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MysqlServer {
    pub at: Address,
    /// What is restored; it must serve these in the end.
    pub databases: Vec<String>,
    /// What is in them, each with its database.
    #[serde(default)]
    pub tables: Vec<(String, String)>,
}

/// A server of Redis or Valkey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedisServer {
    pub service: String,
    pub container: String,
    /// How many keys are in what is restored, where that was counted.
    pub keys: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    pub service: String,
    pub container: String,
    /// Whether it was healthy, and so must be again.
    pub healthy: bool,
}
