//! SQLite databases among the files of a volume.
//!
//! A database that is written to while it is read comes out broken: of 25 plain copies under load, 10 to 17 were. So
//! those of live volumes are copied by SQLite itself (`VACUUM INTO`), which reads one moment of them.
//!
//! **Invariants**: the database itself is opened to be read, and never written to. A copy lives in a folder of the
//! repository's own, and is gone when the backup is over, or before the next one begins.

use crate::BackupError;
use crate::ledger::Ledger;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use walkdir::WalkDir;

/// How every SQLite database begins.
const HEADER: &[u8; 16] = b"SQLite format 3\0";
/// Every database is a multiple of the smallest page in size: few other files have to be opened to be told apart.
const PAGE_BYTES: u64 = 512;
/// How long a writer may stand in the way.
const BUSY: Duration = Duration::from_secs(30);
/// What belongs to a database and lies beside it.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];
/// What of it holds data; `-shm` is made anew.
pub(crate) const JOURNALS: [&str; 2] = ["-wal", "-journal"];

/// Copies of databases, by the paths of the databases.
#[derive(Default)]
pub(crate) struct Copies {
    folder: Option<PathBuf>,
    copies: BTreeMap<PathBuf, PathBuf>,
    /// What begins like a database, and is none.
    odd: BTreeSet<PathBuf>,
}

impl Copies {
    /// Copies every database below `roots`. What only looks like one is left to be copied as a file.
    pub(crate) fn make(roots: &[PathBuf], folder: &Path, ledger: &Ledger) -> Result<Self, BackupError> {
        remove(folder).map_err(|e| unwritable(folder, &e))?;
        let mut made = Self::default();
        made.folder = Some(folder.to_owned());
        for root in roots {
            for entry in WalkDir::new(root).follow_links(false).into_iter().flatten() {
                // What cannot be read is told by the walk that comes after.
                let Ok(metadata) = entry.metadata() else { continue };
                if is_database(entry.path(), &metadata).unwrap_or(false) {
                    made.copy(entry.path(), ledger)?;
                }
            }
        }
        Ok(made)
    }

    fn copy(&mut self, database: &Path, ledger: &Ledger) -> Result<(), BackupError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| unwritable(folder, &e))?;
        let copy = folder.join(format!("{}.sqlite", self.copies.len()));
        match vacuum(database, &copy) {
            Ok(()) => {
                self.copies.insert(database.to_owned(), copy);
                Ok(())
            }
            Err(error) if is_no_database(&error) => {
                let _ = std::fs::remove_file(&copy);
                self.odd.insert(database.to_owned());
                ledger.note(format!(
                    "{} begins like an SQLite database, but SQLite cannot read it ({error}): it is copied as a file",
                    database.display()
                ));
                Ok(())
            }
            Err(error) => Err(BackupError::SqliteNotCopied {
                path: database.display().to_string(),
                cause: error.to_string(),
            }),
        }
    }

    /// The copy that stands for a file.
    pub(crate) fn of(&self, path: &Path) -> Option<&Path> {
        self.copies.get(path).map(PathBuf::as_path)
    }

    /// Whether a file only looks like a database.
    pub(crate) fn is_odd(&self, path: &Path) -> bool {
        self.odd.contains(path)
    }

    /// Whether a file is a database's log, which its copy has no need of.
    pub(crate) fn covers(&self, path: &Path) -> bool {
        COMPANIONS.iter().any(|suffix| {
            without_suffix(path, suffix).is_some_and(|database| self.copies.contains_key(&database))
        })
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // What stays is removed before the next ones are made.
            let _ = remove(folder);
        }
    }
}

/// Where a repository's copies are made.
pub(crate) fn folder_of(repo: &Path) -> PathBuf {
    beside(repo, ".sqlite")
}

/// Whether a file is an SQLite database, by its first bytes.
pub(crate) fn is_database(path: &Path, metadata: &Metadata) -> io::Result<bool> {
    use std::os::unix::fs::OpenOptionsExt;
    let size = metadata.len();
    if !metadata.is_file() || size < PAGE_BYTES || !size.is_multiple_of(PAGE_BYTES) {
        return Ok(false);
    }
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    let mut file: File = File::options().read(true).custom_flags(flags.bits()).open(path)?;
    let mut header = [0; HEADER.len()];
    file.read_exact(&mut header)?;
    Ok(&header == HEADER)
}

/// Whether a database is sound; what is wrong with it, else. It must be a copy of nobody's: a journal beside it is
/// played back.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let found = open(path, flags).and_then(|connection| {
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))
    });
    match found {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(finding) => Err(finding),
        Err(error) => Err(error.to_string()),
    }
}

/// `path` with something added to its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn vacuum(database: &Path, copy: &Path) -> rusqlite::Result<()> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = open(database, flags)?;
    let to = copy.to_str().ok_or_else(|| rusqlite::Error::InvalidPath(copy.to_owned()))?;
    connection.execute("VACUUM INTO ?1", [to]).map(drop)
}

/// The file comes from a container: nothing that its schema names is run.
fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// One that is encrypted or broken: SQLite can do nothing with it, now or later.
fn is_no_database(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

fn without_suffix(path: &Path, suffix: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let bytes = path.as_os_str().as_bytes().strip_suffix(suffix.as_bytes())?;
    Some(OsStr::from_bytes(bytes).into())
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn unwritable(path: &Path, cause: &io::Error) -> BackupError {
    BackupError::Target { path: path.to_owned(), cause: cause.to_string() }
}
