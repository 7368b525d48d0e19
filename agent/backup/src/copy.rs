//! Copying backups to another repository, which may be anywhere.
//!
//! **Invariants**
//! - The source is only read; on the other side nothing is removed and nothing is written over.
//! - A backup is named there only after everything that it needs was found there, in packs of the right size.
//! - A copy that was cut short goes on: packs that arrived are looked up, not sent again.
//! - One backup that cannot be copied does not keep the others from it.

use crate::gate::Gate;
use crate::line::Outbox;
use crate::repository::{Indexed, Store, backup_id, open};
use crate::verify::{findings, hash_file};
use crate::{BackupError, CopiedBackup, CopyReport, CopyRequest, Phase, Progress, ReadBack};
use rand::seq::SliceRandom;
use rustic_core::repofile::SnapshotFile;
use rustic_core::{CheckOptions, FileType, Id, OpenStatus, RepairIndexOptions, Repository};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How much of what was written is read again, where a sample is asked for.
const SAMPLE_BYTES: u64 = 16 * 1024 * 1024;
/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How many faults are told.
const FAULTS: usize = 5;

pub(crate) fn copy(request: &CopyRequest, outbox: &Arc<Outbox>) -> Result<CopyReport, BackupError> {
    let started = Instant::now();
    let source = request.from.source()?;
    let target = request.to.target()?;
    let from = open(source.gate.clone(), &source.credentials)?;
    // Before the index: a backup that is being made just now may come after it, but none that is listed lacks in it.
    let wanted = wanted(&from, request)?;
    let from = from.to_indexed().map_err(BackupError::rustic("read its index"))?;
    let mut there = originals(&target)?;
    let mut report = CopyReport { copied: vec![], present: vec![], added_bytes: 0, duration_ms: 0 };
    let mut causes = Vec::new();
    let telling = Telling::start(target.gate.clone(), Arc::clone(outbox));
    let mut mended = false;
    for snapshot in &wanted {
        let id = original(snapshot);
        if let Some(copy) = there.get(&id) {
            report.present.push(CopiedBackup { id: backup_id(id.to_hex()), copy: backup_id(copy.to_hex()) });
            continue;
        }
        if !std::mem::replace(&mut mended, true) {
            mend(&target, outbox);
        }
        match copy_one(&from, &target, snapshot, request.read_back) {
            Ok(copy) => {
                there.insert(id, copy);
                let copied = CopiedBackup { id: backup_id(id.to_hex()), copy: backup_id(copy.to_hex()) };
                outbox.note(format!("backup {} is at {} now", copied.id.short(), request.to.place));
                report.copied.push(copied);
            }
            Err(error) => causes.push((id, error)),
        }
    }
    drop(telling);
    report.added_bytes = target.gate.written().1;
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    incomplete(request, wanted.len(), causes).map_or(Ok(report), Err)
}

fn incomplete(request: &CopyRequest, wanted: usize, failed: Vec<(Id, BackupError)>) -> Option<BackupError> {
    if failed.is_empty() {
        return None;
    }
    let missing = failed.len() as u64;
    let causes = failed.into_iter().take(FAULTS).map(|(id, error)| {
        let why: Vec<String> = error.failure().causes.into_iter().take(FAULTS).collect();
        format!("backup {}: {error}: {}", backup_id(id.to_hex()).short(), why.join("; "))
    });
    let place = request.to.place.to_string();
    Some(BackupError::CopyIncomplete { place, wanted: wanted as u64, missing, causes: causes.collect() })
}

/// What is to be there, newest first.
fn wanted(from: &Repository<OpenStatus>, request: &CopyRequest) -> Result<Vec<SnapshotFile>, BackupError> {
    let mut snapshots = from.get_all_snapshots().map_err(BackupError::rustic("list its snapshots"))?;
    snapshots.sort_by(|a, b| b.time.cmp(&a.time));
    if let Some(newest) = request.newest {
        snapshots.truncate(usize::try_from(newest).unwrap_or(usize::MAX));
    }
    if request.only.is_empty() {
        return Ok(snapshots);
    }
    for id in &request.only {
        let known = |snapshot: &SnapshotFile| {
            [snapshot.id.to_hex(), original(snapshot).to_hex()].iter().any(|hex| hex.starts_with(&id.0))
        };
        if !snapshots.iter().any(known) {
            return Err(BackupError::NotFound { what: format!("a backup {id}") });
        }
    }
    snapshots.retain(|snapshot| {
        let names = [snapshot.id.to_hex(), original(snapshot).to_hex()];
        request.only.iter().any(|id| names.iter().any(|hex| hex.starts_with(&id.0)))
    });
    Ok(snapshots)
}

/// The id of a backup in the repository that it was made in.
fn original(snapshot: &SnapshotFile) -> Id {
    *snapshot.original.unwrap_or(snapshot.id)
}

/// What is there, by its original's id.
fn originals(target: &Store) -> Result<BTreeMap<Id, Id>, BackupError> {
    let snapshots = target
        .open()?
        .get_all_snapshots()
        .map_err(BackupError::rustic("list the snapshots that are there"))?;
    Ok(snapshots.into_iter().map(|snapshot| (original(&snapshot), *snapshot.id)).collect())
}

/// Packs of a copy that was cut short are in no index yet: their headers say what is in them.
fn mend(target: &Store, outbox: &Outbox) {
    let mended = target.open().and_then(|repository| {
        repository
            .repair_index(&RepairIndexOptions::default(), false)
            .map_err(BackupError::rustic("look up what an earlier copy left"))
    });
    if let Err(error) = mended {
        // Then some is sent twice.
        outbox.note(format!("{error}: {}", error.failure().causes.join(": ")));
    }
}

fn copy_one(
    from: &Indexed,
    target: &Store,
    snapshot: &SnapshotFile,
    read_back: ReadBack,
) -> Result<Id, BackupError> {
    let before = target.gate.written().0.len();
    // A handle of its own each time: it knows what the one before has written.
    let to = target.open()?.to_indexed_ids().map_err(BackupError::rustic("read the index that is there"))?;
    let copied = from.copy(&to, [snapshot]).map_err(BackupError::rustic("be copied"));
    let checked = copied.and_then(|()| target.gate.fault().map_or(Ok(()), Err)).and_then(|()| {
        let written = target.gate.written().0.split_off(before);
        check(target, snapshot, written, read_back)
    });
    match checked {
        Ok(()) => target.gate.release(),
        Err(error) => {
            target.gate.withhold();
            Err(error)
        }
    }
}

/// Everything that the snapshot needs is there; what was written is read as far as is asked for.
fn check(
    target: &Store,
    snapshot: &SnapshotFile,
    written: Vec<(FileType, Id)>,
    read_back: ReadBack,
) -> Result<(), BackupError> {
    let damaged = |findings| BackupError::Damaged { repo: target.repo.clone(), findings };
    let results = target
        .open()?
        .check_with_trees(CheckOptions::default(), vec![snapshot.tree])
        .map_err(BackupError::rustic("be checked"))?;
    let found = findings(&results, "Error");
    if !found.is_empty() {
        return Err(damaged(found));
    }
    let mut written = written;
    written.shuffle(&mut rand::rng());
    let mut left_bytes = match read_back {
        ReadBack::Sizes => 0,
        ReadBack::Sample => SAMPLE_BYTES,
        ReadBack::All => u64::MAX,
    };
    for (kind, id) in written {
        if left_bytes == 0 {
            break;
        }
        let read = hash_file(target, kind, &id).map_err(|finding| damaged(vec![finding]))?;
        left_bytes = left_bytes.saturating_sub(read);
    }
    Ok(())
}

/// Tells how far it is, until it is dropped: the library does not.
struct Telling {
    over: Arc<AtomicBool>,
}

impl Telling {
    fn start(gate: Gate, outbox: Arc<Outbox>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        tokio::runtime::Handle::current().spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                let (files, bytes) = gate.written();
                outbox.progress(Progress { phase: Phase::Copy, files: files.len() as u64, bytes });
                tokio::time::sleep(TELL_EVERY).await;
            }
        });
        Self { over }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
