//! A whole release, written out into an empty folder.
//!
//! **Invariant**: nothing is written through a symbolic link. All folders are made first and all links last, every file
//! and folder is made anew, and the folder was empty: so while a file is written there is no link to follow.

use super::{BlobError, BlobStore, FileMeta};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use wharf_proto::{Entry, EntryKind, Manifest, RelPath};

/// The mode of folders that a manifest does not list because they are not empty.
const FOLDER_MODE: u32 = 0o755;
const THREADS: usize = 4;

impl BlobStore {
    /// Writes a release out below `root`, an empty folder that nobody else writes; it is made where it is missing. Does
    /// not wait for the disk: after a crash a stage is made anew.
    ///
    /// # Errors
    /// [`BlobError::NotEmpty`], or the first entry that could not be written; what was written stays.
    pub fn materialise(
        &self,
        manifest: &Manifest,
        root: &Path,
        owner: Option<(u32, u32)>,
    ) -> Result<(), BlobError> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(BlobError::io("create", root))?;
        if std::fs::read_dir(root).map_err(BlobError::io("list", root))?.next().is_some() {
            return Err(BlobError::NotEmpty(root.to_owned()));
        }
        make_folders(manifest, root, owner)?;
        self.write_files(manifest, root, owner)?;
        make_links(manifest, root, owner)
    }

    fn write_files(
        &self,
        manifest: &Manifest,
        root: &Path,
        owner: Option<(u32, u32)>,
    ) -> Result<(), BlobError> {
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let work = || {
            while !failed.load(Ordering::Relaxed) {
                let Some(entry) = manifest.entries().get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                let written = self.write_entry(entry, root, owner);
                if written.is_err() {
                    failed.store(true, Ordering::Relaxed);
                    return written;
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads()).map(|_| scope.spawn(work)).collect();
            let mut result = work();
            for other in others {
                let theirs = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                result = result.and(theirs);
            }
            result
        })
    }

    fn write_entry(&self, entry: &Entry, root: &Path, owner: Option<(u32, u32)>) -> Result<(), BlobError> {
        let EntryKind::File { mode, mtime_seconds, chunks, .. } = &entry.kind else { return Ok(()) };
        let meta = FileMeta { mode: *mode, mtime_seconds: *mtime_seconds, owner };
        self.write_new(chunks, &entry.path.below(root), meta).map(drop).map_err(at(&entry.path))
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get().min(THREADS))
}

/// Every folder, those above before those below, as a sorted set has them.
fn make_folders(manifest: &Manifest, root: &Path, owner: Option<(u32, u32)>) -> Result<(), BlobError> {
    let mut folders = BTreeSet::new();
    for entry in manifest.entries() {
        if let EntryKind::Folder { mode } = entry.kind {
            folders.insert((entry.path.clone(), mode));
        }
        let mut above = entry.path.parent();
        while let Some(folder) = above {
            above = folder.parent();
            if !folders.insert((folder, FOLDER_MODE)) {
                break;
            }
        }
    }
    for (folder, mode) in folders {
        make_folder(&folder.below(root), mode, owner).map_err(at(&folder))?;
    }
    Ok(())
}

fn make_folder(path: &Path, mode: u32, owner: Option<(u32, u32)>) -> Result<(), BlobError> {
    std::fs::create_dir(path).map_err(BlobError::io("create", path))?;
    give(path, owner)?;
    std::fs::set_permissions(path, Permissions::from_mode(mode & 0o777))
        .map_err(BlobError::io("set the mode of", path))
}

fn make_links(manifest: &Manifest, root: &Path, owner: Option<(u32, u32)>) -> Result<(), BlobError> {
    for entry in manifest.entries() {
        if let EntryKind::Symlink { target } = &entry.kind {
            let path = entry.path.below(root);
            std::os::unix::fs::symlink(OsStr::from_bytes(&target.to_bytes()), &path)
                .map_err(BlobError::io("link", &path))
                .and_then(|()| give(&path, owner))
                .map_err(at(&entry.path))?;
        }
    }
    Ok(())
}

fn give(path: &Path, owner: Option<(u32, u32)>) -> Result<(), BlobError> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    std::os::unix::fs::lchown(path, Some(uid), Some(gid))
        .map_err(BlobError::io("give to the app's owner", path))
}

fn at(path: &RelPath) -> impl FnOnce(BlobError) -> BlobError + use<> {
    let path = path.clone();
    move |source| BlobError::Entry { path, source: Box::new(source) }
}
