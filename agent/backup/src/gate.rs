//! The repository's files, with the guards that the stock backend lacks.
//!
//! **Invariants**
//! - No snapshot reaches the disk until [`Gate::release`]: what rustic writes as a snapshot is held here, so that a run
//!   that fails, or a process that is killed, leaves at most packs that nothing names.
//! - The first failing write is kept. rustic may turn it into a log line; [`Gate::fault`] does not forget.
//! - When a write returns, the file *and its name* are durable.

use crate::BackupError;
use crate::lock::sync_folder;
use bytes::Bytes;
use nix::errno::Errno;
use rustic_backend::LocalBackend;
use rustic_core::{BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend};
use std::error::Error;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A backend that keeps snapshots back. Clones are the same gate.
#[derive(Clone)]
pub(crate) struct Gate {
    inner: Arc<dyn WriteBackend>,
    repo: PathBuf,
    /// It lies on a disk of this server, below `repo`.
    local: bool,
    /// Nothing may be removed, whatever the library thinks of it.
    keeps_all: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<(Id, BytesList)>,
    fault: Option<BackupError>,
    written: Vec<(FileType, Id)>,
    written_bytes: u64,
    /// What can be read and lies nowhere.
    shown: Vec<Shown>,
    /// What a run sets for itself is not written down.
    keeps_config: bool,
    /// What it has set, for the handles that it opens.
    config: Option<BytesList>,
}

/// A file of the repository that exists in memory alone.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) kind: FileType,
    pub(crate) id: Id,
    pub(crate) content: Bytes,
}

impl Gate {
    pub(crate) fn new(repo: &Path) -> Result<Self, BackupError> {
        let path = repo
            .to_str()
            .ok_or_else(|| BackupError::Invalid { what: format!("{} is not UTF-8", repo.display()) })?;
        let inner =
            LocalBackend::new(path, std::iter::empty()).map_err(BackupError::rustic("open its folder"))?;
        Ok(Self {
            inner: Arc::new(inner),
            repo: repo.to_owned(),
            local: true,
            keeps_all: false,
            state: Arc::default(),
        })
    }

    /// A gate before files somewhere else; `name` is for people.
    pub(crate) fn over(inner: impl WriteBackend, name: PathBuf) -> Self {
        Self { inner: Arc::new(inner), repo: name, local: false, keeps_all: false, state: Arc::default() }
    }

    /// The same, and nothing is ever removed through it.
    pub(crate) fn keeping_all(self) -> Self {
        Self { keeps_all: true, ..self }
    }

    pub(crate) fn is_local(&self) -> bool {
        self.local
    }

    /// Lets the snapshot that is held through, and returns its id.
    pub(crate) fn release(&self) -> Result<Id, BackupError> {
        let held = self.state().held.take();
        let (id, content) = held.ok_or_else(|| BackupError::Repository {
            action: "write the snapshot".to_owned(),
            cause: "there is none".to_owned(),
        })?;
        match self.write_durably(FileType::Snapshot, &id, false, content) {
            Ok(()) => Ok(id),
            Err(error) => {
                Err(self.fault().unwrap_or_else(|| BackupError::rustic("write the snapshot")(error)))
            }
        }
    }

    /// Drops the snapshot that is held.
    pub(crate) fn withhold(&self) {
        self.state().held = None;
    }

    /// The id of the snapshot that is held.
    pub(crate) fn held(&self) -> Option<Id> {
        self.state().held.as_ref().map(|(id, _)| *id)
    }

    /// Has who reads see files that lie nowhere. Nothing but these is shown from now on.
    pub(crate) fn show(&self, files: Vec<Shown>) {
        self.state().shown = files;
    }

    fn shown(&self, kind: FileType, id: &Id) -> Option<Bytes> {
        let state = self.state();
        state.shown.iter().find(|file| (file.kind, &file.id) == (kind, id)).map(|file| file.content.clone())
    }

    /// The first write that failed.
    pub(crate) fn fault(&self) -> Option<BackupError> {
        self.state().fault.clone()
    }

    /// What was written through this gate.
    pub(crate) fn written(&self) -> (Vec<(FileType, Id)>, u64) {
        let state = self.state();
        (state.written.clone(), state.written_bytes)
    }

    /// Has the repository's settings stay as they are on the disk, whatever is written as such: only this gate shows that.
    pub(crate) fn keep_config(&self) {
        self.state().keeps_config = true;
    }

    /// Where a file of the repository lies.
    pub(crate) fn path(&self, kind: FileType, id: &Id) -> PathBuf {
        let hex = id.to_hex();
        let name: &str = &hex;
        match kind {
            FileType::Config => self.repo.join("config"),
            FileType::Pack => self.repo.join("data").join(&name[..2]).join(name),
            _ => self.repo.join(kind.dirname()).join(name),
        }
    }

    fn write_durably(
        &self,
        kind: FileType,
        id: &Id,
        cacheable: bool,
        content: BytesList,
    ) -> RusticResult<()> {
        let size = content.size() as u64;
        let result =
            self.inner.write_bytes(kind, id, cacheable, content).and_then(|()| self.sync_parent(kind, id));
        let mut state = self.state();
        match &result {
            Ok(()) => {
                state.written.push((kind, *id));
                state.written_bytes += size;
            }
            Err(error) => {
                let fault = self.write_fault(error);
                state.fault.get_or_insert(fault);
            }
        }
        result
    }

    fn sync_parent(&self, kind: FileType, id: &Id) -> RusticResult<()> {
        if !self.local {
            return Ok(());
        }
        let path = self.path(kind, id);
        let folder = path.parent().unwrap_or(&self.repo);
        sync_folder(folder).map_err(|error| {
            RusticError::with_source(ErrorKind::InputOutput, "Failed to sync the folder `{path}`", error)
                .attach_context("path", folder.display().to_string())
        })
    }

    fn write_fault(&self, error: &RusticError) -> BackupError {
        let mut source: Option<&(dyn Error + 'static)> = error.source();
        while let Some(cause) = source {
            let code = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
            if code.is_some_and(|code| matches!(Errno::from_raw(code), Errno::ENOSPC | Errno::EDQUOT)) {
                return BackupError::DiskFull { repo: self.repo.clone() };
            }
            source = cause.source();
        }
        BackupError::Repository { action: "write to its folder".to_owned(), cause: error.display_log() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is about to be written, in one piece.
fn whole(content: BytesList) -> RusticResult<Bytes> {
    let mut bytes = Vec::with_capacity(content.size());
    match content.reader().read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes.into()),
        Err(error) => {
            Err(RusticError::with_source(ErrorKind::InputOutput, "What is held cannot be read", error))
        }
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("repo", &self.repo).finish_non_exhaustive()
    }
}

impl ReadBackend for Gate {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn list_with_size(&self, kind: FileType) -> RusticResult<Vec<(Id, u32)>> {
        self.inner.list_with_size(kind)
    }

    fn list(&self, kind: FileType) -> RusticResult<Vec<Id>> {
        let mut found = self.inner.list(kind)?;
        if kind == FileType::Index {
            // Who looks for snapshots and packs looks for those that are there.
            found.extend(self.state().shown.iter().filter(|file| file.kind == kind).map(|file| file.id));
        }
        Ok(found)
    }

    fn read_full(&self, kind: FileType, id: &Id) -> RusticResult<Bytes> {
        if kind == FileType::Snapshot
            && let Some((_, content)) = self.state().held.as_ref().filter(|(held, _)| held == id)
        {
            return whole(content.clone());
        }
        if kind == FileType::Config
            && let Some(config) = self.state().config.clone()
        {
            return whole(config);
        }
        self.shown(kind, id).map_or_else(|| self.inner.read_full(kind, id), Ok)
    }

    fn read_partial(
        &self,
        kind: FileType,
        id: &Id,
        cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        let Some(shown) = self.shown(kind, id) else {
            return self.inner.read_partial(kind, id, cacheable, offset, length);
        };
        let (from, to) = (offset as usize, (offset as usize).saturating_add(length as usize));
        if to > shown.len() || from > to {
            return Err(RusticError::new(ErrorKind::InputOutput, "What is shown is shorter than that."));
        }
        Ok(shown.slice(from..to))
    }

    fn warmup_path(&self, kind: FileType, id: &Id) -> String {
        self.inner.warmup_path(kind, id)
    }
}

impl WriteBackend for Gate {
    fn create(&self) -> RusticResult<()> {
        self.inner.create()
    }

    fn write_bytes(&self, kind: FileType, id: &Id, cacheable: bool, content: BytesList) -> RusticResult<()> {
        if kind == FileType::Snapshot {
            self.state().held = Some((*id, content));
            return Ok(());
        }
        if kind == FileType::Config && self.state().keeps_config {
            self.state().config = Some(content);
            return Ok(());
        }
        self.write_durably(kind, id, cacheable, content)
    }

    fn remove(&self, kind: FileType, id: &Id, cacheable: bool) -> RusticResult<()> {
        if self.keeps_all {
            return Err(RusticError::new(ErrorKind::AppendOnly, "Nothing is removed by a copy."));
        }
        self.inner.remove(kind, id, cacheable)?;
        self.sync_parent(kind, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_on_disk_only_after_its_release() {
        let folder = tempfile::tempdir().unwrap();
        let gate = Gate::new(folder.path()).unwrap();
        gate.create().unwrap();
        let id = Id::random();
        gate.write_bytes(FileType::Snapshot, &id, false, b"snapshot".to_vec().into()).unwrap();
        assert!(!gate.path(FileType::Snapshot, &id).exists());
        assert_eq!(gate.read_full(FileType::Snapshot, &id).unwrap(), b"snapshot".as_slice());
        assert_eq!(gate.release(), Ok(id));
        assert_eq!(std::fs::read(gate.path(FileType::Snapshot, &id)).unwrap(), b"snapshot");
        assert!(gate.release().is_err());
    }

    #[test]
    fn a_snapshot_that_is_withheld_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let gate = Gate::new(folder.path()).unwrap();
        gate.create().unwrap();
        gate.write_bytes(FileType::Snapshot, &Id::random(), false, b"s".to_vec().into()).unwrap();
        gate.withhold();
        assert!(gate.release().is_err());
        assert_eq!(gate.list(FileType::Snapshot).unwrap(), []);
    }

    #[test]
    fn the_first_failing_write_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let gate = Gate::new(&folder.path().join("repo")).unwrap();
        std::fs::write(folder.path().join("repo"), "a file where the folder should be").unwrap();
        gate.write_bytes(FileType::Pack, &Id::random(), false, b"pack".to_vec().into()).unwrap_err();
        assert!(matches!(gate.fault(), Some(BackupError::Repository { .. })), "{:?}", gate.fault());
    }
}
