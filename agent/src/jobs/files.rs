//! The app directory, changed and put back.
//!
//! **Invariants**: a file is replaced by renaming a finished one over it, never written in place. Its original is kept as a
//! hard link, so that putting back restores the very same file: owner, mode, times and all. No path is followed through a
//! symbolic link.

use super::undo::FileUndo;
use crate::layout::Beside;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use wharf_plan::overlay::FileOp;
use wharf_proto::{Entry, EntryKind, RelPath};
use wharf_state::{BlobStore, FileMeta};

#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("cannot {verb} {}", path.display())]
    Io { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is a {what}, where the release needs a folder", path.display())]
    NotAFolder { path: PathBuf, what: &'static str },
    #[error("cannot take {path} out of the content store")]
    Blob { path: RelPath, source: wharf_state::BlobError },
}

fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FilesError {
    let path = path.to_owned();
    move |source| FilesError::Io { verb, path, source }
}

/// One change of the app directory, ready to be made.
#[derive(Debug)]
struct Act {
    op: FileOp,
    /// The number of its file in the incoming folder.
    incoming: u32,
}

/// Changes that are ready: every new file is written and every original is kept. Nothing in the app directory has changed.
#[derive(Debug)]
pub struct Prepared {
    acts: Vec<Act>,
    /// To be written down before [`Prepared::perform`].
    pub undo: Vec<FileUndo>,
    beside: Beside,
    owner: Owner,
}

/// Who files belong to: the owner of the app directory.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

impl Owner {
    /// The owner of `app_dir`, or of the folder that it will be made in.
    ///
    /// # Errors
    /// Neither can be looked at.
    pub fn of(app_dir: &Path) -> Result<Self, FilesError> {
        let looked_at = if app_dir.exists() { app_dir } else { app_dir.parent().unwrap_or(app_dir) };
        let metadata = fs::metadata(looked_at).map_err(io("look at", looked_at))?;
        Ok(Self { uid: metadata.uid(), gid: metadata.gid() })
    }

    fn give(self, path: &Path) -> Result<(), FilesError> {
        match std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid)) {
            // Not root: what the agent makes belongs to the agent's user, as it must.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            other => other.map_err(io("change the owner of", path)),
        }
    }
}

/// Writes every new file beside the app directory and keeps every original.
///
/// # Errors
/// No space, content that is missing, a path that leads through a file or link.
pub fn prepare(ops: Vec<FileOp>, beside: &Beside, blobs: &BlobStore) -> Result<Prepared, FilesError> {
    let owner = Owner::of(&beside.app_dir)?;
    for folder in [beside.undo(), beside.incoming()] {
        fs::create_dir_all(&folder).map_err(io("make", &folder))?;
    }
    let mut prepared = Prepared { acts: Vec::new(), undo: Vec::new(), beside: beside.clone(), owner };
    if !beside.app_dir.exists() {
        prepared.undo.push(FileUndo::RemoveAppDir);
    }
    for (number, op) in (0..).zip(ops) {
        if let FileOp::Write { entry, .. } = &op {
            let incoming = beside.incoming().join(format!("{number}"));
            write_incoming(entry, &incoming, blobs)?;
            owner.give(&incoming)?;
        }
        let undo = keep_original(&op, number, beside)?;
        prepared.undo.extend(undo);
        prepared.acts.push(Act { op, incoming: number });
    }
    sync(&beside.incoming())?;
    Ok(prepared)
}

impl Prepared {
    /// Makes the changes. [`Prepared::undo`] must be durable by now.
    ///
    /// # Errors
    /// As any work with files; what was done until then is undone by [`undo`].
    pub fn perform(self) -> Result<(), FilesError> {
        let app_dir = &self.beside.app_dir;
        if !app_dir.exists() {
            fs::create_dir(app_dir).map_err(io("make", app_dir))?;
            self.owner.give(app_dir)?;
        }
        for (done, act) in self.acts.iter().enumerate() {
            if done == self.acts.len() / 2 {
                crate::crash::point("apply.inside");
            }
            self.act(act)?;
        }
        sync(app_dir)
    }

    fn act(&self, act: &Act) -> Result<(), FilesError> {
        let app_dir = &self.beside.app_dir;
        match &act.op {
            FileOp::Write { entry, .. } => {
                let incoming = self.beside.incoming().join(act.incoming.to_string());
                let path = checked(app_dir, &entry.path)?;
                fs::rename(&incoming, &path).map_err(io("replace", &path))
            }
            FileOp::MakeFolder { path, mode } => {
                let path = checked(app_dir, path)?;
                let is_new = !path.is_dir();
                make_folder(&path, *mode)?;
                if is_new { self.owner.give(&path) } else { Ok(()) }
            }
            FileOp::Remove { path, .. } => {
                let path = checked(app_dir, path)?;
                gone(fs::remove_file(&path)).map_err(io("remove", &path))
            }
            FileOp::RemoveFolder { path, required } => {
                let path = checked(app_dir, path)?;
                let removed = fs::remove_dir(&path);
                if *required { gone(removed) } else { kept_if_used(removed) }.map_err(io("remove", &path))
            }
        }
    }
}

/// Puts everything back, last change first. May be run again, also after half of it.
///
/// # Errors
/// As any work with files.
pub fn undo(entries: &[FileUndo], beside: &Beside) -> Result<(), FilesError> {
    let app_dir = &beside.app_dir;
    for entry in entries.iter().rev() {
        match entry {
            FileUndo::Restore { path, saved } => {
                let saved = beside.undo().join(saved.to_string());
                let path = checked(app_dir, path)?;
                // Where original and path are still the same file, renaming does nothing, which is right.
                gone(fs::rename(&saved, &path)).map_err(io("put back", &path))?;
            }
            FileUndo::Remove { wrote } => {
                let path_there = checked(app_dir, &wrote.path)?;
                if super::disk::is(&path_there, wrote).unwrap_or(false) {
                    gone(fs::remove_file(&path_there)).map_err(io("remove", &path_there))?;
                }
            }
            FileUndo::RemoveFolder { path } => {
                let path = checked(app_dir, path)?;
                kept_if_used(fs::remove_dir(&path)).map_err(io("remove", &path))?;
            }
            FileUndo::MakeFolder { path, mode, uid, gid } => {
                let path = checked(app_dir, path)?;
                make_folder(&path, *mode)?;
                Owner { uid: *uid, gid: *gid }.give(&path)?;
            }
            FileUndo::RemoveAppDir => {
                kept_if_used(fs::remove_dir(app_dir)).map_err(io("remove", app_dir))?;
            }
        }
    }
    if app_dir.exists() { sync(app_dir) } else { Ok(()) }
}

/// Keeps the original of one file that is there; its undo, to be written down before [`replace_single`].
///
/// # Errors
/// There is no such file, or it is something else.
pub fn keep_single(path: &RelPath, beside: &Beside) -> Result<FileUndo, FilesError> {
    let there = checked(&beside.app_dir, path)?;
    // Beyond the numbers that the release's own files have.
    let saved = u32::MAX;
    let kept = beside.undo().join(saved.to_string());
    fs::create_dir_all(beside.undo()).map_err(io("make", &beside.undo()))?;
    gone(fs::remove_file(&kept)).map_err(io("remove", &kept))?;
    keep(&there, &kept).map_err(io("keep a copy of", &there))?;
    Ok(FileUndo::Restore { path: path.clone(), saved })
}

/// Puts `incoming` in the place of the file at `path`, with that one's mode and owner.
///
/// # Errors
/// As any work with files.
pub fn replace_single(path: &RelPath, incoming: &Path, beside: &Beside) -> Result<(), FilesError> {
    let there = checked(&beside.app_dir, path)?;
    take_after(incoming, &there).map_err(io("change the owner of", incoming))?;
    fs::rename(incoming, &there).map_err(io("replace", &there))?;
    sync(&beside.app_dir)
}

/// Gives a file the mode and owner of the one whose place it takes; a new one belongs to who the folder belongs to.
///
/// # Errors
/// As any work with files.
pub fn take_after(fresh: &Path, there: &Path) -> io::Result<()> {
    let parent = there.parent().unwrap_or(there);
    let (model, mode) = match fs::symlink_metadata(there) {
        Ok(found) => {
            let mode = found.permissions().mode() & 0o7777;
            (found, mode)
        }
        Err(error) if is_absent(&error) => (fs::metadata(parent)?, 0o600),
        Err(error) => return Err(error),
    };
    fs::set_permissions(fresh, fs::Permissions::from_mode(mode))?;
    match std::os::unix::fs::lchown(fresh, Some(model.uid()), Some(model.gid())) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other,
    }
}

/// Copies files and links of the app directory to the same places below `folder`, on whatever file system that is.
///
/// # Errors
/// No space, no rights.
pub fn copy_all(app_dir: &Path, paths: &[RelPath], folder: &Path) -> Result<(), FilesError> {
    for path in paths {
        let (from, to) = (path.below(app_dir), path.below(folder));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(io("make", parent))?;
        }
        copy(&from, &to).map_err(io("keep a copy of", &from))?;
    }
    sync(folder)
}

fn write_incoming(entry: &Entry, incoming: &Path, blobs: &BlobStore) -> Result<(), FilesError> {
    match &entry.kind {
        EntryKind::File { mode, mtime_seconds, chunks, .. } => {
            let meta = FileMeta { mode: *mode, mtime_seconds: *mtime_seconds, owner: None };
            // Not one by one: everything is made durable together, before the first rename.
            blobs
                .write_file(chunks, incoming, meta, false)
                .map_err(|source| FilesError::Blob { path: entry.path.clone(), source })
        }
        EntryKind::Symlink { target } => {
            use std::os::unix::ffi::OsStringExt;
            let target = std::ffi::OsString::from_vec(target.to_bytes());
            gone(fs::remove_file(incoming)).map_err(io("remove", incoming))?;
            std::os::unix::fs::symlink(target, incoming).map_err(io("write", incoming))
        }
        EntryKind::Folder { .. } => Ok(()),
    }
}

fn keep_original(op: &FileOp, number: u32, beside: &Beside) -> Result<Option<FileUndo>, FilesError> {
    let app_dir = &beside.app_dir;
    match op {
        FileOp::Write { entry: Entry { path, .. }, .. } | FileOp::Remove { path, .. } => {
            let there = path.below(app_dir);
            let kept = beside.undo().join(number.to_string());
            gone(fs::remove_file(&kept)).map_err(io("remove", &kept))?;
            match keep(&there, &kept) {
                Ok(()) => Ok(Some(FileUndo::Restore { path: path.clone(), saved: number })),
                Err(error) if is_absent(&error) => Ok(match op {
                    FileOp::Write { entry, .. } => Some(FileUndo::Remove { wrote: entry.clone() }),
                    _ => None,
                }),
                Err(error) => Err(io("keep a copy of", &there)(error)),
            }
        }
        FileOp::MakeFolder { path, .. } | FileOp::RemoveFolder { path, .. } => {
            let there = path.below(app_dir);
            match fs::symlink_metadata(&there) {
                Ok(found) if found.is_dir() => Ok(Some(FileUndo::MakeFolder {
                    path: path.clone(),
                    mode: found.permissions().mode() & 0o7777,
                    uid: found.uid(),
                    gid: found.gid(),
                })),
                // A file that is removed before the folder is made: its own entry is undone after this one.
                Ok(_) => Ok(Some(FileUndo::RemoveFolder { path: path.clone() })),
                Err(error) if is_absent(&error) => match op {
                    FileOp::MakeFolder { .. } => Ok(Some(FileUndo::RemoveFolder { path: path.clone() })),
                    _ => Ok(None),
                },
                Err(error) => Err(io("look at", &there)(error)),
            }
        }
    }
}

/// A hard link where the file system has them, else a copy.
fn keep(original: &Path, kept: &Path) -> io::Result<()> {
    match fs::hard_link(original, kept) {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) =>
        {
            copy(original, kept)
        }
        other => other,
    }
}

/// A copy of a file or link, with mode and time.
fn copy(original: &Path, kept: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(original)?;
    if metadata.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(original)?, kept);
    }
    fs::copy(original, kept)?;
    let file = fs::File::options().append(true).open(kept)?;
    file.set_modified(metadata.modified()?)?;
    file.sync_all()
}

/// The path below the app directory, after a look at what it leads through.
fn checked(app_dir: &Path, path: &RelPath) -> Result<PathBuf, FilesError> {
    let mut parent = path.parent();
    while let Some(folder) = parent {
        let there = folder.below(app_dir);
        match fs::symlink_metadata(&there) {
            Ok(found) if found.is_dir() => {}
            Ok(found) => {
                let what = if found.is_symlink() { "symbolic link" } else { "file" };
                return Err(FilesError::NotAFolder { path: there, what });
            }
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(io("look at", &there)(error)),
        }
        parent = folder.parent();
    }
    Ok(path.below(app_dir))
}

fn make_folder(path: &Path, mode: u32) -> Result<(), FilesError> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !path.is_dir() => {
            return Err(io("make", path)(error));
        }
        _ => {}
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(io("set the mode of", path))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if is_absent(&error) { Ok(()) } else { Err(error) })
}

fn kept_if_used(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| match error.kind() {
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(()),
        _ => Err(error),
    })
}

/// Makes everything that was written to the file system of `path` durable, in one call for thousands of files.
fn sync(path: &Path) -> Result<(), FilesError> {
    let folder = fs::File::open(path).map_err(io("open", path))?;
    nix::unistd::syncfs(&folder).map_err(|errno| io("write to disk", path)(errno.into()))
}
