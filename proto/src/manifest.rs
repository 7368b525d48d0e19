//! What a release's files are: paths, kinds, modes and the chunks that hold their content.

use crate::{Digest, RelPath, limits};
use serde::{Deserialize, Serialize};

/// Every path that a release ships, sorted by path, each once. Folders are listed only where they are empty;
/// the others follow from what lies in them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest {
    entries: Vec<Entry>,
}

/// One path of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub path: RelPath,
    #[serde(flatten)]
    pub kind: EntryKind,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EntryKind {
    File {
        /// Permission bits, `0o000` to `0o777`. A build context hashes them.
        mode: u32,
        /// Seconds since 1970, as the laptop's file system said.
        #[serde(default)]
        mtime_seconds: i64,
        size_bytes: u64,
        /// SHA-256 of the content's parts, in order; none for an empty file.
        chunks: Vec<Chunk>,
    },
    /// `target` is kept as it is written: what it means is the server's to say.
    Symlink { target: LinkTarget },
    /// An empty folder.
    Folder { mode: u32 },
}

/// One piece of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Chunk {
    pub digest: Digest,
    pub size_bytes: u32,
}

/// A symbolic link's text: bytes, which travel as text where they are UTF-8 and as `{"bytes": "<hex>"}` where not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LinkTarget {
    Text(String),
    Bytes { bytes: String },
}

impl LinkTarget {
    pub fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes { bytes: hex::encode(bytes) },
        }
    }

    /// The link's bytes; what is not hexadecimal is an empty link, which [`Manifest::new`] refuses.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Bytes { bytes } => hex::decode(bytes).unwrap_or_default(),
        }
    }
}

/// Why entries are not a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("{0} is listed twice")]
    Twice(RelPath),
    #[error("{child} lies below {parent}, which is not a folder")]
    BelowAFile { parent: RelPath, child: RelPath },
    #[error("{0}: the chunks do not add up to the file's size")]
    Size(RelPath),
    #[error("{0}: a chunk is empty or longer than {max} bytes", max = limits::CHUNK_MAX_BYTES)]
    Chunk(RelPath),
    #[error("{0}: more than {max} chunks", max = limits::FILE_CHUNKS)]
    TooManyChunks(RelPath),
    #[error("{0}: a symbolic link must lead to a non-empty path without NUL bytes")]
    Link(RelPath),
    #[error("{0}: permission bits above 0o777")]
    Mode(RelPath),
    #[error("{0} entries, more than the {max} allowed", max = limits::MANIFEST_ENTRIES)]
    TooMany(usize),
}

impl Manifest {
    /// Sorts and checks `entries`.
    ///
    /// # Errors
    /// A path twice, a path below a file or a link, sizes that do not add up, or more than the limits allow.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, ManifestError> {
        if entries.len() > limits::MANIFEST_ENTRIES {
            return Err(ManifestError::TooMany(entries.len()));
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        for entry in &entries {
            check_entry(entry)?;
        }
        for pair in entries.windows(2) {
            if let [a, b] = pair
                && a.path == b.path
            {
                return Err(ManifestError::Twice(a.path.clone()));
            }
        }
        let manifest = Self { entries };
        manifest.check_parents()?;
        Ok(manifest)
    }

    fn check_parents(&self) -> Result<(), ManifestError> {
        for entry in &self.entries {
            let mut parent = entry.path.parent();
            while let Some(folder) = parent {
                if self.get(&folder).is_some() {
                    return Err(ManifestError::BelowAFile { parent: folder, child: entry.path.clone() });
                }
                parent = folder.parent();
            }
        }
        Ok(())
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// The entry at exactly `path`.
    pub fn get(&self, path: &RelPath) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| entry.path.cmp(path)).ok()?;
        self.entries.get(at)
    }

    /// Every chunk, repeated as often as files repeat it.
    pub fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.entries.iter().flat_map(|entry| match &entry.kind {
            EntryKind::File { chunks, .. } => chunks.as_slice(),
            EntryKind::Symlink { .. } | EntryKind::Folder { .. } => &[],
        })
    }

    /// The sum of the files' sizes.
    pub fn size_bytes(&self) -> u64 {
        let size = |entry: &Entry| match entry.kind {
            EntryKind::File { size_bytes, .. } => size_bytes,
            EntryKind::Symlink { .. } | EntryKind::Folder { .. } => 0,
        };
        self.entries.iter().map(size).sum()
    }

    /// One digest for the content of all entries that `select` takes: paths, kinds, modes and chunks, not times.
    /// Client and agent compare front ends by it.
    pub fn tree_digest(&self, mut select: impl FnMut(&RelPath) -> bool) -> Digest {
        use sha2::Digest as _;
        let mut hash = sha2::Sha256::new();
        for entry in self.entries.iter().filter(|entry| select(&entry.path)) {
            hash.update(entry.identity().0);
        }
        Digest(hash.finalize().into())
    }
}

impl Entry {
    /// The digest of path, kind, mode and content: equal exactly where shipping one for the other changes nothing
    /// but times.
    pub fn identity(&self) -> Digest {
        use sha2::Digest as _;
        let mut hash = sha2::Sha256::new();
        let field = |hash: &mut sha2::Sha256, bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        field(&mut hash, self.path.as_bytes());
        match &self.kind {
            EntryKind::File { mode, size_bytes, chunks, mtime_seconds: _ } => {
                field(&mut hash, b"file");
                hash.update(mode.to_be_bytes());
                hash.update(size_bytes.to_be_bytes());
                for chunk in chunks {
                    hash.update(chunk.digest.0);
                }
            }
            EntryKind::Symlink { target } => {
                field(&mut hash, b"link");
                field(&mut hash, &target.to_bytes());
            }
            EntryKind::Folder { mode } => {
                field(&mut hash, b"folder");
                hash.update(mode.to_be_bytes());
            }
        }
        Digest(hash.finalize().into())
    }
}

fn check_entry(entry: &Entry) -> Result<(), ManifestError> {
    let path = || entry.path.clone();
    match &entry.kind {
        EntryKind::File { mode, size_bytes, chunks, .. } => {
            if *mode > 0o777 {
                return Err(ManifestError::Mode(path()));
            }
            if chunks.len() > limits::FILE_CHUNKS {
                return Err(ManifestError::TooManyChunks(path()));
            }
            if chunks.iter().any(|c| c.size_bytes == 0 || c.size_bytes > limits::CHUNK_MAX_BYTES) {
                return Err(ManifestError::Chunk(path()));
            }
            if chunks.iter().map(|c| u64::from(c.size_bytes)).sum::<u64>() != *size_bytes {
                return Err(ManifestError::Size(path()));
            }
        }
        EntryKind::Symlink { target } => {
            let bytes = target.to_bytes();
            if bytes.is_empty() || bytes.contains(&0) || bytes.len() > limits::PATH_BYTES {
                return Err(ManifestError::Link(path()));
            }
        }
        EntryKind::Folder { mode } => {
            if *mode > 0o777 {
                return Err(ManifestError::Mode(path()));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &[u8]) -> Entry {
        let chunk = Chunk { digest: Digest::of(content), size_bytes: content.len() as u32 };
        let kind = EntryKind::File {
            mode: 0o644,
            mtime_seconds: 7,
            size_bytes: content.len() as u64,
            chunks: vec![chunk],
        };
        Entry { path: path.parse().unwrap(), kind }
    }

    #[test]
    fn a_path_twice_or_below_a_file_is_refused() {
        assert!(matches!(
            Manifest::new(vec![file("a", b"1"), file("a", b"2")]),
            Err(ManifestError::Twice(_))
        ));
        assert!(matches!(
            Manifest::new(vec![file("a", b"1"), file("a-b", b"1"), file("a/b", b"2")]),
            Err(ManifestError::BelowAFile { .. })
        ));
        assert!(Manifest::new(vec![file("b", b"1"), file("a/c", b"1"), file("a/b", b"2")]).is_ok());
    }

    #[test]
    fn sizes_must_add_up() {
        let mut entry = file("a", b"12");
        if let EntryKind::File { size_bytes, .. } = &mut entry.kind {
            *size_bytes = 3;
        }
        assert_eq!(Manifest::new(vec![entry]), Err(ManifestError::Size("a".parse().unwrap())));
    }

    #[test]
    fn a_tree_digest_sees_content_and_mode_but_not_time() {
        let all = |entries: Vec<Entry>| Manifest::new(entries).unwrap().tree_digest(|_| true);
        let before = all(vec![file("a", b"1")]);
        let mut touched = file("a", b"1");
        if let EntryKind::File { mtime_seconds, .. } = &mut touched.kind {
            *mtime_seconds = 8;
        }
        assert_eq!(all(vec![touched.clone()]), before);
        if let EntryKind::File { mode, .. } = &mut touched.kind {
            *mode = 0o755;
        }
        assert_ne!(all(vec![touched]), before);
        assert_ne!(all(vec![file("a", b"2")]), before);
    }
}
