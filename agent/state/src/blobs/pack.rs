//! Packs: zips whose entries are named by the digest of what they hold. Those that clients send are unpacked here, and those
//! for a client that passes a release on are made.
//!
//! **Invariant**: nothing in a pack is believed. Names, lengths and content are checked, lengths while inflating.

use super::{Batch, BlobError, BlobStore};
use std::collections::HashSet;
use std::io::{Cursor, Read, Write};
use wharf_proto::{Digest, limits};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// What an entry costs beside its content: two headers with a name of 64 digits, rounded up.
const ENTRY_BYTES: u64 = 256;

/// The first few of some blobs, packed.
#[derive(Debug)]
pub struct BlobPack {
    pub zip: Vec<u8>,
    /// How many blobs are in it.
    pub blobs: usize,
    /// Their length before compression.
    pub content_bytes: u64,
}

impl BlobStore {
    /// Packs the first of `digests`: one at least, and no more than fit into [`limits::PACK_TARGET_BYTES`] as they are.
    ///
    /// # Errors
    /// A blob that is not there or is damaged, or a disk that cannot be read.
    pub fn pack_zip(&self, digests: &[Digest]) -> Result<BlobPack, BlobError> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        let (mut blobs, mut content_bytes, mut cost_bytes) = (0, 0, 0);
        for digest in digests {
            let content = self.read(*digest)?;
            let cost = content.len() as u64 + ENTRY_BYTES;
            if blobs > 0 && cost_bytes + cost > limits::PACK_TARGET_BYTES {
                break;
            }
            zip.start_file(digest.to_hex(), deflated).map_err(BlobError::Zip)?;
            zip.write_all(&content).map_err(|e| BlobError::Zip(e.into()))?;
            blobs += 1;
            content_bytes += content.len() as u64;
            cost_bytes += cost;
        }
        let zip = zip.finish().map_err(BlobError::Zip)?.into_inner();
        Ok(BlobPack { zip, blobs, content_bytes })
    }

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
