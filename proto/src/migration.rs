//! Migrations that are a folder of SQL files, held against a database.

use crate::RelPath;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A folder and the database that it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationFolder {
    pub service: String,
    /// The database's name, where it is known.
    #[serde(default)]
    pub database: Option<String>,
    pub folder: RelPath,
    /// The table in the database that says what is applied.
    pub table: String,
    /// By name.
    #[serde(default)]
    pub migrations: Vec<MigrationInfo>,
    /// Why nothing more is known.
    #[serde(default)]
    pub problem: Option<String>,
}

/// One migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationInfo {
    /// The name of its file.
    pub name: String,
    pub state: MigrationState,
    /// When it was applied.
    #[serde(default)]
    pub applied: Option<Timestamp>,
    /// By which release: `v7`.
    #[serde(default)]
    pub release: Option<String>,
    /// Whether the live release has a way back for it.
    #[serde(default)]
    pub has_way_back: bool,
}

/// How a migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MigrationState {
    Applied,
    Pending,
    /// Applied, and its file is another one now.
    Edited,
    /// Begun outside of a transaction, and not known to have ended.
    Unfinished,
    /// Applied, and the live release does not have it.
    Missing,
    /// One that a newer agent tells of and this build does not know.
    #[serde(other)]
    Unknown,
}
