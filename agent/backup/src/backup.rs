//! Making a backup.
//!
//! Databases are dumped into the repository first, with no snapshot to name them. They are read back, compared and fed
//! to `pg_restore`. Then project files and the same dumps, whose sizes are known now (restic restores a file by the
//! size that its entry states), become one snapshot, which is read back in its turn and only then let through.

mod dumps;

use crate::ledger::Ledger;
use crate::line::Outbox;
use crate::lock::lock_path;
use crate::manifest::{BackupManifest, MANIFEST_PATH};
use crate::repository::{Indexed, Store, backup_id};
use crate::source::{Entry, Opener, SnapshotSource, check_label, sort};
use crate::verify::verify;
use crate::walk::walk;
use crate::{BackupError, BackupReport, BackupRequest, Phase};
use dumps::StoredDump;
use jiff::tz::TimeZone;
use rustic_core::repofile::SnapshotFile;
use rustic_core::{BackupOptions, IndexedIds, ParentOptions, Repository};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

pub(crate) async fn backup(request: BackupRequest, outbox: Arc<Outbox>) -> Result<BackupReport, BackupError> {
    let started = Instant::now();
    check_request(&request)?;
    let store = {
        let (repo, key_file) = (request.repo.clone(), request.key_file.clone());
        Arc::new(blocking(move || Store::lock(&repo, &key_file)).await?)
    };
    let (dumps, stored) = dumps::dump_all(&store, &request, &outbox).await?;
    blocking(move || write(&store, &request, dumps, stored, &outbox, started)).await
}

/// Runs what rustic does, which blocks.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(BackupError::Repository { action: "work".to_owned(), cause: "its library panicked".to_owned() })
    })
}

/// The second half: one snapshot of everything, checked and then let through.
fn write(
    store: &Store,
    request: &BackupRequest,
    dumps: Vec<StoredDump>,
    stored: Option<Arc<Indexed>>,
    outbox: &Arc<Outbox>,
    started: Instant,
) -> Result<BackupReport, BackupError> {
    let ledger = Arc::new(Ledger::new(Arc::clone(outbox), Phase::Files));
    let reports: Vec<_> = dumps.iter().map(|dump| dump.report.clone()).collect();
    let source = SnapshotSource::new(entries(request, dumps, stored, &ledger)?, Arc::clone(&ledger));
    let repository = store.open()?.to_indexed_ids().map_err(BackupError::rustic("read its index"))?;
    let parent = latest(&repository)?;
    let snapshot = archive(store, &repository, source, &ledger, parent, draft(request))?;
    verify(store, &snapshot, outbox)?;
    let id = store.gate.release()?;
    let summary = snapshot.summary.unwrap_or_default();
    Ok(BackupReport {
        id: backup_id(id.to_hex()),
        files: summary.total_files_processed,
        size_bytes: summary.total_bytes_processed,
        added_bytes: store.gate.written().1,
        dumps: reports,
        cold: request.cold.iter().map(|copy| copy.label.clone()).collect(),
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// Writes what `source` has, and returns the snapshot, which the gate still holds.
fn archive<S: IndexedIds>(
    store: &Store,
    repository: &Repository<S>,
    source: SnapshotSource,
    ledger: &Ledger,
    parent: Option<String>,
    draft: SnapshotFile,
) -> Result<SnapshotFile, BackupError> {
    let parent = match parent {
        Some(id) => ParentOptions::default().parents(vec![id]),
        None => ParentOptions::default().force(true),
    };
    let options = BackupOptions::default().parent_opts(parent).no_scan(true);
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
fn latest<S: rustic_core::Open>(repository: &Repository<S>) -> Result<Option<String>, BackupError> {
    let snapshots = repository.get_all_snapshots().map_err(BackupError::rustic("list its snapshots"))?;
    Ok(snapshots.into_iter().max_by(|a, b| a.time.cmp(&b.time)).map(|s| s.id.to_hex().as_str().to_owned()))
}

/// Everything, in the order of the tree: cold copies, dumps, the project, the manifest.
fn entries(
    request: &BackupRequest,
    dumps: Vec<StoredDump>,
    stored: Option<Arc<Indexed>>,
    ledger: &Arc<Ledger>,
) -> Result<impl Iterator<Item = Entry> + Send + 'static, BackupError> {
    let mut trees: Vec<_> = request
        .cold
        .iter()
        .map(|c| (c.path.clone(), PathBuf::from(format!("/cold/{}", c.label)), &[][..]))
        .collect();
    trees.sort_by(|a, b| a.1.components().cmp(b.1.components()));
    let project =
        request.project.iter().map(|p| (p.root.clone(), PathBuf::from("/project"), p.exclude.as_slice()));
    let walks = |trees: Vec<(PathBuf, PathBuf, &[PathBuf])>| {
        trees
            .into_iter()
            .map(|(root, at, exclude)| {
                let root = std::fs::canonicalize(&root).map_err(|e| BackupError::unreadable(&root, &e))?;
                Ok(walk(root, at, excluded(request, exclude), Arc::clone(ledger)))
            })
            .collect::<Result<Vec<_>, BackupError>>()
    };
    let (cold, project) = (walks(trees)?, walks(project.collect())?);

    let manifest = BackupManifest::new(dumps.iter().map(|dump| dump.report.clone()).collect());
    let json = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| BackupError::Invalid { what: error.to_string() })?;
    let manifest = Entry::made(MANIFEST_PATH, json.len() as u64, request.time, Opener::Bytes(json.into()))?;

    let mut files = Vec::new();
    for dump in dumps {
        files.extend(dump.into_entries(request.time, stored.as_ref(), ledger)?);
    }
    sort(&mut files);
    Ok(cold.into_iter().flatten().chain(files).chain(project.into_iter().flatten()).chain([manifest]))
}

/// What is not to be walked: mounted data, and the repository itself, should it lie in the project.
fn excluded(request: &BackupRequest, exclude: &[PathBuf]) -> BTreeSet<PathBuf> {
    let own = [request.repo.clone(), lock_path(&request.repo)];
    exclude
        .iter()
        .chain(&own)
        .flat_map(|path| [Some(path.clone()), std::fs::canonicalize(path).ok()])
        .flatten()
        .collect()
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
    if request.project.is_none() && dumps.is_empty() && cold.is_empty() {
        return invalid("there is nothing to back up".to_owned());
    }
    Ok(())
}

fn nested(a: &str, b: &str) -> bool {
    Path::new(a).starts_with(b) || Path::new(b).starts_with(a)
}

#[cfg(test)]
mod tests;
