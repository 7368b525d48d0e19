//! Volumes in a snapshot: counting what goes in, and looking at the SQLite databases in what is there.

use crate::manifest::BackupManifest;
use crate::repository::{Indexed, Store, snapshot};
use crate::restore::{find, write_file};
use crate::{BackupError, SqliteReport, SqliteRequest, VolumeReport, VolumeRequest, sqlite};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use wharf_proto::BackupId;

/// Where volumes are in a snapshot.
pub(crate) const FOLDER: &str = "/volumes";

/// How many databases of one volume are written down, and so tried by a drill.
const DATABASES: usize = 1000;

/// What was seen of a volume while it was walked.
#[derive(Default)]
pub(crate) struct Tally {
    files: AtomicU64,
    size_bytes: AtomicU64,
    sqlite: Mutex<Vec<PathBuf>>,
}

impl Tally {
    pub(crate) fn file(&self, size_bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.size_bytes.fetch_add(size_bytes, Ordering::Relaxed);
    }

    /// A database, by its path in the volume.
    pub(crate) fn database(&self, path: PathBuf) {
        let mut databases = self.sqlite.lock().unwrap_or_else(PoisonError::into_inner);
        if databases.len() < DATABASES {
            databases.push(path);
        }
    }

    pub(crate) fn report(&self, volume: &VolumeRequest) -> VolumeReport {
        VolumeReport {
            label: volume.label.clone(),
            volume: volume.volume.clone(),
            path: volume.path.clone(),
            mode: volume.mode,
            files: self.files.load(Ordering::Relaxed),
            size_bytes: self.size_bytes.load(Ordering::Relaxed),
            sqlite: self.sqlite.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// Where a volume lies in a snapshot.
pub(crate) fn path_of(label: &str) -> PathBuf {
    Path::new(FOLDER).join(label)
}

/// Has SQLite check every database of a snapshot's volumes, each as a copy that is gone afterwards.
pub(crate) fn check_databases(request: &SqliteRequest) -> Result<SqliteReport, BackupError> {
    let store = Store::lock(&request.repo, &request.key_file)?;
    let repository = store.open_indexed()?;
    let found = snapshot(&repository, &request.snapshot)?;
    let volumes = BackupManifest::of(&repository, &found).unwrap_or_default().volumes;
    let mut databases = 0;
    for volume in &volumes {
        for path in &volume.sqlite {
            let path = path_of(&volume.label).join(path);
            check_one(&repository, &request.snapshot, &path, &request.scratch)?;
            databases += 1;
        }
    }
    Ok(SqliteReport { databases })
}

fn check_one(
    repository: &Indexed,
    snapshot: &BackupId,
    path: &Path,
    scratch: &Path,
) -> Result<(), BackupError> {
    let target =
        |error: std::io::Error| BackupError::Target { path: scratch.to_owned(), cause: error.to_string() };
    DirBuilder::new().mode(0o700).create(scratch).map_err(target)?;
    let copy = scratch.join("database");
    let node = find(repository, snapshot, &path.to_string_lossy())?;
    write_file(repository, &node, &copy)?;
    for suffix in sqlite::JOURNALS {
        // Held volumes are copied as they lie on the disk: a database's last transactions may be in its log alone.
        let journal = sqlite::beside(path, suffix);
        if let Ok(node) = find(repository, snapshot, &journal.to_string_lossy()) {
            write_file(repository, &node, &sqlite::beside(&copy, suffix))?;
        }
    }
    let checked = sqlite::check(&copy);
    std::fs::remove_dir_all(scratch).map_err(target)?;
    checked.map_err(|cause| BackupError::SqliteUnsound { path: path.display().to_string(), cause })
}
