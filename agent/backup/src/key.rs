//! The repository's key, and making the repository.
//!
//! The master key lies in a file of mode 0600: opening with it takes no time, where a password costs a second. Beside
//! it lies the recovery key, a password that opens the repository anywhere, with restic too. Its owner must save it.
//!
//! **Invariant**: a repository appears under its name only when it is whole and its key is on the disk.

use crate::BackupError;
use crate::gate::Gate;
use crate::lock::{PATIENCE, RepositoryLock, sync_folder};
use crate::repository::handle;
use bytesize::ByteSize;
use rustic_core::repofile::MasterKey;
use rustic_core::{ConfigOptions, Credentials, KeyOptions, Repository};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The longest key file, in bytes.
const KEY_BYTES: u64 = 4096;

/// Whether [`init_repo`] had anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initialized {
    Created,
    Existed,
}

/// A password that opens the repository with restic, anywhere. It does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryKey(String);

impl RecoveryKey {
    /// The password itself; for its owner's eyes only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// 125 bits, in an alphabet without letters that look alike.
    fn random() -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";
        let groups: Vec<String> = rand::random::<[[u8; 5]; 5]>()
            .iter()
            .map(|group| group.iter().map(|byte| ALPHABET[usize::from(byte & 31)] as char).collect())
            .collect();
        Self(groups.join("-"))
    }
}

impl std::fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecoveryKey(…)")
    }
}

/// Makes the repository and its key, unless both are there. Blocks for about a second.
///
/// # Errors
/// A repository without its key; a folder that cannot be written to.
pub fn init_repo(repo: &Path, key_file: &Path) -> Result<Initialized, BackupError> {
    for path in [repo, key_file] {
        make_parent(path)?;
    }
    let _lock = RepositoryLock::take_within(repo, PATIENCE)?;
    if repo.join("config").exists() {
        read_key(key_file)?;
        return Ok(Initialized::Existed);
    }
    let key = if key_file.exists() {
        // An earlier try got as far as the key.
        read_key(key_file)?
    } else {
        let key = MasterKey::new();
        let json = serde_json::to_vec(&key).map_err(|error| target(key_file, &error))?;
        write_secret(key_file, &json)?;
        key
    };
    let recovery = match recovery_key(key_file) {
        Ok(recovery) => recovery,
        Err(_) => {
            let recovery = RecoveryKey::random();
            write_secret(&recovery_key_file(key_file), recovery.expose().as_bytes())?;
            recovery
        }
    };
    let new = beside(repo, ".new");
    remove_leftover(&new)?;
    create(&new, key, &recovery)?;
    std::fs::rename(&new, repo).map_err(|error| target(repo, &error))?;
    sync_parent(repo)?;
    Ok(Initialized::Created)
}

/// The password that opens the repository whose master key is `key_file`.
///
/// # Errors
/// There is none.
pub fn recovery_key(key_file: &Path) -> Result<RecoveryKey, BackupError> {
    let path = recovery_key_file(key_file);
    Ok(RecoveryKey(String::from_utf8_lossy(&read_secret(&path)?).trim().to_owned()))
}

/// Where the recovery key lies.
pub fn recovery_key_file(key_file: &Path) -> PathBuf {
    beside(key_file, ".recovery")
}

pub(crate) fn read_key(key_file: &Path) -> Result<MasterKey, BackupError> {
    let json = read_secret(key_file)?;
    // The cause must not quote the file.
    serde_json::from_slice(&json).map_err(|_| missing(key_file, &"it does not hold a key"))
}

fn create(new: &Path, key: MasterKey, recovery: &RecoveryKey) -> Result<(), BackupError> {
    DirBuilder::new().mode(0o700).create(new).map_err(|error| target(new, &error))?;
    let gate = Gate::new(new)?;
    let made = handle(gate.clone())?
        .init(&Credentials::Masterkey(key), &KeyOptions::default(), &config())
        .and_then(|repository: Repository<_>| repository.add_key(recovery.expose(), &KeyOptions::default()));
    if let Err(error) = made {
        return Err(gate.fault().unwrap_or_else(|| BackupError::rustic("be made")(error)));
    }
    // restic looks for this folder.
    DirBuilder::new().mode(0o700).create(new.join("locks")).map_err(|error| target(new, &error))?;
    for folder in ["data", "index", "keys", "locks", "snapshots", ""] {
        sync_folder(&new.join(folder)).map_err(|error| target(new, &error))?;
    }
    Ok(())
}

/// Small chunks, since two dumps of a database differ in many small places: where 1 % of the rows changed, all over a dump
/// of 311 MB, 36 MB are new before and 138 MB with chunks of 64 KiB, where restic's own sizes store 162. A chunk has 12 KiB
/// on average, since those below the least size are passed over; most lie close to it, and that is what counts.
pub(crate) fn config() -> ConfigOptions {
    ConfigOptions::default()
        .set_chunk_size(ByteSize::kib(8))
        .set_chunk_min_size(ByteSize::kib(4))
        .set_chunk_max_size(ByteSize::kib(32))
        // The quickest level that still counts letters. Small chunks leave the slower ones little to find.
        .set_compression(1)
        // Every blob that a backup has written is read from the disk and hashed right after, which says more. Who
        // writes what is not read back sets it for itself.
        .set_extra_verify(false)
        // Packs are held in memory while they fill, are hashed and written: five or six of them at a time.
        .set_datapack_size(ByteSize::mib(8))
        .set_datapack_size_limit(ByteSize::mib(32))
}

/// The size of a chunk where much is coming.
pub(crate) const COARSE: ByteSize = ByteSize::kib(64);

/// Larger chunks for a single run, of which so many fit into memory: 80 KiB on average.
pub(crate) fn coarse() -> ConfigOptions {
    ConfigOptions::default()
        .set_chunk_size(COARSE)
        .set_chunk_min_size(ByteSize::kib(16))
        .set_chunk_max_size(ByteSize::kib(512))
}

pub(crate) fn write_secret(path: &Path, content: &[u8]) -> Result<(), BackupError> {
    let new = beside(path, ".new");
    remove_leftover(&new)?;
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&new)
        .map_err(|error| target(path, &error))?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        // A link, unlike a rename, never replaces a key that is there.
        .and_then(|()| std::fs::hard_link(&new, path))
        .and_then(|()| std::fs::remove_file(&new))
        .map_err(|error| target(path, &error))?;
    sync_parent(path)
}

pub(crate) fn read_secret(path: &Path) -> Result<Vec<u8>, BackupError> {
    let file = File::open(path).map_err(|error| missing(path, &error))?;
    let metadata = file.metadata().map_err(|error| missing(path, &error))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(BackupError::KeyExposed { key_file: path.to_owned(), mode });
    }
    let mut content = Vec::new();
    file.take(KEY_BYTES).read_to_end(&mut content).map_err(|error| missing(path, &error))?;
    Ok(content)
}

pub(crate) fn make_parent(path: &Path) -> Result<(), BackupError> {
    match path.parent() {
        Some(parent) => DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(|error| target(parent, &error)),
        None => Ok(()),
    }
}

fn remove_leftover(path: &Path) -> Result<(), BackupError> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.map_err(|error| target(path, &error))
}

pub(crate) fn sync_parent(path: &Path) -> Result<(), BackupError> {
    path.parent().map_or(Ok(()), sync_folder).map_err(|error| target(path, &error))
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn target(path: &Path, cause: &dyn std::fmt::Display) -> BackupError {
    BackupError::Target { path: path.to_owned(), cause: cause.to_string() }
}

fn missing(path: &Path, cause: &dyn std::fmt::Display) -> BackupError {
    BackupError::KeyMissing { key_file: path.to_owned(), cause: cause.to_string() }
}
