//! The manifest of a walk: every file read once and cut into chunks.
//!
//! **Invariant**: [`Hashed::read_chunk`] gives bytes of exactly the digest asked for, or an error.

use crate::exposed::{self, Exposed};
use crate::read::{self, Try, steady};
use crate::{Found, FoundKind, PackError, Walk, parallel};
use bytes::Bytes;
use fastcdc::v2020::StreamCDC;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use wharf_proto::{Digest, Entry, EntryKind, Manifest, RelPath, limits, manifest::Chunk};

/// A manifest, and where on disk its chunks are.
#[derive(Debug)]
pub struct Hashed {
    manifest: Manifest,
    root: PathBuf,
    sources: HashMap<Digest, Source>,
    exposed: Vec<Exposed>,
}

/// Where a chunk's content is: the first of the places, where there are several.
#[derive(Debug, Clone, Copy)]
struct Source {
    /// Index into the manifest's entries.
    entry: usize,
    offset_bytes: u64,
    size_bytes: u32,
}

/// Reads every file of `walk` and gives the manifest.
///
/// # Errors
/// A file that cannot be read, is gone, does not hold still, or is too long.
pub fn hash(walk: &Walk, root: &Path) -> Result<Hashed, PackError> {
    hash_with(walk, root, &|_| {})
}

/// As [`hash()`]; `on_bytes` is told of each piece that was read, from several threads. A file that changed meanwhile is
/// told of again: the sum can be more than [`Walk::size_bytes`].
///
/// # Errors
/// As [`hash()`].
pub fn hash_with(walk: &Walk, root: &Path, on_bytes: &(dyn Fn(u64) + Sync)) -> Result<Hashed, PackError> {
    let mut order: Vec<&Found> = walk.entries.iter().collect();
    // The longest first, else one core ends up alone with it.
    order.sort_by_key(|found| match found.kind {
        FoundKind::File { size_bytes, .. } if size_bytes > u64::from(limits::CHUNK_MAX_BYTES) => {
            std::cmp::Reverse(size_bytes)
        }
        _ => std::cmp::Reverse(0),
    });
    let work = |buffer: &mut Vec<u8>, found: &&Found| {
        let entry = entry(root, found, buffer, on_bytes)?;
        let exposed = if is_scanned(&entry, walk) { exposed::find(&entry.path, buffer) } else { Vec::new() };
        Ok::<_, PackError>((entry, exposed))
    };
    let (entries, exposed): (Vec<_>, Vec<_>) = parallel::try_map(&order, Vec::new, work)?.into_iter().unzip();
    let mut exposed: Vec<Exposed> = exposed.into_iter().flatten().collect();
    exposed.sort();
    Hashed::new(Manifest::new(entries)?, root.to_owned(), exposed)
}

impl Hashed {
    fn new(manifest: Manifest, root: PathBuf, exposed: Vec<Exposed>) -> Result<Self, PackError> {
        let mut sources = HashMap::new();
        for (at, entry) in manifest.entries().iter().enumerate() {
            let EntryKind::File { chunks, .. } = &entry.kind else { continue };
            let mut offset_bytes = 0;
            for chunk in chunks {
                sources.entry(chunk.digest).or_insert(Source {
                    entry: at,
                    offset_bytes,
                    size_bytes: chunk.size_bytes,
                });
                offset_bytes += u64::from(chunk.size_bytes);
            }
        }
        Ok(Self { manifest, root, sources, exposed })
    }

    /// Secrets in the text of files that would be shipped, but for those that [`crate::PackRules::include`] names.
    pub fn exposed(&self) -> &[Exposed] {
        &self.exposed
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether some file has the content.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.sources.contains_key(digest)
    }

    /// Reads a chunk again.
    ///
    /// # Errors
    /// [`PackError::Changed`] where the file no longer holds it, [`PackError::UnknownChunk`] where none ever did.
    pub fn read_chunk(&self, digest: &Digest) -> Result<Bytes, PackError> {
        let unknown = || PackError::UnknownChunk { digest: *digest };
        let source = self.sources.get(digest).ok_or_else(unknown)?;
        let entry = self.manifest.entries().get(source.entry).ok_or_else(unknown)?;
        self.read_part(
            &entry.path,
            source.offset_bytes,
            &Chunk { digest: *digest, size_bytes: source.size_bytes },
        )
    }

    /// Reads a chunk where one file has it.
    pub(crate) fn read_part(
        &self,
        path: &RelPath,
        offset_bytes: u64,
        chunk: &Chunk,
    ) -> Result<Bytes, PackError> {
        let mut content = Vec::with_capacity(chunk.size_bytes as usize);
        let mut part = || -> io::Result<()> {
            let mut file = File::open(path.below(&self.root))?;
            file.seek(SeekFrom::Start(offset_bytes))?;
            file.take(u64::from(chunk.size_bytes)).read_to_end(&mut content)?;
            Ok(())
        };
        part().map_err(|source| read::failure(path, source))?;
        if Digest::of(&content) != chunk.digest {
            return Err(PackError::Changed { path: path.clone() });
        }
        Ok(content.into())
    }
}

/// Whether the buffer has the file's content, and it is to be looked through for secrets.
fn is_scanned(entry: &Entry, walk: &Walk) -> bool {
    matches!(entry.kind, EntryKind::File { size_bytes, .. } if size_bytes <= exposed::SCANNED_BYTES)
        && !walk.named.contains(&entry.path)
}

/// The manifest's entry for one path; `buffer` is reused, and holds the content of a file that is one chunk afterwards.
fn entry(
    root: &Path,
    found: &Found,
    buffer: &mut Vec<u8>,
    on_bytes: &(dyn Fn(u64) + Sync),
) -> Result<Entry, PackError> {
    let path = found.path.clone();
    let kind = match &found.kind {
        FoundKind::Symlink { target } => EntryKind::Symlink { target: target.clone() },
        FoundKind::Folder { mode } => EntryKind::Folder { mode: *mode },
        FoundKind::File { mode, .. } => {
            let (stamp, chunks) = steady(root, &path, |file, size_bytes| {
                if size_bytes <= u64::from(limits::CHUNK_MAX_BYTES) {
                    one_chunk(&path, file, size_bytes, buffer, on_bytes)
                } else {
                    many_chunks(&path, file, size_bytes, on_bytes)
                }
            })?;
            EntryKind::File {
                mode: *mode,
                mtime_seconds: stamp.mtime_seconds,
                size_bytes: stamp.size_bytes,
                chunks,
            }
        }
    };
    Ok(Entry { path, kind })
}

fn one_chunk(
    path: &RelPath,
    file: &mut File,
    size_bytes: u64,
    buffer: &mut Vec<u8>,
    on_bytes: &(dyn Fn(u64) + Sync),
) -> Result<Try<Vec<Chunk>>, PackError> {
    buffer.clear();
    // One byte more than there should be, to see a file that grows.
    file.take(size_bytes + 1).read_to_end(buffer).map_err(|source| read::failure(path, source))?;
    if buffer.len() as u64 != size_bytes {
        return Ok(Try::Changed);
    }
    on_bytes(size_bytes);
    Ok(Try::Read(chunk(buffer).into_iter().collect()))
}

fn many_chunks(
    path: &RelPath,
    file: &mut File,
    size_bytes: u64,
    on_bytes: &(dyn Fn(u64) + Sync),
) -> Result<Try<Vec<Chunk>>, PackError> {
    let cutter = StreamCDC::new(
        file.take(size_bytes + 1),
        limits::CHUNK_MIN_BYTES as usize,
        limits::CHUNK_AVERAGE_BYTES as usize,
        limits::CHUNK_MAX_BYTES as usize,
    );
    let mut chunks = Vec::new();
    let mut read_bytes = 0;
    for part in cutter {
        let part = part.map_err(|error| read::failure(path, error.into()))?;
        read_bytes += part.data.len() as u64;
        on_bytes(part.data.len() as u64);
        chunks.extend(chunk(&part.data));
        if chunks.len() > limits::FILE_CHUNKS {
            return Err(PackError::FileTooLong { path: path.clone(), size_bytes });
        }
    }
    Ok(if read_bytes == size_bytes { Try::Read(chunks) } else { Try::Changed })
}

/// An empty file has no chunk.
fn chunk(content: &[u8]) -> Option<Chunk> {
    let size_bytes = u32::try_from(content.len()).ok().filter(|size| *size > 0)?;
    Some(Chunk { digest: Digest::of(content), size_bytes })
}
