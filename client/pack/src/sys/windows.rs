//! Windows: no permission bits, so those come from git's index; names are Unicode.

use super::git_index;
use crate::PackError;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{FileType, Metadata};
use std::io;
use std::os::windows::fs::MetadataExt;
use std::path::{Path, PathBuf};
use wharf_proto::RelPath;

const FILE_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o755;
/// FILETIME counts steps of 100 ns from 1601.
const STEPS_PER_SECOND: u64 = 10_000_000;
const SECONDS_1601_TO_1970: i64 = 11_644_473_600;

/// Where permission bits come from: git's index.
pub(crate) struct Modes(HashMap<RelPath, u32>);

impl Modes {
    pub(crate) fn read(root: &Path) -> Result<Self, PackError> {
        let root =
            std::path::absolute(root).map_err(|source| PackError::Root { path: root.to_owned(), source })?;
        if !root.ancestors().any(|folder| folder.join(".git").exists()) {
            return Ok(Self(HashMap::new()));
        }
        git_index::read(&root).map(Self).map_err(|source| PackError::Git { source })
    }

    pub(crate) fn of(&self, path: &RelPath, meta: &Metadata) -> u32 {
        if meta.is_dir() { FOLDER_MODE } else { self.0.get(path).copied().unwrap_or(FILE_MODE) }
    }
}

/// What changes when a file's content does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) size_bytes: u64,
    pub(crate) mtime_seconds: i64,
    last_write: u64,
    created: u64,
}

impl Stamp {
    pub(crate) fn of(meta: &Metadata) -> Self {
        let since_1601 = i64::try_from(meta.last_write_time() / STEPS_PER_SECOND).unwrap_or(0);
        Self {
            size_bytes: meta.file_size(),
            mtime_seconds: since_1601 - SECONDS_1601_TO_1970,
            last_write: meta.last_write_time(),
            created: meta.creation_time(),
        }
    }
}

/// A file's name as UTF-8; none where it is not Unicode.
pub(crate) fn name_bytes(name: &OsStr) -> Option<Vec<u8>> {
    name.to_str().map(|text| text.as_bytes().to_vec())
}

/// Where a link leads, as the server writes it.
pub(crate) fn link_bytes(target: &Path) -> Vec<u8> {
    target.to_string_lossy().replace('\\', "/").into_bytes()
}

pub(crate) fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// What something is that is no file, folder or link.
pub(crate) fn kind_name(_kind: FileType) -> &'static str {
    "device"
}

/// Folders cannot be synced here; NTFS keeps the order of renames in its journal.
pub(crate) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Files have no numeric owner here.
pub(crate) fn keep_owner(_path: &Path, _meta: &Metadata) {}
