//! What the child answers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use wharf_proto::BackupId;
use wharf_proto::database::DatabaseKind;
use wharf_proto::spec::{DumpSpec, VolumeMode};

/// A snapshot that was written, read back and checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupReport {
    pub id: BackupId,
    /// Files, symlinks included, folders not; dumps too.
    pub files: u64,
    pub size_bytes: u64,
    /// What the repository grew by.
    pub added_bytes: u64,
    pub dumps: Vec<DumpReport>,
    /// The labels of folders that were copied as they lay on the disk.
    #[serde(default)]
    pub cold: Vec<String>,
    #[serde(default)]
    pub volumes: Vec<VolumeReport>,
    pub duration_ms: u64,
}

/// One database's dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpReport {
    pub label: String,
    #[serde(default)]
    pub kind: DatabaseKind,
    /// Where it is in the snapshot.
    pub path: String,
    pub user: String,
    pub database: String,
    pub size_bytes: u64,
    /// Of the dump, as hexadecimal digits.
    pub sha256: String,
    pub server_version: String,
    /// The ID of the image that the container ran.
    pub image: String,
    /// Rows, counted in the snapshot of the database that was dumped, or in the dump itself. Of Redis: keys. Where the project's
    /// own command counts: before the dump and after it.
    pub tables: Vec<TableRows>,
    /// The project's own commands, with which it was made and is restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<DumpSpec>,
}

impl DumpReport {
    /// The service whose server it was dumped from.
    pub fn service(&self) -> &str {
        service_of(&self.label)
    }
}

/// The service that a label tells: all of it, or what stands before the database's own name.
pub fn service_of(label: &str) -> &str {
    label.split_once('/').map_or(label, |(service, _)| service)
}

/// What a database is called that its service's name alone does not tell.
pub fn label_of(service: &str, database: &str) -> String {
    format!("{service}/{}", word(database))
}

/// A database's name as a part of a path; one that is none is told from others by a digest.
fn word(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !name.starts_with('.') && name.chars().all(plain) {
        return name.to_owned();
    }
    let cleaned: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let digest = wharf_proto::Digest::of(name.as_bytes()).to_hex();
    format!("{}-{digest:.8}", cleaned.trim_start_matches('.'))
}

/// What a backup has of one volume, or of a folder of data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeReport {
    pub label: String,
    /// The volume's name on the engine; `None`: it was a folder.
    pub volume: Option<String>,
    /// Where it lay.
    pub path: PathBuf,
    pub mode: VolumeMode,
    /// Files, symlinks included, folders not.
    pub files: u64,
    pub size_bytes: u64,
    /// The SQLite databases, by their paths in the volume; the first of them, where there are very many.
    #[serde(default)]
    pub sqlite: Vec<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    /// `schema.table`; of MySQL the table, of Redis `db0` and so on, or `keys` for all of them; else as its command has it.
    pub table: String,
    pub rows: u64,
    /// It changed between two counts around the dump, of which one found `rows` and the other more: the dump has a number
    /// between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<u64>,
}

impl TableRows {
    /// A table with so many rows, as they were counted.
    pub fn new(table: impl Into<String>, rows: u64) -> Self {
        Self { table: table.into(), rows, up_to: None }
    }
}

/// What is going on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "update", rename_all = "snake_case")]
pub enum Update {
    Progress(Progress),
    /// Something that a person should know and that does not stop the backup.
    Note {
        text: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub phase: Phase,
    /// In this phase.
    pub files: u64,
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Databases are dumped into the repository.
    Dump,
    /// The dumps are read back.
    CheckDumps,
    /// Project files are read.
    Files,
    /// What was written is read back.
    Check,
    Restore,
    Prune,
    /// Backups are copied to another repository.
    Copy,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitReport {
    /// `false`: the repository was there already.
    pub created: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListReport {
    /// Oldest first.
    pub backups: Vec<BackupInfo>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupInfo {
    pub id: BackupId,
    /// In a copy: the id that it has in the repository that it was made in.
    #[serde(default)]
    pub original: Option<BackupId>,
    pub time: Timestamp,
    pub host: String,
    pub tags: Vec<String>,
    pub files: u64,
    pub size_bytes: u64,
    pub dumps: Vec<DumpReport>,
    #[serde(default)]
    pub volumes: Vec<VolumeReport>,
    /// The labels of folders that were copied as they lay on the disk.
    #[serde(default)]
    pub cold: Vec<String>,
    /// Whether it says what another machine needs to bring the app back.
    #[serde(default)]
    pub recoverable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppsReport {
    /// By name.
    pub apps: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreReport {
    pub files: u64,
    pub size_bytes: u64,
}

/// What was compared, and is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareReport {
    pub files: u64,
    pub size_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpOutReport {
    pub size_bytes: u64,
    pub sha256: String,
}

/// A dump that was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadReport {
    /// The dump as it was recorded when it was made.
    pub dump: DumpReport,
    /// What came back.
    pub tables: Vec<TableRows>,
    pub duration_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    pub snapshots: u64,
    /// Odd, but nothing is lost: what an interrupted backup left, say.
    pub warnings: Vec<String>,
}

/// What is in the other repository now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyReport {
    /// Newest first.
    pub copied: Vec<CopiedBackup>,
    /// Those that were there already.
    pub present: Vec<CopiedBackup>,
    /// What the other repository grew by.
    pub added_bytes: u64,
    pub duration_ms: u64,
}

/// A backup, and the same one in another repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedBackup {
    /// In the repository that it was made in.
    pub id: BackupId,
    /// In the one that it was copied to.
    pub copy: BackupId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqliteReport {
    /// How many databases there were; all of them are sound.
    pub databases: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetReport {
    pub removed: u64,
    pub freed_bytes: u64,
}
