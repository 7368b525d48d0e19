//! A repository wherever it lies, with its keys: opened for a copy, or to drop copies.
//!
//! **Invariants**
//! - The master key of a repository that is made elsewhere is on this disk before anything is written there, and bears
//!   its name only when the repository is whole: a repository that was there and is gone is never made anew in silence.
//! - Every repository has the recovery key as a password, so that a person needs that one alone.

use crate::gate::Gate;
use crate::key::{
    beside, config, make_parent, read_key, read_secret, recovery_key_file, sync_parent, write_secret,
};
use crate::lock::{ReadingLock, RepositoryLock, sweep};
use crate::place::Place;
use crate::repository::{Store, handle, open};
use crate::{BackupError, init_repo};
use rustic_core::repofile::MasterKey;
use rustic_core::{Credentials, FileType, KeyOptions, ReadBackend};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A repository, and where its keys are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    pub place: Place,
    /// The master key's file on this server. Made where it is missing.
    pub key_file: PathBuf,
    /// The recovery key's file; the password opens the repository where there is no master key yet.
    pub password_file: PathBuf,
    /// It is the app's own, on this server.
    pub own: bool,
}

/// A repository that is read, beside a process that adds to it. It is not pruned meanwhile.
pub(crate) struct Source {
    pub(crate) gate: Gate,
    pub(crate) credentials: Credentials,
    _lock: Option<ReadingLock>,
}

impl Location {
    /// Opens it to read all of it.
    pub(crate) fn source(&self) -> Result<Source, BackupError> {
        let gate = self.place.gate()?;
        if !exists(&gate)? {
            return Err(BackupError::RepositoryMissing { repo: PathBuf::from(self.place.to_string()) });
        }
        let lock = match &self.place {
            Place::Folder(path) if self.own => Some(ReadingLock::share(path)?),
            _ => None,
        };
        let credentials = if self.key_file.exists() {
            Credentials::Masterkey(read_key(&self.key_file)?)
        } else {
            Credentials::Password(self.password()?)
        };
        self.check(&gate, &credentials)?;
        Ok(Source { gate, credentials, _lock: lock })
    }

    /// Opens it to add to it, and makes it where it is missing.
    pub(crate) fn target(&self) -> Result<Store, BackupError> {
        if let (Place::Folder(path), true) = (&self.place, self.own) {
            let recovery = recovery_key_file(&self.key_file);
            make_parent(&recovery)?;
            if !recovery.exists() {
                write_secret(&recovery, self.password()?.as_bytes())?;
            }
            init_repo(path, &self.key_file)?;
            let store = Store::lock(path, &self.key_file)?;
            store.check_writes()?;
            return Ok(store);
        }
        let (gate, credentials, lock) = self.elsewhere()?;
        Ok(Store::new(PathBuf::from(self.place.to_string()), gate.keeping_all(), credentials, lock))
    }

    /// Opens one that lies elsewhere to drop what is not wanted there any more.
    pub(crate) fn thinned(&self) -> Result<Store, BackupError> {
        let (gate, credentials, lock) = self.elsewhere()?;
        Ok(Store::new(PathBuf::from(self.place.to_string()), gate, credentials, lock))
    }

    fn elsewhere(&self) -> Result<(Gate, Credentials, RepositoryLock), BackupError> {
        self.place.ready()?;
        make_parent(&self.key_file)?;
        // No two of our processes work on one place at a time.
        let lock = RepositoryLock::take(&self.key_file)?;
        let gate = self.place.gate()?;
        let key = match (self.key_file.exists(), exists(&gate)?) {
            (true, true) => read_key(&self.key_file)?,
            (true, false) => return Err(BackupError::ElsewhereGone { place: self.place.to_string() }),
            (false, there) => self.make(&gate, there)?,
        };
        if let Place::Folder(path) = &self.place {
            sweep(path, &lock);
        }
        let credentials = Credentials::Masterkey(key);
        self.check(&gate, &credentials)?;
        Ok((gate, credentials, lock))
    }

    /// Makes the repository, or goes on where making it was cut short, or opens what is there by its password.
    fn make(&self, gate: &Gate, there: bool) -> Result<MasterKey, BackupError> {
        let pending = beside(&self.key_file, ".pending");
        let password = self.password()?;
        let begun = pending.exists().then(|| read_key(&pending)).transpose()?;
        let by_password = || {
            open(gate.clone(), &Credentials::Password(password.clone()))
                .map_err(|_| BackupError::ElsewhereForeign { place: self.place.to_string() })
                .map(|repository| (repository.key(), repository))
        };
        let (key, repository) = match (begun, there) {
            (Some(key), true) => match open(gate.clone(), &Credentials::Masterkey(key.clone())) {
                Ok(repository) => (key, repository),
                // Somebody else made one first; if it is of the same owner, it serves.
                Err(_) => by_password()?,
            },
            (None, true) => by_password()?,
            (begun, false) => {
                let key = match begun {
                    Some(key) => key,
                    None => new_key(&pending)?,
                };
                let made = handle(gate.clone())?
                    .init(
                        &Credentials::Masterkey(key.clone()),
                        &KeyOptions::default(),
                        &config().set_extra_verify(true),
                    )
                    .map_err(|error| self.failed(gate, &error.display_log()))?;
                (key, made)
            }
        };
        let passwords = gate.list(FileType::Key).map_err(BackupError::rustic("list its keys"))?;
        if passwords.is_empty() {
            repository
                .add_key(&password, &KeyOptions::default())
                .map_err(|error| self.failed(gate, &error.display_log()))?;
        }
        self.keep(&pending, &key)?;
        Ok(key)
    }

    /// From here on the repository is known to be there.
    fn keep(&self, pending: &Path, key: &MasterKey) -> Result<(), BackupError> {
        let failed = |cause: &dyn std::fmt::Display| BackupError::Target {
            path: self.key_file.clone(),
            cause: cause.to_string(),
        };
        let json = serde_json::to_vec(key).map_err(|e| failed(&e))?;
        write_secret(&self.key_file, &json)?;
        if pending.exists() {
            std::fs::remove_file(pending).map_err(|e| failed(&e))?;
        }
        sync_parent(&self.key_file)
    }

    fn password(&self) -> Result<String, BackupError> {
        Ok(String::from_utf8_lossy(&read_secret(&self.password_file)?).trim().to_owned())
    }

    fn check(&self, gate: &Gate, credentials: &Credentials) -> Result<(), BackupError> {
        let opened = open(gate.clone(), credentials);
        opened.map(drop).map_err(|_| BackupError::ElsewhereForeign { place: self.place.to_string() })
    }

    fn failed(&self, gate: &Gate, cause: &str) -> BackupError {
        gate.fault().unwrap_or_else(|| BackupError::Elsewhere {
            place: self.place.to_string(),
            cause: cause.to_owned(),
        })
    }
}

fn new_key(file: &Path) -> Result<MasterKey, BackupError> {
    let key = MasterKey::new();
    let json = serde_json::to_vec(&key)
        .map_err(|error| BackupError::Target { path: file.to_owned(), cause: error.to_string() })?;
    write_secret(file, &json)?;
    Ok(key)
}

pub(crate) fn exists(gate: &Gate) -> Result<bool, BackupError> {
    let configs = gate
        .list(FileType::Config)
        .map_err(|error| BackupError::Elsewhere { place: gate.location(), cause: error.display_log() })?;
    Ok(!configs.is_empty())
}
