//! Walking a folder: files, folders and symlinks, sorted, with what is needed to put them back.
//!
//! Sockets, pipes and devices are noted and left out. What goes away while walking is noted; what cannot be read is a
//! fault. Extended attributes are not kept.

use crate::BackupError;
use crate::ledger::Ledger;
use crate::reader::{is_gone, modified};
use crate::source::{Entry, Opener};
use jiff::Timestamp;
use rustic_core::repofile::{Metadata, Node, NodeType};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use walkdir::{DirEntry, WalkDir};

/// The entries of the folder `root`, which is to be `at` in the snapshot.
pub(crate) fn walk(
    root: PathBuf,
    at: PathBuf,
    exclude: BTreeSet<PathBuf>,
    ledger: Arc<Ledger>,
) -> impl Iterator<Item = Entry> + Send {
    let mut found = WalkDir::new(&root).follow_links(false).sort_by_file_name().into_iter();
    std::iter::from_fn(move || {
        loop {
            let entry = match found.next()? {
                Ok(entry) => entry,
                Err(error) => {
                    skip(&error, &root, &ledger);
                    continue;
                }
            };
            let excluded = entry.depth() > 0 && exclude.contains(entry.path());
            let is_folder = entry.file_type().is_dir();
            if excluded && is_folder {
                found.skip_current_dir();
            }
            // A folder that is left out stays as an empty one: something is mounted there.
            if (!excluded || is_folder)
                && let Some(entry) = entry_of(&entry, &root, &at, &ledger)
            {
                return Some(entry);
            }
        }
    })
}

fn skip(error: &walkdir::Error, root: &Path, ledger: &Ledger) {
    let path = error.path().unwrap_or(root);
    match error.io_error() {
        Some(cause) if is_gone(cause) && error.depth() > 0 => {
            ledger.note(format!("{} went away while it was backed up", path.display()));
        }
        Some(cause) => ledger.fail(BackupError::unreadable(path, cause)),
        None => ledger.fail(BackupError::unreadable(path, error)),
    }
}

fn entry_of(entry: &DirEntry, root: &Path, at: &Path, ledger: &Arc<Ledger>) -> Option<Entry> {
    let metadata = match entry.metadata() {
        Ok(metadata) => metadata,
        Err(error) => {
            skip(&error, root, ledger);
            return None;
        }
    };
    let below = entry.path().strip_prefix(root).ok()?;
    let path = if entry.depth() == 0 { at.to_owned() } else { at.join(below) };
    let name = path.file_name()?.to_owned();
    let kind = metadata.file_type();
    let node = |kind| Node::new_node(&name, kind, node_metadata(&metadata));
    if kind.is_dir() {
        return Some(Entry { node: node(NodeType::Dir), path, open: None });
    }
    if kind.is_symlink() {
        return match std::fs::read_link(entry.path()) {
            Ok(target) => Some(Entry { node: node(NodeType::from_link(&target)), path, open: None }),
            Err(error) if is_gone(&error) || error.kind() == std::io::ErrorKind::InvalidInput => {
                ledger.note(format!("{} went away while it was backed up", entry.path().display()));
                None
            }
            Err(error) => {
                ledger.fail(BackupError::unreadable(entry.path(), &error));
                None
            }
        };
    }
    if !kind.is_file() {
        ledger.note(format!("{} is a socket, pipe or device, and is left out", entry.path().display()));
        return None;
    }
    let open = Opener::File {
        path: entry.path().to_owned(),
        size_bytes: metadata.len(),
        mtime: modified(&metadata),
        ledger: Arc::clone(ledger),
    };
    Some(Entry { node: node(NodeType::File), path, open: Some(open) })
}

fn node_metadata(found: &std::fs::Metadata) -> Metadata {
    let file = found.is_file();
    let linked = file && found.nlink() > 1;
    Metadata {
        mode: Some(go_mode(found.mode()) | go_type(found.file_type())),
        mtime: modified(found),
        atime: modified(found),
        ctime: Timestamp::new(found.ctime(), i32::try_from(found.ctime_nsec()).unwrap_or(0)).ok(),
        uid: Some(found.uid()),
        gid: Some(found.gid()),
        inode: found.ino(),
        // Only where it takes part in finding hard links: it is another one after each boot.
        device_id: if linked { found.dev() } else { 0 },
        size: if file { found.len() } else { 0 },
        links: if file { found.nlink() } else { 0 },
        ..Metadata::default()
    }
}

fn go_type(kind: std::fs::FileType) -> u32 {
    if kind.is_dir() {
        1 << 31
    } else if kind.is_symlink() {
        1 << 27
    } else {
        0
    }
}

/// Permissions as restic's format has them: Go's bits for setuid, setgid and sticky.
fn go_mode(mode: u32) -> u32 {
    [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)]
        .into_iter()
        .filter(|(unix, _)| mode & unix != 0)
        .fold(mode & 0o777, |bits, (_, go)| bits | go)
}

/// The other way round.
pub(crate) fn unix_mode(mode: u32) -> u32 {
    [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)]
        .into_iter()
        .filter(|(_, go)| mode & go != 0)
        .fold(mode & 0o777, |bits, (unix, _)| bits | unix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_survive_the_format() {
        for mode in [0o644, 0o755, 0o4755, 0o2770, 0o1777, 0o7777, 0] {
            assert_eq!(unix_mode(go_mode(mode)), mode, "{mode:o}");
        }
    }
}
