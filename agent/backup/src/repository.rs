//! Opening the repository.
//!
//! A handle is opened for each piece of work and never kept: it does not see what others, or earlier handles, wrote.

use crate::gate::Gate;
use crate::key::{COARSE, coarse, read_key};
use crate::line::Outbox;
use crate::lock::{PATIENCE, RepositoryLock, sweep};
use crate::patience::Patience;
use crate::{BackupError, ledger::Ledger};
use rustic_core::repofile::SnapshotFile;
use rustic_core::{
    ConfigOptions, Credentials, HexId, IndexedFullStatus, OpenStatus, Repository, RepositoryBackends,
    RepositoryOptions,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wharf_proto::BackupId;

/// A repository that can be read and searched.
pub(crate) type Indexed = Repository<IndexedFullStatus>;

/// A repository that this process holds the lock of.
pub(crate) struct Store {
    pub(crate) repo: PathBuf,
    pub(crate) gate: Gate,
    /// Whether what is written is cut into larger chunks than the repository's own.
    coarse: AtomicBool,
    credentials: Credentials,
    _lock: RepositoryLock,
}

impl Store {
    /// Locks the repository, waiting a while for others, and reads its key.
    pub(crate) fn lock(repo: &Path, key_file: &Path) -> Result<Self, BackupError> {
        Self::lock_within(repo, key_file, PATIENCE)
    }

    /// As [`Store::lock`], with another patience.
    pub(crate) fn lock_within(repo: &Path, key_file: &Path, patience: Duration) -> Result<Self, BackupError> {
        if !repo.join("config").exists() {
            return Err(BackupError::RepositoryMissing { repo: repo.to_owned() });
        }
        let lock = RepositoryLock::take_within(repo, patience)?;
        let credentials = Credentials::Masterkey(read_key(key_file)?);
        sweep(repo, &lock);
        let (gate, coarse) = (Gate::new(repo)?, AtomicBool::new(false));
        Ok(Self { repo: repo.to_owned(), gate, coarse, credentials, _lock: lock })
    }

    /// A repository that lies somewhere else; `lock` is this server's.
    pub(crate) fn new(repo: PathBuf, gate: Gate, credentials: Credentials, lock: RepositoryLock) -> Self {
        Self { repo, gate, coarse: AtomicBool::new(false), credentials, _lock: lock }
    }

    /// A fresh handle.
    pub(crate) fn open(&self) -> Result<Repository<OpenStatus>, BackupError> {
        open(self.gate.clone(), &self.credentials)
    }

    /// A fresh handle that tells how far a check has read.
    pub(crate) fn open_telling(&self, outbox: &Arc<Outbox>) -> Result<Repository<OpenStatus>, BackupError> {
        let patience = Patience { outbox: Some(Arc::clone(outbox)) };
        let handle = handle_with(self.gate.clone(), patience)?;
        handle.open(&self.credentials).map_err(BackupError::rustic("open with this key"))
    }

    /// Has this run cut what it writes into larger chunks. The repository's own settings stay as they are.
    pub(crate) fn cut_coarsely(&self) {
        self.gate.keep_config();
        self.coarse.store(true, Ordering::Relaxed);
    }

    /// Has this run compare what it encrypts with what it was made of, before it is written: for what nobody reads back.
    pub(crate) fn check_writes(&self) -> Result<(), BackupError> {
        let mut repository = self.open()?;
        if !repository.config().extra_verify() {
            self.gate.keep_config();
            // It is the handles that are opened from now on that do so.
            let options = ConfigOptions::default().set_extra_verify(true);
            repository.apply_config(&options).map_err(BackupError::rustic("be set up"))?;
        }
        Ok(())
    }

    /// A fresh handle to write through.
    pub(crate) fn open_to_write(&self) -> Result<Repository<OpenStatus>, BackupError> {
        let mut repository = self.open()?;
        let own = repository.config().chunk_size() as u64;
        if self.coarse.load(Ordering::Relaxed) && own < COARSE.as_u64() {
            let options = coarse().set_extra_verify(repository.config().extra_verify);
            repository.apply_config(&options).map_err(BackupError::rustic("be set up"))?;
        }
        Ok(repository)
    }

    /// A fresh handle with the index loaded.
    pub(crate) fn open_indexed(&self) -> Result<Indexed, BackupError> {
        self.open()?.to_indexed().map_err(BackupError::rustic("read its index"))
    }

    /// The fault that a run should be blamed on: its own, else the gate's.
    pub(crate) fn fault(&self, ledger: &Ledger) -> Option<BackupError> {
        self.gate.fault().or_else(|| ledger.fault())
    }
}

pub(crate) fn open(gate: Gate, credentials: &Credentials) -> Result<Repository<OpenStatus>, BackupError> {
    handle(gate)?.open(credentials).map_err(BackupError::rustic("open with this key"))
}

pub(crate) fn handle(gate: Gate) -> Result<Repository<()>, BackupError> {
    handle_with(gate, Patience::default())
}

fn handle_with(gate: Gate, patience: Patience) -> Result<Repository<()>, BackupError> {
    let backends = RepositoryBackends::new(Arc::new(gate), None);
    // A cache in somebody's home would only be a second copy of files that are on this disk already.
    let options = RepositoryOptions::default().no_cache(true);
    Repository::new_with_progress(&options, &backends, patience).map_err(BackupError::rustic("open"))
}

/// One snapshot, by its whole id or the beginning of it.
pub(crate) fn snapshot<S: rustic_core::Open>(
    repository: &Repository<S>,
    id: &BackupId,
) -> Result<SnapshotFile, BackupError> {
    let hexadecimal = !id.0.is_empty() && id.0.bytes().all(|b| b.is_ascii_hexdigit());
    if !hexadecimal {
        return Err(BackupError::NotFound { what: format!("a backup {id}") });
    }
    repository
        .get_snapshot_from_str(&id.0, |_| true)
        .map_err(|_| BackupError::NotFound { what: format!("a backup {id}") })
}

pub(crate) fn backup_id(id: HexId) -> BackupId {
    BackupId(id.as_str().to_owned())
}
