//! Reading and writing the few small files.

use super::error::ContextError;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// More than any configuration of Docker's.
const LONGEST_BYTES: u64 = 1024 * 1024;

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ContextError {
    let path = path.to_owned();
    |source| ContextError::File { path, source }
}

/// The text; `None` where there is no file.
pub fn read(path: &Path) -> Result<Option<String>, ContextError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(path)(source)),
    };
    let mut text = String::new();
    let length = file.take(LONGEST_BYTES + 1).read_to_string(&mut text).map_err(failed(path))?;
    if length as u64 > LONGEST_BYTES {
        return Err(ContextError::TooLong { path: path.to_owned() });
    }
    Ok(Some(text))
}

/// Writes the whole file or nothing, with the mode of the one that it replaces. Where that is a link, the file behind it.
pub fn write(path: &Path, text: &str) -> Result<(), ContextError> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mode = fs::metadata(&path).map_or(0o600, |there| there.permissions().mode() & 0o777);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let whole = || -> io::Result<()> {
        let mut next = tempfile::NamedTempFile::new_in(folder)?;
        next.write_all(text.as_bytes())?;
        next.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        next.as_file().sync_all()?;
        next.persist(&path).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    };
    whole().map_err(failed(&path))
}

/// Makes the folder and what is above it.
pub fn make_folder(path: &Path) -> Result<(), ContextError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path))
}

/// Removes the file, if it is there.
pub fn remove(path: &Path) -> Result<(), ContextError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path)(error)),
        _ => Ok(()),
    }
}

/// Removes those of the folders that are empty.
pub fn remove_empty(folders: impl IntoIterator<Item = PathBuf>) {
    for folder in folders {
        // One that holds something has become its owner's.
        let _ = fs::remove_dir(folder);
    }
}
