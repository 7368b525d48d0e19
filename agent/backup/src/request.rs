//! What the child can be asked for.

use crate::location::Location;
use crate::place::Place;
use crate::report;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::PathBuf;
use wharf_proto::BackupId;
use wharf_proto::database::DatabaseKind;
use wharf_proto::spec::{DumpSpec, VolumeMode};

/// Something that the child can be asked for, and what it answers.
pub trait Request: Into<AnyRequest> + Send {
    type Report: DeserializeOwned + Send;
}

/// Make one snapshot of a project, its databases and cold copies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackupRequest {
    pub repo: PathBuf,
    pub key_file: PathBuf,
    pub docker_socket: PathBuf,
    pub project: Option<ProjectTree>,
    pub dumps: Vec<DumpRequest>,
    pub cold: Vec<ColdRequest>,
    #[serde(default)]
    pub volumes: Vec<VolumeRequest>,
    /// Who is held while volumes that are not live are copied.
    #[serde(default)]
    pub holds: Vec<HoldRequest>,
    /// A file with what another machine needs to bring the app back; in the snapshot `/recovery.json`.
    #[serde(default)]
    pub recovery: Option<PathBuf>,
    pub tags: Vec<String>,
    /// The server's name, as the snapshot will carry it.
    pub host: String,
    pub time: Timestamp,
}

/// A project's files; in the snapshot below `/project`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectTree {
    pub root: PathBuf,
    /// Mounted data, as absolute paths: the folder itself is kept, empty; what is in it is not the project's.
    pub exclude: Vec<PathBuf>,
}

/// A database. In the snapshot: of PostgreSQL `/dumps/<label>.pgdump` and `/dumps/<label>.globals.sql`, of MySQL
/// `/dumps/<label>.sql` and `/dumps/<label>.events.sql`, of Redis `/dumps/<label>.rdb`, of any other `/dumps/<label>.dump`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DumpRequest {
    /// As in `db/fitness`: words of letters, digits, `.`, `_` and `-`, joined by slashes.
    pub label: String,
    #[serde(default)]
    pub kind: DatabaseKind,
    /// The container that the database runs in, by name or id.
    pub container: String,
    /// `None`: who the container's environment says; Redis has none.
    pub user: Option<String>,
    /// `None`: what the container's environment says. Of a MySQL server that was made without one, each of its databases
    /// is dumped, as `<label>/<name>`.
    pub database: Option<String>,
    /// The project's own commands, for a database of no kind that Wharf knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<DumpSpec>,
}

/// A folder that is copied as it lies on the disk; in the snapshot below `/cold/<label>`. Whoever writes to it must
/// have been stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColdRequest {
    pub label: String,
    pub path: PathBuf,
}

/// A volume, or a folder of data; in the snapshot below `/volumes/<label>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VolumeRequest {
    /// One word of letters, digits, `.`, `_` and `-`.
    pub label: String,
    /// The volume's name on the engine; `None`: it is a folder.
    pub volume: Option<String>,
    /// Where it lies on this machine.
    pub path: PathBuf,
    pub mode: VolumeMode,
    /// Somebody may write to it meanwhile, so SQLite databases in it are copied by SQLite.
    pub live: bool,
}

/// A container that is not to write while volumes are copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRequest {
    /// By name or id.
    pub container: String,
    /// As people know it.
    pub service: String,
    pub how: Hold,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    Pause,
    Stop,
}

/// Make the repository and its key, where there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InitRequest {
    pub repo: PathBuf,
    pub key_file: PathBuf,
}

/// What snapshots are there?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListRequest {
    pub repo: PathBuf,
    pub key_file: PathBuf,
    /// Whether to wait for somebody else who works on the repository.
    #[serde(default)]
    pub patient: bool,
}

/// What snapshots are in a repository that lies elsewhere?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LookRequest {
    pub from: Location,
}

/// Which apps have a repository in this place?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppsRequest {
    pub place: Place,
}

/// Write the files below a path of a snapshot to an empty folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestoreRequest {
    pub repo: PathBuf,
    pub key_file: PathBuf,
    pub snapshot: BackupId,
    /// As in `/project`; `/` for all.
    pub path: String,
    pub to: PathBuf,
}

/// Is a folder what lies below a path of a snapshot, and nothing more?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompareRequest {
    pub repo: PathBuf,
    pub key_file: PathBuf,
    pub snapshot: BackupId,
    /// As in `/volumes/uploads`.
    pub path: String,
    pub with: PathBuf,
}

/// Write one file of a snapshot, a dump say, to a new file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DumpOutRequest {
    pub repo: PathBuf,
    pub key_file: PathBuf,
    pub snapshot: BackupId,
    /// As in `/dumps/db/fitness.pgdump`.
    pub path: String,
    pub to: PathBuf,
}

/// Restore one database's dump into a database that is there and empty, and count what came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadRequest {
    pub repo: PathBuf,
    pub key_file: PathBuf,
    pub docker_socket: PathBuf,
    pub snapshot: BackupId,
    /// The dump's, as the backup was asked for it.
    pub label: String,
    pub into: LoadTarget,
}

/// Where a dump is restored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadTarget {
    /// By name or id.
    pub container: String,
    /// `None`: the container's own.
    pub user: Option<String>,
    /// `None`: for a server that is nothing but this. The database that was dumped is made; in PostgreSQL with its own
    /// encoding and locale, after the roles of the dump's server were made.
    pub database: Option<String>,
}

/// Is the repository whole?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckRequest {
    pub repo: PathBuf,
    pub key_file: PathBuf,
    /// Read and hash every pack; without it only structure and sizes are looked at.
    pub read_data: bool,
    /// Look at what this backup needs, and not at every backup.
    #[serde(default)]
    pub snapshot: Option<BackupId>,
}

/// Are the SQLite databases in a snapshot's volumes sound? They are looked at as copies in a folder, which must not exist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SqliteRequest {
    pub repo: PathBuf,
    pub key_file: PathBuf,
    pub snapshot: BackupId,
    pub scratch: PathBuf,
}

/// Drop snapshots, and then what only they needed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForgetRequest {
    pub repo: PathBuf,
    pub key_file: PathBuf,
    pub ids: Vec<BackupId>,
    /// Whether to free the space now.
    pub prune: bool,
}

/// Drop copies of backups from a place that lies elsewhere, and then what only they needed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThinRequest {
    pub at: Location,
    /// By the ids that the copies have there.
    pub ids: Vec<BackupId>,
    /// For how long what nothing needs any more stays there: whoever is reading it just now, on another machine, goes on.
    pub grace_hours: u32,
}

/// Copy backups that another repository lacks to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CopyRequest {
    pub from: Location,
    pub to: Location,
    /// These alone; empty: all.
    pub only: Vec<BackupId>,
    /// At most so many, the newest.
    pub newest: Option<u64>,
    pub read_back: ReadBack,
}

/// How much of what was copied is read again. Sizes are always compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadBack {
    Sizes,
    /// Some of it, chosen at random.
    #[default]
    Sample,
    All,
}

/// Any request, as it travels to the child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum AnyRequest {
    Init(InitRequest),
    Backup(BackupRequest),
    List(ListRequest),
    Restore(RestoreRequest),
    Compare(CompareRequest),
    DumpOut(DumpOutRequest),
    Load(LoadRequest),
    Check(CheckRequest),
    Sqlite(SqliteRequest),
    Forget(ForgetRequest),
    Copy(CopyRequest),
    Thin(ThinRequest),
    Look(LookRequest),
    Apps(AppsRequest),
}

macro_rules! requests {
    ($($variant:ident($request:ident) -> $report:ident),* $(,)?) => {$(
        impl From<$request> for AnyRequest {
            fn from(request: $request) -> Self {
                Self::$variant(request)
            }
        }
        impl Request for $request {
            type Report = report::$report;
        }
    )*};
}

requests! {
    Init(InitRequest) -> InitReport,
    Backup(BackupRequest) -> BackupReport,
    List(ListRequest) -> ListReport,
    Restore(RestoreRequest) -> RestoreReport,
    Compare(CompareRequest) -> CompareReport,
    DumpOut(DumpOutRequest) -> DumpOutReport,
    Load(LoadRequest) -> LoadReport,
    Check(CheckRequest) -> CheckReport,
    Sqlite(SqliteRequest) -> SqliteReport,
    Forget(ForgetRequest) -> ForgetReport,
    Copy(CopyRequest) -> CopyReport,
    Thin(ThinRequest) -> ForgetReport,
    Look(LookRequest) -> ListReport,
    Apps(AppsRequest) -> AppsReport,
}
