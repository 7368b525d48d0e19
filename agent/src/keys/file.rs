//! The agent's `authorized_keys` on the disk.

use crate::jobs::files;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use wharf_proto::{Failure, FailureKind};

/// Far above what anybody lists by hand; the SSH server reads no more either.
const FILE_BYTES: u64 = 1024 * 1024;

/// One edit at a time.
static EDITS: Mutex<()> = Mutex::new(());

/// The file, as it is until this value is gone.
pub struct KeyFile {
    pub path: PathBuf,
    pub text: String,
    _one_at_a_time: MutexGuard<'static, ()>,
}

impl KeyFile {
    /// Reads it; one that is not there is empty.
    ///
    /// # Errors
    /// It cannot be read, is too long, or is not text.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let one_at_a_time = EDITS.lock().unwrap_or_else(PoisonError::into_inner);
        let cannot = |cause: String| {
            Failure::new(FailureKind::Environment, format!("cannot read {}", path.display())).cause(cause)
        };
        // A link stays, and what it leads to is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut bytes = Vec::new();
        match fs::File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(cannot(error.to_string())),
            Ok(file) => {
                let read = file.take(FILE_BYTES + 1).read_to_end(&mut bytes);
                read.map_err(|error| cannot(error.to_string()))?;
            }
        }
        if bytes.len() as u64 > FILE_BYTES {
            return Err(cannot(format!("it is longer than {FILE_BYTES} bytes")));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| cannot("it is not UTF-8".into()).hint("correct that by hand"))?;
        Ok(Self { path, text, _one_at_a_time: one_at_a_time })
    }

    /// Puts another text in its place, whole or not at all.
    ///
    /// # Errors
    /// No space, no rights.
    pub fn replace(&self, text: &str) -> Result<(), Failure> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let fresh = self.path.with_file_name(format!(".wharf-keys-{}", std::process::id()));
        let written = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .and_then(|()| write_private(&fresh, text))
            .and_then(|()| files::take_after(&fresh, &self.path))
            .and_then(|()| fs::rename(&fresh, &self.path))
            .and_then(|()| fs::File::open(folder)?.sync_all());
        written.map_err(|error| {
            let _ = fs::remove_file(&fresh);
            Failure::new(FailureKind::Environment, format!("cannot write {}", self.path.display()))
                .cause(error.to_string())
                .hint("look at the free space and the rights of that folder on the server")
        })
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    // A leftover of an agent that was killed.
    let _ = fs::remove_file(path);
    let mut out = fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()
}
