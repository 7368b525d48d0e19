//! Which snapshots are there.

use crate::lock::PATIENCE;
use crate::manifest::BackupManifest;
use crate::repository::{Store, backup_id};
use crate::{BackupError, BackupInfo, ListReport, ListRequest};
use std::time::Duration;

pub(crate) fn list(request: &ListRequest) -> Result<ListReport, BackupError> {
    // Who only looks is told at once that somebody works on it.
    let patience = if request.patient { PATIENCE } else { Duration::ZERO };
    let store = Store::lock_within(&request.repo, &request.key_file, patience)?;
    let repository = store.open_indexed()?;
    let mut snapshots = repository.get_all_snapshots().map_err(BackupError::rustic("list its snapshots"))?;
    snapshots.sort_by(|a, b| a.time.cmp(&b.time));
    let backups = snapshots
        .into_iter()
        .map(|snapshot| {
            let manifest = BackupManifest::of(&repository, &snapshot).unwrap_or_default();
            let summary = snapshot.summary.unwrap_or_default();
            BackupInfo {
                id: backup_id(snapshot.id.to_hex()),
                time: snapshot.time.timestamp(),
                host: snapshot.hostname,
                tags: snapshot.tags.iter().cloned().collect(),
                files: summary.total_files_processed,
                size_bytes: summary.total_bytes_processed,
                dumps: manifest.dumps,
                volumes: manifest.volumes,
            }
        })
        .collect();
    Ok(ListReport { backups })
}
