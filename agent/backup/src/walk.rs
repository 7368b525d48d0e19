//! Walking a folder: files, folders and symlinks, sorted, with what is needed to put them back.
//!
//! Sockets, pipes and devices are noted and left out. What goes away while walking is noted; what cannot be read is a
//! fault.

use crate::BackupError;
use crate::attributes;
use crate::ledger::Ledger;
use crate::reader::{is_gone, modified};
use crate::source::{Entry, Opener};
use crate::sqlite::{self, Copies};
use crate::volumes::Tally;
use jiff::Timestamp;
use rustic_core::repofile::{Metadata, Node, NodeType};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use walkdir::{DirEntry, WalkDir};

/// A folder that is to be walked.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    /// Its place in the snapshot.
    pub(crate) at: PathBuf,
    pub(crate) exclude: BTreeSet<PathBuf>,
    /// For volumes.
    pub(crate) data: Option<Data>,
}

/// What is special about a volume.
pub(crate) struct Data {
    pub(crate) tally: Arc<Tally>,
    /// What stands for the databases in it, where it is live.
    pub(crate) copies: Arc<Copies>,
}

/// The entries of a folder.
pub(crate) fn walk(tree: Tree, ledger: Arc<Ledger>) -> impl Iterator<Item = Entry> + Send {
    let Tree { root, at, exclude, data } = tree;
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
                && let Some(entry) = entry_of(&entry, &root, &at, data.as_ref(), &ledger)
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

fn entry_of(
    entry: &DirEntry,
    root: &Path,
    at: &Path,
    data: Option<&Data>,
    ledger: &Arc<Ledger>,
) -> Option<Entry> {
    if data.is_some_and(|data| data.copies.covers(entry.path())) {
        return None;
    }
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
    let node = |kind: NodeType| {
        let mut node = Node::new_node(&name, kind, node_metadata(&metadata));
        if !node.is_symlink() {
            attributes::read(entry.path(), &mut node.meta);
        }
        node
    };
    if kind.is_dir() {
        return Some(Entry { node: node(NodeType::Dir), path, open: None });
    }
    if kind.is_symlink() {
        let target = target_of(entry.path(), ledger)?;
        data.inspect(|data| data.tally.file(0));
        return Some(Entry { node: node(NodeType::from_link(&target)), path, open: None });
    }
    if !kind.is_file() {
        ledger.note(format!("{} is a socket, pipe or device, and is left out", entry.path().display()));
        return None;
    }
    let mut node = node(NodeType::File);
    let mut source = (entry.path().to_owned(), metadata);
    if let Some(data) = data {
        if let Some(copy) = copied(data, entry.path(), &source.1, below, ledger)? {
            // Size and times too: a database's own may stay the same while its log has grown, and what has not changed
            // since the last backup is not read again.
            let found = node_metadata(&copy.1);
            node.meta.size = found.size;
            (node.meta.mtime, node.meta.atime, node.meta.ctime) = (found.mtime, found.atime, found.ctime);
            source = copy;
        }
        data.tally.file(source.1.len());
    }
    let (from, found) = source;
    let open = Opener::File {
        path: from,
        size_bytes: found.len(),
        mtime: modified(&found),
        ledger: Arc::clone(ledger),
    };
    Some(Entry { node, path, open: Some(open) })
}

/// Where a link leads, unless it went away or is none any more.
fn target_of(link: &Path, ledger: &Ledger) -> Option<PathBuf> {
    match std::fs::read_link(link) {
        Ok(target) => Some(target),
        Err(error) if is_gone(&error) || error.kind() == std::io::ErrorKind::InvalidInput => {
            ledger.note(format!("{} went away while it was backed up", link.display()));
            None
        }
        Err(error) => {
            ledger.fail(BackupError::unreadable(link, &error));
            None
        }
    }
}

/// The copy that stands for a database, or `Some(None)` for a file that is itself what is copied.
fn copied(
    data: &Data,
    path: &Path,
    metadata: &std::fs::Metadata,
    below: &Path,
    ledger: &Ledger,
) -> Option<Option<(PathBuf, std::fs::Metadata)>> {
    let Some(copy) = data.copies.of(path) else {
        // One that cannot be read is told when its content is.
        if !data.copies.is_odd(path) && sqlite::is_database(path, metadata).unwrap_or(false) {
            data.tally.database(below.to_owned());
        }
        return Some(None);
    };
    match copy.metadata() {
        Ok(found) => {
            data.tally.database(below.to_owned());
            Some(Some((copy.to_owned(), found)))
        }
        Err(error) => {
            ledger.fail(BackupError::unreadable(copy, &error));
            None
        }
    }
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
