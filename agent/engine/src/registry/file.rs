//! Files of logins, read and replaced.

use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Such a file is small; a larger one is not read.
const FILE_BYTES: u64 = 1024 * 1024;

/// A file of logins that cannot be used. What is in it is not quoted.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("cannot {act} {}", path.display())]
    Io { act: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{} is not a file of registry logins; remove it, and log in again", path.display())]
    Malformed { path: PathBuf },
}

fn io(act: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> RegistryError {
    let path = path.to_owned();
    move |source| RegistryError::Io { act, path, source }
}

/// `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<Value>, RegistryError> {
    let mut bytes = Vec::new();
    match fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("read", path)(error)),
        Ok(file) => {
            file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(io("read", path))?;
        }
    }
    let malformed = || RegistryError::Malformed { path: path.to_owned() };
    if bytes.len() as u64 > FILE_BYTES {
        return Err(malformed());
    }
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
    if value.is_object() { Ok(Some(value)) } else { Err(malformed()) }
}

/// Whole or not at all; nothing is written where it says so already.
pub(super) fn replace(path: &Path, value: &Value) -> Result<(), RegistryError> {
    if read(path).is_ok_and(|there| there.as_ref() == Some(value)) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    // Two jobs of different apps may write the same at once.
    let number = std::process::id();
    let unique = format!("{number}-{:?}", std::thread::current().id()).replace(['(', ')'], "");
    let fresh = path.with_extension(format!("{unique}.new"));
    let write = || {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let _ = fs::remove_file(&fresh);
        let mut out = fs::File::options().write(true).create_new(true).mode(0o600).open(&fresh)?;
        out.write_all(value.to_string().as_bytes())?;
        out.sync_all()?;
        fs::rename(&fresh, path)?;
        fs::File::open(folder)?.sync_all()
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&fresh);
        io("write", path)(error)
    })
}

pub(super) fn remove(path: &Path) -> Result<(), RegistryError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
