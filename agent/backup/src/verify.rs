//! Reading back what was written, through a handle that did not write it.
//!
//! The snapshot's tree is walked: every chunk must be in a pack of the right size, and packs are read and hashed, whole
//! and blob by blob, all of them up to a budget, a random choice beyond it (a scheduled check reads the rest). Every file
//! that this run wrote is hashed whole, from the disk; it bears its hash as its name. What the walk has read and hashed
//! to its end is not read a second time for that. So is what an earlier run wrote that no snapshot came of: it may have
//! failed its check, or never had one, and what is in it is not stored again.

use crate::line::Outbox;
use crate::panics::until_index_is_free;
use crate::repository::Store;
use crate::{BackupError, Phase, Progress};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use rustic_core::repofile::{IndexFile, SnapshotFile};
use rustic_core::{
    CheckOptions, CheckResults, FileType, Id, Open, ReadBackend, ReadSubsetOption, Repository,
};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use walkdir::WalkDir;

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
    verify_within(store, snapshot, outbox, SHARED_BYTES)
}

/// As [`verify`], with so much to read of what the snapshot shares with earlier ones.
pub(crate) fn verify_within(
    store: &Store,
    snapshot: &SnapshotFile,
    outbox: &Arc<Outbox>,
    shared_bytes: u64,
) -> Result<(), BackupError> {
    let damaged = |findings| BackupError::Damaged { repo: store.repo.clone(), findings };
    let (written, written_bytes) = store.gate.written();
    outbox.progress(Progress { phase: Phase::Check, files: 0, bytes: 0 });
    for (kind, id) in &written {
        forget_cached(store, *kind, id).map_err(|finding| damaged(vec![finding]))?;
    }
    let repository = store.open_telling(outbox)?;
    let unreleased = unreleased(store, &repository, &written)?;
    let mut unreleased_bytes = 0;
    for (id, size_bytes) in &unreleased {
        forget_cached(store, FileType::Pack, id).map_err(|finding| damaged(vec![finding]))?;
        unreleased_bytes += size_bytes;
    }
    store.gate.watch_reads();
    let budget = written_bytes.saturating_add(unreleased_bytes).saturating_add(shared_bytes);
    let options = CheckOptions::default().read_data(true).read_data_subset(ReadSubsetOption::Size(budget));
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
    for (id, _) in unreleased {
        if checked(store, FileType::Pack, &id).map_err(|finding| damaged(vec![finding]))?.is_none() {
            bytes += hash_file(store, FileType::Pack, &id).map_err(|finding| damaged(vec![finding]))?;
            left.insert(id);
        }
        files += 1;
        outbox.progress(Progress { phase: Phase::Check, files, bytes });
    }
    hash_blobs(store, &left, outbox, damaged)
}

/// The packs with their sizes that are younger than the newest snapshot and that this run has not written: those of a run
/// that ended before its check. What the index does not name nobody builds on, and may be half a file.
pub(crate) fn unreleased<S>(
    store: &Store,
    repository: &Repository<S>,
    written: &[(FileType, Id)],
) -> Result<Vec<(Id, u64)>, BackupError>
where
    S: Open,
{
    if !store.gate.is_local() {
        return Ok(Vec::new());
    }
    let written: HashSet<String> = written.iter().map(|(_, id)| id.to_hex().as_str().to_owned()).collect();
    let snapshots = store.repo.join(FileType::Snapshot.dirname());
    let newest = files(&snapshots).map(|(_, modified, _)| modified).max();
    let young: HashMap<String, u64> = files(&store.repo.join("data"))
        .filter(|(name, modified, _)| {
            newest.is_none_or(|newest| *modified > newest) && !written.contains(name)
        })
        .map(|(name, _, size_bytes)| (name, size_bytes))
        .collect();
    if young.is_empty() {
        return Ok(Vec::new());
    }
    let read = |error| BackupError::rustic("read its index")(error);
    let mut found = Vec::new();
    for file in repository.stream_files::<IndexFile>().map_err(read)? {
        let (_, index) = file.map_err(read)?;
        let sized = |id: Id| young.get(id.to_hex().as_str()).map(|size_bytes| (id, *size_bytes));
        found.extend(index.packs.iter().filter_map(|pack| sized(*pack.id)));
    }
    Ok(found)
}

/// The files below a folder: name, when it was written, size.
fn files(folder: &Path) -> impl Iterator<Item = (String, SystemTime, u64)> {
    let files = WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    files.filter_map(|entry| {
        let found = entry.metadata().ok()?;
        Some((entry.file_name().to_string_lossy().into_owned(), found.modified().ok()?, found.len()))
    })
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
    outbox: &Outbox,
    damaged: impl Fn(Vec<String>) -> BackupError,
) -> Result<(), BackupError> {
    if packs.is_empty() {
        return Ok(());
    }
    let repository = store.open_indexed()?;
    let read = |error| BackupError::rustic("be checked")(error);
    let (mut files, mut bytes) = (0, 0);
    for file in repository.stream_files::<IndexFile>().map_err(read)? {
        let (_, index) = file.map_err(read)?;
        for pack in index.packs.iter().filter(|pack| packs.contains(&*pack.id)) {
            for blob in &pack.blobs {
                let content = repository.get_blob_cached(&blob.id, blob.tpe).map_err(read)?;
                if hex::encode(Sha256::digest(&content)) != blob.id.to_hex().as_str() {
                    let pack = store.gate.path(FileType::Pack, &pack.id);
                    return Err(damaged(vec![format!("{} does not hold what was written", pack.display())]));
                }
                bytes += content.len() as u64;
                outbox.progress(Progress { phase: Phase::Check, files, bytes });
            }
            files += 1;
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
