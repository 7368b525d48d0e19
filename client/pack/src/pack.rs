//! Packs: the chunks that the server lacks, a few megabytes at a time.
//!
//! **Invariant**: a pack is one complete zip of at most `PACK_BYTES`, its entries named by their content's digest, each
//! chunk in exactly one pack.

use crate::{Hashed, PackError, parallel};
use bytes::Bytes;
use std::collections::HashSet;
use std::io::Cursor;
use wharf_proto::manifest::Chunk;
use wharf_proto::message::PackEncoding;
use wharf_proto::{Digest, limits};
use zip::result::ZipError;
use zip::write::{PreparedZipFile, SimpleFileOptions};
use zip::{CompressionMethod, DateTime, ZipWriter};

/// One pack, ready to be sent.
#[derive(Debug, Clone)]
pub struct Pack {
    pub encoding: PackEncoding,
    pub bytes: Bytes,
    /// How many chunks are in it.
    pub chunks: usize,
    /// Their length before compression.
    pub raw_bytes: u64,
}

/// What a zip entry costs beside its content: two headers with a name of 64 digits, rounded up. Counted, so that a pack
/// of many tiny chunks stays small, too.
const ENTRY_BYTES: u64 = 256;

/// Packs of the chunks in `missing`, each once, in the manifest's order. Packs are made when they are asked for, on all
/// cores; one is in memory at a time.
pub fn packs<'a>(
    hashed: &'a Hashed,
    missing: &[Digest],
) -> impl Iterator<Item = Result<Pack, PackError>> + use<'a> {
    let unknown = missing.iter().find(|digest| !hashed.contains(digest)).copied();
    let groups = if unknown.is_some() { Vec::new() } else { group(wanted(hashed, missing)) };
    let error = unknown.map(|digest| Err(PackError::UnknownChunk { digest }));
    error.into_iter().chain(groups.into_iter().map(move |chunks| pack(hashed, &chunks)))
}

fn wanted(hashed: &Hashed, missing: &[Digest]) -> Vec<Chunk> {
    let mut missing: HashSet<Digest> = missing.iter().copied().collect();
    hashed.manifest().chunks().filter(|chunk| missing.remove(&chunk.digest)).copied().collect()
}

fn group(chunks: Vec<Chunk>) -> Vec<Vec<Chunk>> {
    let mut groups: Vec<Vec<Chunk>> = Vec::new();
    let mut cost_bytes = 0;
    for chunk in chunks {
        let cost = u64::from(chunk.size_bytes) + ENTRY_BYTES;
        match groups.last_mut() {
            Some(last) if cost_bytes + cost <= limits::PACK_TARGET_BYTES => {
                last.push(chunk);
                cost_bytes += cost;
            }
            _ => {
                groups.push(vec![chunk]);
                cost_bytes = cost;
            }
        }
    }
    groups
}

fn pack(hashed: &Hashed, chunks: &[Chunk]) -> Result<Pack, PackError> {
    let entries = parallel::try_map(
        chunks,
        || (),
        |(), chunk| {
            prepare(chunk, &hashed.read_chunk(&chunk.digest)?).map_err(|source| PackError::Zip { source })
        },
    )?;
    let bytes = assemble(entries).map_err(|source| PackError::Zip { source })?;
    if bytes.len() as u64 > limits::PACK_BYTES {
        return Err(PackError::PackTooLong { size_bytes: bytes.len() as u64 });
    }
    Ok(Pack {
        encoding: PackEncoding::Zip,
        bytes: bytes.into(),
        chunks: chunks.len(),
        raw_bytes: chunks.iter().map(|chunk| u64::from(chunk.size_bytes)).sum(),
    })
}

/// A compressed entry; stored as it is where compression gains nothing.
fn prepare(chunk: &Chunk, content: &[u8]) -> Result<PreparedZipFile, ZipError> {
    let name = chunk.digest.to_hex();
    // The time is fixed so that the same chunks give the same pack.
    let options = SimpleFileOptions::default().last_modified_time(DateTime::default());
    let deflated =
        PreparedZipFile::from_data(&name, options.compression_method(CompressionMethod::Deflated), content)?;
    if deflated.compressed_size() < content.len() as u64 {
        return Ok(deflated);
    }
    PreparedZipFile::from_data(&name, options.compression_method(CompressionMethod::Stored), content)
}

fn assemble(entries: Vec<PreparedZipFile>) -> Result<Vec<u8>, ZipError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        zip.add_prepared_file(entry)?;
    }
    Ok(zip.finish()?.into_inner())
}
