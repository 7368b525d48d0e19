//! Dropping snapshots, and freeing what only they needed.

use crate::line::Outbox;
use crate::lock::{PATIENCE, ReadingLock};
use crate::repository::{Store, snapshot};
use crate::{BackupError, ForgetReport, ForgetRequest, Phase, Progress, ThinRequest};
use rustic_core::{FileType, PruneOptions, ReadBackend};
use wharf_proto::BackupId;

/// All of the snapshots go, or, where one is not there, none.
pub(crate) fn forget(request: &ForgetRequest, outbox: &Outbox) -> Result<ForgetReport, BackupError> {
    // The lock keeps backups away: a prune beside one would remove what it is about to name.
    let store = Store::lock(&request.repo, &request.key_file)?;
    // Nor is anything dropped under the hands of a copy; one that was just ended may take a moment.
    let _reading = ReadingLock::alone_within(&request.repo, PATIENCE)?;
    refuse_beside_restic(&store)?;
    store.check_writes()?;
    // Nobody else writes, so that nothing needs a day of grace.
    let options = request.prune.then(|| PruneOptions::default().instant_delete(true));
    drop_snapshots(&store, &request.ids, options.as_ref(), outbox)
}

/// As [`forget`], of copies that lie elsewhere: somebody on another machine may be reading them.
pub(crate) fn thin(request: &ThinRequest, outbox: &Outbox) -> Result<ForgetReport, BackupError> {
    let store = request.at.thinned()?;
    let grace = i64::from(request.grace_hours);
    let options =
        PruneOptions::default().keep_delete(jiff::Span::new().hours(grace)).instant_delete(grace == 0);
    drop_snapshots(&store, &request.ids, Some(&options), outbox)
}

fn drop_snapshots(
    store: &Store,
    ids: &[BackupId],
    prune: Option<&PruneOptions>,
    outbox: &Outbox,
) -> Result<ForgetReport, BackupError> {
    let before = packs_bytes(store)?;
    let repository = store.open()?;
    let ids = ids
        .iter()
        .map(|id| snapshot(&repository, id).map(|found| found.id))
        .collect::<Result<Vec<_>, _>>()?;
    repository.delete_snapshots(&ids).map_err(BackupError::rustic("drop snapshots"))?;
    if let Some(options) = prune {
        outbox.progress(Progress { phase: Phase::Prune, files: 0, bytes: 0 });
        let repository = store.open()?;
        let plan = repository.prune_plan(options).map_err(BackupError::rustic("plan a prune"))?;
        let pruned = repository.prune(options, plan);
        if let Some(fault) = store.gate.fault() {
            return Err(fault);
        }
        pruned.map_err(BackupError::rustic("prune"))?;
    }
    let freed_bytes = before.saturating_sub(packs_bytes(store)?);
    Ok(ForgetReport { removed: ids.len() as u64, freed_bytes })
}

/// Our lock says nothing to restic, nor do restic's locks to rustic.
fn refuse_beside_restic(store: &Store) -> Result<(), BackupError> {
    let locked = std::fs::read_dir(store.repo.join("locks")).is_ok_and(|mut locks| locks.next().is_some());
    if locked { Err(BackupError::RepositoryLocked { repo: store.repo.clone() }) } else { Ok(()) }
}

fn packs_bytes(store: &Store) -> Result<u64, BackupError> {
    let packs = store.gate.list_with_size(FileType::Pack).map_err(BackupError::rustic("list its packs"))?;
    Ok(packs.into_iter().map(|(_, size)| u64::from(size)).sum())
}
