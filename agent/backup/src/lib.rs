//! Backups: a project's files and its databases' dumps, as one checked snapshot in a repository of restic's format.
//!
//! The agent uses two things of this crate: [`run`], which starts a child process and hands it one request, and
//! [`child_main`], which is that child. The child alone opens the repository.
//!
//! **Invariants**
//! - A snapshot is written last, and only after everything that it names was read back and checked: a failing dump, an
//!   unreadable file, a full disk or a kill at any moment leaves no snapshot ([`gate`]).
//! - One process works on a repository at a time, by a lock that dies with it ([`lock`]).
//! - No secret is in an argument list, an event or an error; the key is read from a file of mode 0600 ([`key`]).
//! - Memory is bounded: dumps and files are streamed in both directions, and there are no temporary copies.
//! - Nothing outside this crate names rustic, so that the library can be replaced.

mod attributes;
mod backup;
mod check;
mod child;
mod commands;
mod compare;
mod copy;
mod dump;
mod error;
mod exec;
mod forget;
mod freezer;
mod gate;
mod hold;
mod instance;
mod key;
mod ledger;
mod line;
mod list;
mod load;
mod location;
mod lock;
mod manifest;
mod mysql;
mod packs;
mod panics;
mod parent;
mod patience;
mod place;
mod postgres;
mod read_back;
mod reader;
mod redis;
mod report;
mod repository;
mod request;
mod restore;
mod sealed;
mod source;
mod sqlite;
mod statements;
mod stream;
mod trailer;
mod verify;
mod volumes;
mod walk;

pub use child::child_main;
pub use commands::counts;
pub use error::BackupError;
pub use freezer::thaw;
pub use key::{Initialized, RecoveryKey, init_repo, recovery_key, recovery_key_file};
pub use location::Location;
pub use mysql::{identifier as mysql_identifier, literal as mysql_literal};
pub use parent::{Child, run};
pub use place::{Place, S3Place, SftpPlace};
pub use redis::{DRILL_FOLDER, RedisFile, RedisLoaded, drill_command, redis_file, redis_loaded, redis_save};
pub use report::{
    AppsReport, BackupInfo, BackupReport, CheckReport, CompareReport, CopiedBackup, CopyReport,
    DumpOutReport, DumpReport, ForgetReport, InitReport, ListReport, LoadReport, Phase, Progress,
    RestoreReport, SqliteReport, TableRows, Update, VolumeReport, label_of, service_of,
};
pub use request::{
    AppsRequest, BackupRequest, CheckRequest, ColdRequest, CompareRequest, CopyRequest, DumpOutRequest,
    DumpRequest, ForgetRequest, Hold, HoldRequest, InitRequest, ListRequest, LoadRequest, LoadTarget,
    LookRequest, ProjectTree, ReadBack, Request, RestoreRequest, SqliteRequest, ThinRequest, VolumeRequest,
};
pub use statements::{script, sql};

/// A table by which a database that a restore makes is known as its own until it is whole. MySQL knows no renaming of
/// databases.
pub const MARKER_TABLE: &str = "wharf_restore_in_progress";
