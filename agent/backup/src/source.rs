//! What a snapshot is made of: entries in the order of the tree, each with a way to read it.
//!
//! **Invariant**: an entry that cannot be had is a fault of the [`Ledger`], never silently absent. rustic logs and
//! ignores errors of its sources.

use crate::BackupError;
use crate::ledger::Ledger;
use crate::reader::{BytesReader, FileReader, Source, StreamReader};
use jiff::Timestamp;
use rustic_core::repofile::{Metadata, Node, NodeType};
use rustic_core::{ErrorKind, ReadSource, ReadSourceEntry, ReadSourceOpen, RusticError, RusticResult};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// One entry of a snapshot.
pub(crate) struct Entry {
    /// Its path in the snapshot: absolute.
    pub(crate) path: PathBuf,
    pub(crate) node: Node,
    /// For files.
    pub(crate) open: Option<Opener>,
}

impl Entry {
    /// A file that is no file on the disk. It is never taken for one of an earlier snapshot, whose content would then stand
    /// for its own: no other has this moment as the time of its last change.
    pub(crate) fn made(
        path: &str,
        size_bytes: u64,
        time: Timestamp,
        open: Opener,
    ) -> Result<Self, BackupError> {
        Ok(Self { path: path.into(), node: Self::node(path, size_bytes, time)?, open: Some(open) })
    }

    /// What a snapshot has of such a file, but for its content.
    pub(crate) fn node(path: &str, size_bytes: u64, time: Timestamp) -> Result<Node, BackupError> {
        let name = Path::new(path)
            .file_name()
            .ok_or_else(|| BackupError::Invalid { what: format!("{path} names no file") })?;
        let metadata = Metadata {
            mode: Some(0o600),
            mtime: Some(time),
            ctime: Some(Timestamp::now()),
            size: size_bytes,
            links: 1,
            ..Metadata::default()
        };
        Ok(Node::new_node(name, NodeType::File, metadata))
    }

    /// A folder that is none on the disk, as rustic makes those that have no entry of their own.
    pub(crate) fn folder(path: &str) -> Self {
        let path = PathBuf::from(path);
        let name = path.file_name().unwrap_or_default();
        let node = Node::new_node(name, NodeType::Dir, Metadata { mode: Some(0o755), ..Metadata::default() });
        Self { path, node, open: None }
    }
}

/// How a file's content is had. Nothing is opened or started before rustic asks.
pub(crate) enum Opener {
    File {
        path: PathBuf,
        size_bytes: u64,
        mtime: Option<Timestamp>,
        ledger: Arc<Ledger>,
    },
    Bytes(bytes::Bytes),
    Stream {
        start: Box<dyn FnOnce() -> StreamReader + Send>,
        ledger: Arc<Ledger>,
    },
    /// It is in the repository, and rustic was told so ([`crate::backup`]).
    Stored {
        path: PathBuf,
        ledger: Arc<Ledger>,
    },
}

impl ReadSourceOpen for Opener {
    type Reader = Source;

    fn open(self) -> RusticResult<Source> {
        match self {
            Self::File { path, size_bytes, mtime, ledger } => {
                match FileReader::open(&path, size_bytes, mtime, Arc::clone(&ledger)) {
                    Ok(Some(reader)) => {
                        ledger.opened();
                        Ok(Source::File(reader))
                    }
                    Ok(None) => {
                        ledger.vanished();
                        ledger.note(format!("{} went away while it was backed up", path.display()));
                        Err(refused("the file went away"))
                    }
                    Err(fault) => {
                        ledger.fail(fault);
                        Err(refused("the file cannot be read"))
                    }
                }
            }
            Self::Bytes(content) => Ok(Source::Bytes(BytesReader::new(content))),
            Self::Stream { start, ledger } => {
                ledger.opened();
                Ok(Source::Stream(start()))
            }
            Self::Stored { path, ledger } => {
                let what = format!("{} was stored, and was not found again", path.display());
                ledger.fail(BackupError::Invalid { what });
                Err(refused("the file is not known"))
            }
        }
    }
}

fn refused(text: &str) -> Box<RusticError> {
    RusticError::new(ErrorKind::InputOutput, text)
}

type Entries = Box<dyn Iterator<Item = Entry> + Send>;

/// Entries as rustic takes them; they can be taken once.
pub(crate) struct SnapshotSource {
    entries: Mutex<Option<Entries>>,
    ledger: Arc<Ledger>,
}

impl SnapshotSource {
    /// `entries` must come in the order of the tree: folders before what is in them, names rising byte by byte.
    pub(crate) fn new(entries: impl Iterator<Item = Entry> + Send + 'static, ledger: Arc<Ledger>) -> Self {
        Self { entries: Mutex::new(Some(Box::new(entries))), ledger }
    }
}

impl ReadSource for SnapshotSource {
    type Open = Opener;
    type Iter = Box<dyn Iterator<Item = RusticResult<ReadSourceEntry<Opener>>> + Send>;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Self::Iter {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ledger = Arc::clone(&self.ledger);
        let entries = entries.into_iter().flatten();
        Box::new(
            // After a fault the rest would be read for nothing.
            entries
                .take_while({
                    let ledger = Arc::clone(&ledger);
                    move |_| ledger.fault().is_none()
                })
                .map(move |Entry { path, node, open }| {
                    if !node.is_dir() {
                        ledger.offered();
                    }
                    Ok(ReadSourceEntry { path, node, open })
                }),
        )
    }
}

/// Checks a label, since it becomes a path in the snapshot.
pub(crate) fn check_label(label: &str) -> Result<(), BackupError> {
    let word = |word: &str| {
        !word.is_empty()
            && !word.starts_with('.')
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    if label.len() <= 200 && label.split('/').all(word) {
        return Ok(());
    }
    Err(BackupError::Invalid {
        what: format!("{label:?} is no label: words of letters, digits, '.', '_' and '-', joined by slashes"),
    })
}

/// Sorts entries into the order of the tree.
pub(crate) fn sort(entries: &mut [Entry]) {
    entries.sort_by(|a, b| order(&a.path, &b.path));
}

/// Component by component: `a/b` before `a.b`, though `.` is less than `/`.
pub(crate) fn order(a: &Path, b: &Path) -> std::cmp::Ordering {
    a.components().cmp(b.components())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stay_below_their_folder() {
        for good in ["db", "db/fitness", "a.b-c_d/2"] {
            check_label(good).unwrap();
        }
        for bad in ["", "/", "/db", "db/", "a//b", "..", "a/../b", ".hidden", "a b", "ä", &"a".repeat(201)] {
            assert!(check_label(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_order_is_the_trees() {
        let mut paths = ["/dumps/db.sql", "/dumps/db/x", "/dumps/db-a", "/dumps/db/a"].map(PathBuf::from);
        paths.sort_by(|a, b| order(a, b));
        assert_eq!(paths, ["/dumps/db/a", "/dumps/db/x", "/dumps/db-a", "/dumps/db.sql"].map(PathBuf::from));
    }
}
