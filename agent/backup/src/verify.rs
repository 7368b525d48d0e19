//! Reading back what was written, through a handle that did not write it.
//!
//! Every file that this run wrote is hashed whole, from the disk; it bears its hash as its name. Then the snapshot's
//! tree is walked: every chunk must be in a pack of the right size, and packs are read and hashed blob by blob, all of
//! them up to a budget, a random choice beyond it (a scheduled check reads the rest).

use crate::line::Outbox;
use crate::panics::until_index_is_free;
use crate::repository::Store;
use crate::{BackupError, Phase, Progress};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use rustic_core::repofile::SnapshotFile;
use rustic_core::{CheckOptions, CheckResults, FileType, Id, ReadBackend, ReadSubsetOption};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

/// How much of what the snapshot shares with earlier ones is read again, too.
const SHARED_BYTES: u64 = 512 * 1024 * 1024;
/// How many findings are told.
const FINDINGS: usize = 20;
const BUFFER_BYTES: usize = 256 * 1024;

/// Checks the snapshot that the gate holds.
pub(crate) fn verify(
    store: &Store,
    snapshot: &SnapshotFile,
    outbox: &Arc<Outbox>,
) -> Result<(), BackupError> {
    let damaged = |findings| BackupError::Damaged { repo: store.repo.clone(), findings };
    let (mut files, mut bytes) = (0, 0);
    for (kind, id) in store.gate.written().0 {
        // The config is the one file that is not named by its hash.
        if kind == FileType::Config {
            continue;
        }
        bytes += hash_file(store, kind, &id).map_err(|finding| damaged(vec![finding]))?;
        files += 1;
        outbox.progress(Progress { phase: Phase::Check, files, bytes });
    }
    let options =
        CheckOptions::default().read_data(true).read_data_subset(ReadSubsetOption::Size(SHARED_BYTES));
    let repository = store.open()?;
    let results = until_index_is_free(|| repository.check_with_trees(options, vec![snapshot.tree]))
        .map_err(BackupError::rustic("be checked"))?;
    match findings(&results, "Error") {
        none if none.is_empty() => Ok(()),
        findings => Err(damaged(findings)),
    }
}

/// What a check found, of one level.
pub(crate) fn findings(results: &CheckResults, level: &str) -> Vec<String> {
    // The type of the levels has no public name.
    let of_level = results.0.iter().filter(|(found, _)| format!("{found:?}") == level);
    of_level.map(|(_, finding)| finding.to_string()).take(FINDINGS).collect()
}

fn hash_remote(store: &Store, kind: FileType, id: &Id) -> Result<u64, String> {
    let content = store.gate.read_full(kind, id).map_err(|error| error.display_log())?;
    if hex::encode(Sha256::digest(&content)) == *id.to_hex() {
        return Ok(content.len() as u64);
    }
    Err(format!("{} {} has another content than was sent", kind.dirname(), &*id.to_hex()))
}

/// Hashes a file of the repository and returns its size.
pub(crate) fn hash_file(store: &Store, kind: FileType, id: &Id) -> Result<u64, String> {
    if kind == FileType::Config {
        return Ok(0);
    }
    if !store.gate.is_local() {
        return hash_remote(store, kind, id);
    }
    let path = store.gate.path(kind, id);
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(&path).map_err(failed)?;
    // It was synced when it was written, so the kernel can forget it and what is read comes from the disk.
    let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    let (mut hash, mut size_bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => break,
            count => {
                hash.update(&buffer[..count]);
                size_bytes += count as u64;
            }
        }
    }
    if hex::encode(hash.finalize()) == id.to_hex().as_str() {
        Ok(size_bytes)
    } else {
        Err(format!("{} does not hold what was written", path.display()))
    }
}
