//! The content of releases: chunks by the SHA-256 of what they hold, as files `ab/cdef…`.
//!
//! Everything here blocks on the disk: from async code, call it on a blocking thread.
//!
//! **Invariants**
//! - A blob is written under a temporary name and renamed when it is whole, so none is ever seen half-written.
//! - [`BlobStore::put`] and [`BlobStore::put_pack_zip`] return when what they stored would survive a power cut.
//! - What is read is hashed again. A blob that does not match its name is removed, so that the next deploy sends it anew.
//! - [`BlobStore::retain`] removes nothing that a [`BlobLease`] holds: a deploy leases its chunks *before* it asks which
//!   of them are missing, and keeps the lease until its release is recorded.

mod error;
mod file;
mod lease;
mod pack;
mod tree;

pub use error::BlobError;
pub use file::{ChunkReader, FileMeta, TEMPORARY_PREFIX};
pub use lease::BlobLease;
pub use pack::BlobPack;

use lease::Leases;
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use wharf_proto::{Digest, limits};

/// How many files are synced one by one; for more, the whole file system is asked once.
const SYNC_SINGLY_FILES: usize = 32;

/// The content store. Clones are the same store.
#[derive(Debug, Clone)]
pub struct BlobStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    next_temporary: AtomicU64,
    leases: Leases,
}

/// What [`BlobStore::retain`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    pub blobs: u64,
    pub bytes: u64,
}

impl BlobStore {
    /// Opens the store in `dir`, which is made where it is missing, and removes what a crash left half-written. One
    /// process at a time may have a store open.
    ///
    /// # Errors
    /// A folder that cannot be made or written.
    pub fn open(dir: &Path) -> Result<Self, BlobError> {
        let shared =
            Shared { dir: dir.to_owned(), next_temporary: AtomicU64::new(0), leases: Leases::default() };
        let store = Self { shared: Arc::new(shared) };
        store.make_folders().map_err(BlobError::io("create", dir))?;
        store.sweep().map_err(BlobError::io("clear the temporary files of", dir))?;
        Ok(store)
    }

    /// Which of `digests` are not stored: each once, in their order.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn missing(&self, digests: impl IntoIterator<Item = Digest>) -> Result<Vec<Digest>, BlobError> {
        let mut seen = HashSet::new();
        let mut missing = Vec::new();
        for digest in digests {
            if seen.insert(digest) && !self.contains(digest)? {
                missing.push(digest);
            }
        }
        Ok(missing)
    }

    pub fn contains(&self, digest: Digest) -> Result<bool, BlobError> {
        let path = self.path(digest);
        path.try_exists().map_err(BlobError::io("look for", &path))
    }

    /// Holds `digests`, stored or still to come, against [`BlobStore::retain`] while the lease lives.
    pub fn lease(&self, digests: impl IntoIterator<Item = Digest>) -> BlobLease {
        BlobLease::new(self.clone(), digests)
    }

    /// Stores one blob.
    ///
    /// # Errors
    /// Content above [`limits::CHUNK_MAX_BYTES`], or a disk that cannot be written.
    pub fn put(&self, content: &[u8]) -> Result<Digest, BlobError> {
        let digest = Digest::of(content);
        if content.len() > limits::CHUNK_MAX_BYTES as usize {
            return Err(BlobError::TooLong { name: digest.to_hex() });
        }
        let mut batch = Batch::new(self);
        batch.add(digest, content)?;
        batch.commit()?;
        Ok(digest)
    }

    /// What leases hold now. Who asks for it before [`crate::State::chunks_in_use`] and keeps both keeps also what a release
    /// needs that is recorded in between, when its lease ends.
    pub fn leased(&self) -> HashSet<Digest> {
        self.shared.leases.all()
    }

    /// The content of a blob, hashed anew.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Damaged`], or a disk that cannot be read.
    pub fn read(&self, digest: Digest) -> Result<Vec<u8>, BlobError> {
        let path = self.path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(BlobError::Missing(digest)),
            Err(e) => return Err(BlobError::io("open", &path)(e)),
        };
        let mut content = Vec::new();
        file.take(u64::from(limits::CHUNK_MAX_BYTES) + 1)
            .read_to_end(&mut content)
            .map_err(BlobError::io("read", &path))?;
        if Digest::of(&content) != digest {
            std::fs::remove_file(&path).map_err(BlobError::io("remove the damaged", &path))?;
            return Err(BlobError::Damaged(digest));
        }
        Ok(content)
    }

    /// Removes every blob that is neither in `keep`, nor leased, nor younger than `grace`: what an upload stored that
    /// broke off can so be used when it is tried again.
    ///
    /// # Errors
    /// A store that cannot be read or written; what was removed stays removed.
    pub fn retain(&self, keep: &HashSet<Digest>, grace: Duration) -> Result<Removed, BlobError> {
        let now = SystemTime::now();
        let mut removed = Removed::default();
        for folder in self.folders() {
            for entry in std::fs::read_dir(&folder).map_err(BlobError::io("list", &folder))? {
                let path = entry.map_err(BlobError::io("list", &folder))?.path();
                let Some(digest) = digest_of(&path).filter(|digest| !keep.contains(digest)) else { continue };
                let data = std::fs::metadata(&path).map_err(BlobError::io("look at", &path))?;
                // A blob from the future is as good as new: the clock went back.
                let young =
                    data.modified().is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age < grace));
                if !young && self.remove_unleased(digest, &path)? {
                    removed.blobs += 1;
                    removed.bytes += data.len();
                }
            }
        }
        Ok(removed)
    }

    /// Removes a blob unless it is leased. No lease begins between the look and the act.
    fn remove_unleased(&self, digest: Digest, path: &Path) -> Result<bool, BlobError> {
        self.shared.leases.unless_held(digest, || match std::fs::remove_file(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(BlobError::io("remove", path)(e)),
            Ok(()) => Ok(true),
        })
    }

    fn path(&self, digest: Digest) -> PathBuf {
        let hex = digest.to_hex();
        let (folder, name) = hex.split_at(2);
        self.shared.dir.join(folder).join(name)
    }

    fn temporary(&self) -> PathBuf {
        self.shared.dir.join("tmp")
    }

    fn folders(&self) -> impl Iterator<Item = PathBuf> + use<'_> {
        (0..=u8::MAX).map(|first| self.shared.dir.join(hex::encode([first])))
    }

    /// All folders are made here, so that storing a blob never has to sync a folder's parent.
    fn make_folders(&self) -> std::io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        for folder in self.folders().chain([self.temporary()]) {
            builder.create(folder)?;
        }
        File::open(&self.shared.dir)?.sync_all()
    }

    fn sweep(&self) -> std::io::Result<()> {
        for entry in std::fs::read_dir(self.temporary())? {
            std::fs::remove_file(entry?.path())?;
        }
        Ok(())
    }
}

/// The digest that a blob's path spells; `None` for a file that is none of ours.
fn digest_of(path: &Path) -> Option<Digest> {
    let folder = path.parent()?.file_name()?.to_str()?;
    let name = path.file_name()?.to_str()?;
    format!("{folder}{name}").parse().ok()
}

/// Blobs that become visible together, once they are on disk.
struct Batch<'a> {
    store: &'a BlobStore,
    /// Written under temporary names.
    blobs: Vec<(Digest, PathBuf, File)>,
}

impl<'a> Batch<'a> {
    fn new(store: &'a BlobStore) -> Self {
        Self { store, blobs: Vec::new() }
    }

    /// Writes `content`, whose digest the caller has checked.
    fn add(&mut self, digest: Digest, content: &[u8]) -> Result<(), BlobError> {
        let number = self.store.shared.next_temporary.fetch_add(1, Ordering::Relaxed);
        let path = self.store.temporary().join(number.to_string());
        let create = File::options().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = create.map_err(BlobError::io("create", &path))?;
        let written = file.write_all(content);
        self.blobs.push((digest, path.clone(), file));
        written.map_err(BlobError::io("write", &path))
    }

    /// Syncs the content, then gives each blob its name, then syncs the names.
    fn commit(mut self) -> Result<(), BlobError> {
        let dir = &self.store.shared.dir;
        let singly = self.blobs.len() <= SYNC_SINGLY_FILES;
        self.sync_content(singly).map_err(BlobError::io("write", dir))?;
        let mut folders = HashSet::new();
        for (digest, temporary, _) in std::mem::take(&mut self.blobs) {
            let path = self.store.path(digest);
            std::fs::rename(&temporary, &path).map_err(BlobError::io("name", &path))?;
            folders.extend(path.parent().map(Path::to_owned));
        }
        if singly {
            for folder in folders {
                File::open(&folder).and_then(|f| f.sync_all()).map_err(BlobError::io("write", &folder))?;
            }
            return Ok(());
        }
        sync_file_system(dir).map_err(BlobError::io("write", dir))
    }

    fn sync_content(&self, singly: bool) -> std::io::Result<()> {
        if singly {
            return self.blobs.iter().try_for_each(|(_, _, file)| file.sync_all());
        }
        sync_file_system(&self.store.shared.dir)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for (_, path, _) in &self.blobs {
            // What stays is swept when the store is opened next.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn sync_file_system(dir: &Path) -> std::io::Result<()> {
    nix::unistd::syncfs(File::open(dir)?).map_err(Into::into)
}

#[cfg(test)]
mod tests;
