//! Files out of chunks.

use super::{BlobError, BlobStore};
use std::fs::{File, FileTimes, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use wharf_proto::manifest::Chunk;

/// How the temporary files begin that [`BlobStore::write_file`] writes beside its destination. A crash can leave one.
pub const TEMPORARY_PREFIX: &str = ".wharf-tmp-";

static NEXT_TEMPORARY: AtomicU64 = AtomicU64::new(0);

/// What a file is besides its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMeta {
    /// Permission bits, whatever the process's mask.
    pub mode: u32,
    pub mtime_seconds: i64,
    /// User and group, where they are to be set.
    pub owner: Option<(u32, u32)>,
}

impl BlobStore {
    /// The content of a file, chunk by chunk, each hashed anew. A bad chunk is an [`std::io::Error`] around a [`BlobError`].
    pub fn open_file(&self, chunks: &[Chunk]) -> ChunkReader {
        let mut chunks = chunks.to_vec();
        chunks.reverse();
        ChunkReader { store: self.clone(), rest: chunks, current: std::io::Cursor::default() }
    }

    /// Writes a file in place of whatever file or link is at `to`: under a temporary name in the same folder, then
    /// renamed. `durable` waits for the disk, and then the file survives a power cut. Links in the folders above are
    /// followed: whether that is right is the caller's to know.
    ///
    /// # Errors
    /// Chunks that are missing, damaged or not as long as they should be, or a disk that cannot be written; then what
    /// was at `to` is still there.
    pub fn write_file(
        &self,
        chunks: &[Chunk],
        to: &Path,
        meta: FileMeta,
        durable: bool,
    ) -> Result<(), BlobError> {
        let folder = to.parent().unwrap_or(Path::new("."));
        let number = NEXT_TEMPORARY.fetch_add(1, Ordering::Relaxed);
        let temporary = Temporary(folder.join(format!("{TEMPORARY_PREFIX}{}-{number}", std::process::id())));
        let file = self.write_new(chunks, &temporary.0, meta)?;
        if durable {
            file.sync_all().map_err(BlobError::io("write", &temporary.0))?;
        }
        std::fs::rename(&temporary.0, to).map_err(BlobError::io("replace", to))?;
        if durable {
            File::open(folder).and_then(|f| f.sync_all()).map_err(BlobError::io("write", folder))?;
        }
        Ok(())
    }

    /// Writes a file where there is none, nor a link.
    pub(super) fn write_new(&self, chunks: &[Chunk], to: &Path, meta: FileMeta) -> Result<File, BlobError> {
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to)
            .map_err(BlobError::io("create", to))?;
        for chunk in chunks {
            file.write_all(&self.read_chunk(chunk)?).map_err(BlobError::io("write", to))?;
        }
        // The owner first: a change of it can take permission bits away.
        if let Some((uid, gid)) = meta.owner {
            std::os::unix::fs::fchown(&file, Some(uid), Some(gid))
                .map_err(BlobError::io("give to the app's owner", to))?;
        }
        file.set_permissions(Permissions::from_mode(meta.mode & 0o777))
            .and_then(|()| file.set_times(FileTimes::new().set_modified(time(meta.mtime_seconds))))
            .map_err(BlobError::io("set mode and time of", to))?;
        Ok(file)
    }

    fn read_chunk(&self, chunk: &Chunk) -> Result<Vec<u8>, BlobError> {
        let content = self.read(chunk.digest)?;
        if content.len() != chunk.size_bytes as usize {
            let (digest, expected) = (chunk.digest, chunk.size_bytes);
            return Err(BlobError::Size { digest, expected, found: content.len() });
        }
        Ok(content)
    }
}

/// A file's content as a stream; holds one chunk in memory.
#[derive(Debug)]
pub struct ChunkReader {
    store: BlobStore,
    /// The chunks to come, last first.
    rest: Vec<Chunk>,
    current: std::io::Cursor<Vec<u8>>,
}

impl Read for ChunkReader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            let count = self.current.read(into)?;
            if count > 0 {
                return Ok(count);
            }
            let Some(chunk) = self.rest.last() else { return Ok(0) };
            self.current = std::io::Cursor::new(self.store.read_chunk(chunk).map_err(std::io::Error::other)?);
            self.rest.pop();
        }
    }
}

/// Removes a temporary file, unless it was renamed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A file's time; one that this system cannot tell is 1970.
fn time(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}
