//! Linux and macOS.

use crate::PackError;
use std::ffi::OsStr;
use std::fs::{File, FileType, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use wharf_proto::RelPath;

/// Where permission bits come from: the file system.
pub(crate) struct Modes;

impl Modes {
    pub(crate) fn read(_root: &Path) -> Result<Self, PackError> {
        Ok(Self)
    }

    pub(crate) fn of(&self, _path: &RelPath, meta: &Metadata) -> u32 {
        meta.mode() & 0o777
    }
}

/// What changes when a file's content does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) size_bytes: u64,
    pub(crate) mtime_seconds: i64,
    mtime_nanoseconds: i64,
    /// Changes even where a writer puts the modification time back.
    ctime: (i64, i64),
    file: (u64, u64),
}

impl Stamp {
    pub(crate) fn of(meta: &Metadata) -> Self {
        Self {
            size_bytes: meta.size(),
            mtime_seconds: meta.mtime(),
            mtime_nanoseconds: meta.mtime_nsec(),
            ctime: (meta.ctime(), meta.ctime_nsec()),
            file: (meta.dev(), meta.ino()),
        }
    }
}

/// A file's name as bytes; every name has them here.
pub(crate) fn name_bytes(name: &OsStr) -> Option<Vec<u8>> {
    Some(name.as_bytes().to_vec())
}

/// Where a link leads, as it is written.
pub(crate) fn link_bytes(target: &Path) -> Vec<u8> {
    target.as_os_str().as_bytes().to_vec()
}

pub(crate) fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// What something is that is no file, folder or link.
pub(crate) fn kind_name(kind: FileType) -> &'static str {
    if kind.is_socket() {
        "socket"
    } else if kind.is_fifo() {
        "FIFO"
    } else {
        "device"
    }
}

/// Makes a rename in `folder` survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Gives `path` the owner that `meta` tells of. Only root can, and needs to: other people's files are their own.
pub(crate) fn keep_owner(path: &Path, meta: &Metadata) {
    let _ = std::os::unix::fs::chown(path, Some(meta.uid()), Some(meta.gid()));
}
