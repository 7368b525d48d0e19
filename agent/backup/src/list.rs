//! Which snapshots are there.

use crate::lock::PATIENCE;
use crate::manifest::{BackupManifest, RECOVERY_PATH};
use crate::repository::{Indexed, Store, backup_id, open};
use crate::{AppsReport, AppsRequest, BackupError, BackupInfo, ListReport, ListRequest, LookRequest};
use rustic_core::repofile::SnapshotFile;
use std::time::Duration;

pub(crate) fn list(request: &ListRequest) -> Result<ListReport, BackupError> {
    // Who only looks is told at once that somebody works on it.
    let patience = if request.patient { PATIENCE } else { Duration::ZERO };
    let store = Store::lock_within(&request.repo, &request.key_file, patience)?;
    listed(&store.open_indexed()?)
}

/// As [`list`], of a repository that may lie anywhere.
pub(crate) fn look(request: &LookRequest) -> Result<ListReport, BackupError> {
    let source = request.from.source()?;
    let repository = open(source.gate.clone(), &source.credentials)?;
    listed(&repository.to_indexed().map_err(BackupError::rustic("read its index"))?)
}

/// The folders of a place that hold a repository.
pub(crate) fn apps(request: &AppsRequest) -> Result<AppsReport, BackupError> {
    Ok(AppsReport { apps: request.place.repositories()? })
}

fn listed(repository: &Indexed) -> Result<ListReport, BackupError> {
    let mut snapshots = repository.get_all_snapshots().map_err(BackupError::rustic("list its snapshots"))?;
    snapshots.sort_by(|a, b| a.time.cmp(&b.time));
    Ok(ListReport { backups: snapshots.into_iter().map(|snapshot| info(repository, snapshot)).collect() })
}

fn info(repository: &Indexed, snapshot: SnapshotFile) -> BackupInfo {
    let manifest = BackupManifest::of(repository, &snapshot).unwrap_or_default();
    let recoverable = repository.node_from_snapshot_and_path(&snapshot, RECOVERY_PATH).is_ok();
    let summary = snapshot.summary.unwrap_or_default();
    BackupInfo {
        // rustic gives one that was made there its own id as its original's.
        original: snapshot
            .original
            .filter(|original| *original != snapshot.id)
            .map(|original| backup_id(original.to_hex())),
        id: backup_id(snapshot.id.to_hex()),
        time: snapshot.time.timestamp(),
        host: snapshot.hostname,
        tags: snapshot.tags.iter().cloned().collect(),
        files: summary.total_files_processed,
        size_bytes: summary.total_bytes_processed,
        dumps: manifest.dumps,
        volumes: manifest.volumes,
        cold: manifest.cold,
        recoverable,
    }
}
