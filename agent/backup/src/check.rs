//! Checking a repository.

use crate::line::Outbox;
use crate::panics::until_index_is_free;
use crate::repository::{Store, snapshot};
use crate::verify::findings;
use crate::{BackupError, CheckReport, CheckRequest};
use rustic_core::CheckOptions;
use std::sync::Arc;

/// A structural check does not see a flipped bit; `read_data` does.
pub(crate) fn check(request: &CheckRequest, outbox: &Arc<Outbox>) -> Result<CheckReport, BackupError> {
    let store = Store::lock(&request.repo, &request.key_file)?;
    let repository = store.open_telling(outbox)?;
    let snapshots = match &request.snapshot {
        Some(id) => vec![snapshot(&repository, id)?],
        None => repository.get_all_snapshots().map_err(BackupError::rustic("list its snapshots"))?,
    };
    let trees: Vec<_> = snapshots.iter().map(|snapshot| snapshot.tree).collect();
    let options = CheckOptions::default().read_data(request.read_data);
    let results = until_index_is_free(|| repository.check_with_trees(options, trees.clone()))
        .map_err(BackupError::rustic("be checked"))?;
    let errors = findings(&results, "Error");
    if !errors.is_empty() {
        return Err(BackupError::Damaged { repo: store.repo, findings: errors });
    }
    Ok(CheckReport { snapshots: snapshots.len() as u64, warnings: findings(&results, "Warn") })
}
