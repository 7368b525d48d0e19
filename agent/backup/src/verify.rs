//! Reading back what was written, through a handle that did not write it.
//!
//! The snapshot's tree is walked: every chunk must be in a pack of the right size, and packs are read and hashed, whole
//! and blob by blob, all of them up to a budget, a random choice beyond it (a scheduled check reads the rest). Every file
//! that this run wrote is hashed whole, from the disk; it bears its hash as its name. What the walk has read and hashed
//! to its end is not read a second time for that.

use crate::line::Outbox;
use crate::panics::until_index_is_free;
use crate::repository::Store;
use crate::{BackupError, Phase, Progress};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use rustic_core::repofile::{IndexFile, SnapshotFile};
use rustic_core::{CheckOptions, CheckResults, FileType, Id, ReadBackend, ReadSubsetOption};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

/// How much of what the snapshot shares with earlier ones is read again, too.
const SHARED_BYTES: u64 = 512 * 1024 * 1024;
/// No pack is larger.
const LARGEST_PACK_BYTES: u64 = 128 * 1024 * 1024;
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
    let (written, written_bytes) = store.gate.written();
    outbox.progress(Progress { phase: Phase::Check, files: 0, bytes: 0 });
    for (kind, id) in &written {
        forget_cached(store, *kind, id).map_err(|finding| damaged(vec![finding]))?;
    }
    store.gate.watch_reads();
    let budget = written_bytes.saturating_add(SHARED_BYTES);
    let options = CheckOptions::default().read_data(true).read_data_subset(ReadSubsetOption::Size(budget));
    let repository = store.open()?;
    let held: SnapshotFile = repository.get_file(&snapshot.id).map_err(BackupError::rustic("be checked"))?;
    if (held.tree, &held.time) != (snapshot.tree, &snapshot.time) {
        return Err(damaged(vec!["the snapshot is not what was to be written".to_owned()]));
    }
    let results = until_index_is_free(|| repository.check_with_trees(options, vec![snapshot.tree]))
        .map_err(BackupError::rustic("be checked"))?;
    let findings = findings(&results, "Error");
    if !findings.is_empty() {
        return Err(damaged(findings));
    }
    let (mut files, mut bytes, mut left) = (0, 0, HashSet::new());
    for (kind, id) in written {
        bytes += match checked(store, kind, &id).map_err(|finding| damaged(vec![finding]))? {
            Some(size_bytes) => size_bytes,
            None => {
                left.extend((kind == FileType::Pack).then_some(id));
                hash_file(store, kind, &id).map_err(|finding| damaged(vec![finding]))?
            }
        };
        files += 1;
        outbox.progress(Progress { phase: Phase::Check, files, bytes });
    }
    if store.gate.read_in_all().saturating_add(LARGEST_PACK_BYTES) < budget {
        // Nothing was passed over for lack of budget: what was not read, no backup needs. Dumps have such a folder at first.
        return Ok(());
    }
    hash_blobs(store, &left, damaged)
}

/// The size of a pack that the check has read to its end, in which it has found nothing.
fn checked(store: &Store, kind: FileType, id: &Id) -> Result<Option<u64>, String> {
    if kind != FileType::Pack {
        return Ok(None);
    }
    let path = store.gate.path(kind, id);
    let size_bytes = path.metadata().map_err(|error| format!("{}: {error}", path.display()))?.len();
    // The check reads the end of a pack, its header, for one thing only: to hash the whole of it.
    Ok(Some(size_bytes).filter(|size_bytes| store.gate.read_of(id) == *size_bytes))
}

/// Reads packs that the check has passed over blob by blob, as it does with those that it takes. rustic does not look at what
/// it has compressed and encrypted ([`crate::key`]), so this must.
fn hash_blobs(
    store: &Store,
    packs: &HashSet<Id>,
    damaged: impl Fn(Vec<String>) -> BackupError,
) -> Result<(), BackupError> {
    if packs.is_empty() {
        return Ok(());
    }
    let repository = store.open_indexed()?;
    let read = |error| BackupError::rustic("be checked")(error);
    for file in repository.stream_files::<IndexFile>().map_err(read)? {
        let (_, index) = file.map_err(read)?;
        for pack in index.packs.iter().filter(|pack| packs.contains(&*pack.id)) {
            for blob in &pack.blobs {
                let content = repository.get_blob_cached(&blob.id, blob.tpe).map_err(read)?;
                if hex::encode(Sha256::digest(&content)) != blob.id.to_hex().as_str() {
                    let pack = store.gate.path(FileType::Pack, &pack.id);
                    return Err(damaged(vec![format!("{} does not hold what was written", pack.display())]));
                }
            }
        }
    }
    Ok(())
}

/// Has the kernel forget a file, so that what is read comes from the disk: it was synced when it was written.
fn forget_cached(store: &Store, kind: FileType, id: &Id) -> Result<(), String> {
    let path = store.gate.path(kind, id);
    let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    Ok(())
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
