//! The server's own key.
//!
//! **Invariant**: a host key is used only from a file that nobody but its owner can read or write, and the file is
//! either whole or not there.

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, HashAlg, PrivateKey, ssh_key};
use std::{
    fs, io,
    io::Write,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// A key file is a few hundred bytes.
const KEY_FILE_BYTES: u64 = 64 * 1024;

/// Why there is no host key.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    #[error("cannot read the host key {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write the host key {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "others can read the host key {} (mode {mode:04o}); run `chmod 600` on it, and if anybody may have read it, delete it and tell \
         the people who deploy here that its fingerprint changes",
        path.display()
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the host key {} is not an unencrypted OpenSSH private key; move it away, and a new one is made", path.display())]
    Malformed { path: PathBuf, source: ssh_key::Error },
    #[error("the host key {} has a passphrase; the agent cannot ask for it: move it away, and a new one is made", path.display())]
    Encrypted { path: PathBuf },
}

/// The host key in `path`; where there is none, a new ed25519 one is made and kept there.
///
/// # Errors
/// The file cannot be read or written, is no key, or others can read it.
pub fn load_or_create_host_key(path: &Path) -> Result<PrivateKey, HostKeyError> {
    match fs::File::open(path) {
        Ok(file) => load(path, &file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        Err(source) => Err(HostKeyError::Read { path: path.into(), source }),
    }
}

fn load(path: &Path, file: &fs::File) -> Result<PrivateKey, HostKeyError> {
    let unreadable = |source| HostKeyError::Read { path: path.into(), source };
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(HostKeyError::Exposed { path: path.into(), mode });
    }
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(file, KEY_FILE_BYTES), &mut text).map_err(unreadable)?;
    let key = PrivateKey::from_openssh(&text)
        .map_err(|source| HostKeyError::Malformed { path: path.into(), source })?;
    if key.is_encrypted() {
        return Err(HostKeyError::Encrypted { path: path.into() });
    }
    Ok(key)
}

fn create(path: &Path) -> Result<PrivateKey, HostKeyError> {
    let unwritable = |source| HostKeyError::Write { path: path.into(), source };
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)
        .map_err(|error| unwritable(io::Error::other(error)))?;
    let text = key.to_openssh(LineEnding::LF).map_err(|error| unwritable(io::Error::other(error)))?;
    match write_once(path, text.as_bytes()) {
        Ok(()) => Ok(key),
        // Another agent was faster: its key is the one.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            load(path, &fs::File::open(path).map_err(unwritable)?)
        }
        Err(source) => Err(unwritable(source)),
    }
}

/// Writes a file that only its owner can read, whole or not at all, unless there is one already.
fn write_once(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let _ = fs::remove_file(&temporary);
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        // A link, since it refuses to replace what `rename` would.
        fs::hard_link(&temporary, path)?;
        fs::File::open(folder)?.sync_all()
    })();
    let _ = fs::remove_file(&temporary);
    written
}

/// `SHA256:…`, as a client shows it when it sees the key for the first time.
pub fn fingerprint(key: &PrivateKey) -> String {
    key.public_key().fingerprint(HashAlg::Sha256).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/host_key");
        let made = load_or_create_host_key(&path).unwrap();
        let loaded = load_or_create_host_key(&path).unwrap();
        assert_eq!(made.public_key().key_data(), loaded.public_key().key_data());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "a temporary file stayed");
    }

    #[test]
    fn an_exposed_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host_key");
        load_or_create_host_key(&path).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(load_or_create_host_key(&path), Err(HostKeyError::Exposed { .. })), "{mode:o}");
        }
    }

    #[test]
    fn rubbish_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host_key");
        fs::write(&path, "rubbish").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(load_or_create_host_key(&path), Err(HostKeyError::Malformed { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"rubbish");
    }
}
