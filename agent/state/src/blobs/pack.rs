//! Unpacking what a client sent: a zip whose entries are named by the digest of what they hold.
//!
//! **Invariant**: nothing in a pack is believed. Names, lengths and content are checked, lengths while inflating.

use super::{Batch, BlobError, BlobStore};
use std::collections::HashSet;
use std::io::{Cursor, Read};
use wharf_proto::{Digest, limits};
use zip::ZipArchive;

impl BlobStore {
    /// Stores the blobs of a pack and returns their digests and lengths in the pack's order. Blobs that are stored
    /// already are written anew.
    ///
    /// # Errors
    /// The first entry that is not named by a wanted digest, too long, or something else than its name says. The entries
    /// before it are stored.
    pub fn put_pack_zip(
        &self,
        pack: &[u8],
        wanted: &HashSet<Digest>,
    ) -> Result<Vec<(Digest, u64)>, BlobError> {
        if pack.len() as u64 > limits::PACK_BYTES {
            return Err(BlobError::PackTooLong(pack.len() as u64));
        }
        let mut archive = ZipArchive::new(Cursor::new(pack)).map_err(BlobError::NotAZip)?;
        let mut batch = Batch::new(self);
        let mut stored = Vec::new();
        let mut content = Vec::new();
        let unpacked = (0..archive.len()).try_for_each(|at| {
            let digest = unpack(&mut archive, at, wanted, &mut content)?;
            batch.add(digest, &content)?;
            stored.push((digest, content.len() as u64));
            Ok(())
        });
        batch.commit()?;
        unpacked.map(|()| stored)
    }
}

/// Inflates one entry into `content` and returns its digest, when all is as it should be.
fn unpack(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    at: usize,
    wanted: &HashSet<Digest>,
    content: &mut Vec<u8>,
) -> Result<Digest, BlobError> {
    let entry = archive.by_index(at).map_err(BlobError::NotAZip)?;
    let name: String = String::from_utf8_lossy(entry.name_raw()).chars().take(100).collect();
    let Ok(digest) = name.parse::<Digest>() else {
        return Err(BlobError::Name { name });
    };
    if !wanted.contains(&digest) {
        return Err(BlobError::Unwanted { name });
    }
    content.clear();
    let mut limited = entry.take(u64::from(limits::CHUNK_MAX_BYTES) + 1);
    if let Err(source) = limited.read_to_end(content) {
        return Err(BlobError::Unpack { name, source });
    }
    if content.len() > limits::CHUNK_MAX_BYTES as usize {
        return Err(BlobError::TooLong { name });
    }
    match Digest::of(content) {
        found if found == digest => Ok(digest),
        found => Err(BlobError::WrongDigest { name, found }),
    }
}
