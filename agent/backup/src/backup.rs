//! Making a backup.
//!
//! Databases are dumped into the repository first, with no snapshot to name them. Then project files and the same dumps,
//! whose sizes are known now (restic restores a file by the size that its entry states), become one snapshot. Meanwhile the
//! dumps are read back, compared and fed to `pg_restore`. The snapshot is read back in its turn and only then let through.

mod amount;
mod checks;
mod dumps;
mod entries;
mod known;

use crate::hold::Holds;
use crate::instance::connect;
use crate::ledger::Ledger;
use crate::line::Outbox;
use crate::panics;
use crate::read_back::Shelf;
use crate::repository::{Indexed, Store, backup_id};
use crate::source::{SnapshotSource, check_label};
use crate::sqlite::{self, Copies};
use crate::verify::verify;
use crate::{BackupError, BackupReport, BackupRequest, Phase};
use dumps::Stored;
use entries::{Volume, canonical, entries};
use jiff::tz::TimeZone;
use rustic_core::repofile::{Node, SnapshotFile};
use rustic_core::{BackupOptions, Id, IndexedIds, ParentOptions, Repository};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;

pub(crate) async fn backup(
    request: BackupRequest,
    outbox: Arc<Outbox>,
    holds: Arc<Holds>,
) -> Result<BackupReport, BackupError> {
    let started = Instant::now();
    check_request(&request)?;
    let store = {
        let (repo, key_file) = (request.repo.clone(), request.key_file.clone());
        Arc::new(blocking(move || Store::lock(&repo, &key_file)).await?)
    };
    let docker = if request.dumps.is_empty() && request.holds.is_empty() {
        None
    } else {
        Some(connect(&request.docker_socket).await?)
    };
    if let Some(docker) = docker.clone().filter(|_| !request.holds.is_empty()) {
        holds.arm(docker, request.holds.clone());
    }
    let stored = match docker {
        Some(docker) if !request.dumps.is_empty() => {
            Some(dumps::dump_all(&store, &request, &docker, &outbox).await?)
        }
        _ => {
            cut(&store, &request, 0).await?;
            None
        }
    };
    let runtime = Handle::current();
    blocking(move || {
        let _inside = runtime.enter();
        write(&store, &request, stored, &holds, &outbox, started)
    })
    .await
}

/// Has what is written cut into larger chunks, should there be much.
async fn cut(store: &Arc<Store>, request: &BackupRequest, databases_bytes: u64) -> Result<(), BackupError> {
    let (store, request) = (Arc::clone(store), request.clone());
    blocking(move || {
        if amount::is_much(&request, databases_bytes) {
            store.cut_coarsely();
        }
        Ok(())
    })
    .await
}

/// A handle through which is read, too.
fn open_to_write(store: &Store) -> Result<Indexed, BackupError> {
    store.open_to_write()?.to_indexed().map_err(BackupError::rustic("read its index"))
}

/// Runs what rustic does, which blocks.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(panics::failed(error)))
}

/// The second half: one snapshot of everything, checked and then let through.
fn write(
    store: &Store,
    request: &BackupRequest,
    stored: Option<Stored>,
    holds: &Arc<Holds>,
    outbox: &Arc<Outbox>,
    started: Instant,
) -> Result<BackupReport, BackupError> {
    let ledger = Arc::new(Ledger::new(Arc::clone(outbox), Phase::Files));
    // While everybody still writes, and before anybody is held: a database may be locked by who is frozen.
    let live = request.volumes.iter().filter(|volume| volume.live);
    let live = live.map(|volume| canonical(&volume.path)).collect::<Result<Vec<_>, _>>()?;
    let copies = Arc::new(Copies::make(&live, &sqlite::folder_of(&request.repo), &ledger)?);
    let volumes: Vec<Volume> = request.volumes.iter().map(|v| Volume::new(v, &copies)).collect();
    let (repository, docker, dumps, known) = match stored {
        Some(Stored { docker, dumps, repository, known }) => (repository, Some(docker), dumps, Some(known)),
        None => (Arc::new(open_to_write(store)?), None, Vec::new(), None),
    };
    let reports: Vec<_> = dumps.iter().map(|dump| dump.report.clone()).collect();
    let contents: Vec<_> =
        dumps.iter().map(|dump| (dump.report.path.clone(), content_of(&dump.node))).collect();
    let (dumps, checks) =
        checks::begin(docker, Shelf::new(store, &repository), dumps, request.time, &ledger)?;
    let entries = entries(request, &reports, (dumps, &checks), &volumes, holds, &ledger)?;
    let source = SnapshotSource::new(entries, Arc::clone(&ledger));
    let parents = latest(&repository)?.into_iter().chain(known).collect();
    let held = holds.guard();
    let snapshot = archive(store, repository.as_ref(), source, &ledger, parents, draft(request));
    drop(held);
    let snapshot = of_real_parents(store, repository.as_ref(), snapshot?, known)?;
    checks.all()?;
    drop(repository);
    let repository = verify(store, &snapshot, outbox)?;
    check_contents(store, &repository, &snapshot, &contents)?;
    let id = store.gate.release()?;
    let summary = snapshot.summary.unwrap_or_default();
    Ok(BackupReport {
        id: backup_id(id.to_hex()),
        files: summary.total_files_processed,
        size_bytes: summary.total_bytes_processed,
        added_bytes: store.gate.written().1,
        dumps: reports,
        cold: request.cold.iter().map(|copy| copy.label.clone()).collect(),
        volumes: volumes.iter().map(Volume::report).collect(),
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// Writes what `source` has, and returns the snapshot, which the gate still holds.
fn archive<S: IndexedIds>(
    store: &Store,
    repository: &Repository<S>,
    source: SnapshotSource,
    ledger: &Ledger,
    parents: Vec<Id>,
    draft: SnapshotFile,
) -> Result<SnapshotFile, BackupError> {
    let parents: Vec<String> = parents.into_iter().map(|id| id.to_hex().as_str().to_owned()).collect();
    let parents = match parents.is_empty() {
        true => ParentOptions::default().force(true),
        false => ParentOptions::default().parents(parents),
    };
    let options = BackupOptions::default().parent_opts(parents).no_scan(true);
    let result = repository.archive(&options, &source, draft, &[PathBuf::from("/")]);
    if let Some(fault) = store.fault(ledger) {
        store.gate.withhold();
        return Err(fault);
    }
    let snapshot = result.map_err(BackupError::rustic("write the backup"))?;
    // rustic drops a file that it failed to store and says so in its log only.
    let (expected, found) =
        (ledger.expected(), snapshot.summary.as_ref().map_or(0, |s| s.total_files_processed));
    if found != expected {
        store.gate.withhold();
        return Err(BackupError::Incomplete { expected, missing: expected.saturating_sub(found) });
    }
    Ok(snapshot)
}

/// Shows nothing any more that is not there, and has the snapshot that the gate holds not name it.
fn of_real_parents<S: IndexedIds>(
    store: &Store,
    repository: &Repository<S>,
    mut snapshot: SnapshotFile,
    known: Option<Id>,
) -> Result<SnapshotFile, BackupError> {
    store.gate.show(Vec::new());
    if snapshot.parents.iter().any(|parent| Some(**parent) == known) {
        snapshot.parents.retain(|parent| Some(**parent) != known);
        snapshot.parent = snapshot.parents.first().copied();
        repository.save_snapshots(vec![snapshot.clone()]).map_err(BackupError::rustic("write the backup"))?;
        snapshot.id = store.gate.held().unwrap_or_default().into();
    }
    Ok(snapshot)
}

/// What a file is made of, in short.
fn content_of(node: &Node) -> [u8; 32] {
    let mut hash = Sha256::new();
    node.content.iter().flatten().for_each(|id| hash.update(id.to_hex().as_str()));
    hash.finalize().into()
}

/// The dumps of the snapshot must be those that were checked. It is rustic that took them over, by size and times.
fn check_contents(
    store: &Store,
    repository: &Indexed,
    snapshot: &SnapshotFile,
    contents: &[(String, [u8; 32])],
) -> Result<(), BackupError> {
    for (path, content) in contents {
        let found = repository.node_from_snapshot_and_path(snapshot, path);
        if content_of(&found.map_err(BackupError::rustic("be checked"))?) != *content {
            let findings = vec![format!("{path} is not the dump that was checked")];
            return Err(BackupError::Damaged { repo: store.repo.clone(), findings });
        }
    }
    Ok(())
}

fn draft(request: &BackupRequest) -> SnapshotFile {
    let mut draft = SnapshotFile {
        time: request.time.to_zoned(TimeZone::UTC),
        hostname: request.host.clone(),
        program_version: concat!("wharf ", env!("CARGO_PKG_VERSION")).to_owned(),
        ..SnapshotFile::default()
    };
    for tag in &request.tags {
        draft.tags.add(tag.clone());
    }
    draft
}

/// The newest snapshot: files that have not changed since are not read again.
fn latest<S: rustic_core::Open>(repository: &Repository<S>) -> Result<Option<Id>, BackupError> {
    let snapshots = repository.get_all_snapshots().map_err(BackupError::rustic("list its snapshots"))?;
    Ok(snapshots.into_iter().max_by(|a, b| a.time.cmp(&b.time)).map(|s| *s.id))
}

fn check_request(request: &BackupRequest) -> Result<(), BackupError> {
    let invalid = |what: String| Err(BackupError::Invalid { what });
    let dumps: Vec<&str> = request.dumps.iter().map(|dump| dump.label.as_str()).collect();
    let cold: Vec<&str> = request.cold.iter().map(|copy| copy.label.as_str()).collect();
    for label in dumps.iter().chain(&cold) {
        check_label(label)?;
    }
    for (index, label) in dumps.iter().enumerate() {
        if dumps[..index].contains(label) {
            return invalid(format!("two dumps are called {label}"));
        }
    }
    for (index, one) in cold.iter().enumerate() {
        if let Some(other) = cold[..index].iter().find(|other| nested(one, other)) {
            return invalid(format!("of the cold copies {one} and {other}, one lies in the other"));
        }
    }
    let mut volumes = BTreeSet::new();
    for volume in &request.volumes {
        check_label(&volume.label)?;
        if volume.label.contains('/') || !volumes.insert(&volume.label) {
            return invalid(format!("{} cannot be the label of a volume, or there are two", volume.label));
        }
    }
    if request.project.is_none() && dumps.is_empty() && cold.is_empty() && volumes.is_empty() {
        return invalid("there is nothing to back up".to_owned());
    }
    Ok(())
}

fn nested(a: &str, b: &str) -> bool {
    Path::new(a).starts_with(b) || Path::new(b).starts_with(a)
}

#[cfg(test)]
mod tests;
