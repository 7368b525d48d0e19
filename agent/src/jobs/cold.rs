//! Databases that are too broken to dump: stopped, copied as they lie on the disk, and started again.
//!
//! **Invariant**: a container is stopped only after that was written down, so that it is started again whatever happens
//! ([`super::hold`]).

use super::run::Job;
use super::undo::Undo;
use crate::failures;
use std::path::PathBuf;
use std::time::Duration;
use wharf_backup::ColdRequest;
use wharf_plan::facts::{ContainerFacts, ContainerState, MountSource};
use wharf_proto::{Failure, FailureKind};

/// How long a database may take to stop before it is killed.
const STOPS_WITHIN: Duration = Duration::from_secs(60);

/// Stops a database; what of it is to be copied.
///
/// # Errors
/// A database without a volume, an engine that does not answer.
pub async fn stop_for_copy(
    job: &Job,
    label: &str,
    container: &ContainerFacts,
) -> Result<Vec<ColdRequest>, Failure> {
    let copies = copies(job, label, container).await?;
    job.record.warn(format!("{label} is stopped while its files are copied, as --cold-backup asks")).await;
    if container.state == ContainerState::Running {
        let entry = Undo::Stopped { container: container.id.clone() };
        job.agent.state.record_undo(job.id, vec![entry]).await.map_err(|e| failures::of_state(&e))?;
    }
    job.agent.engine.stop(&container.id, STOPS_WITHIN).await.map_err(|e| failures::of_engine(&e))?;
    Ok(copies)
}

async fn copies(job: &Job, label: &str, container: &ContainerFacts) -> Result<Vec<ColdRequest>, Failure> {
    let mut copies = Vec::new();
    for (number, mount) in container.mounts.iter().filter(|mount| mount.writable).enumerate() {
        let path = match &mount.source {
            MountSource::Volume(name) | MountSource::AnonymousVolume(name) => {
                job.agent.engine.volume_mountpoint(name).await.map_err(|e| failures::of_engine(&e))?
            }
            MountSource::Bind(path) => Some(PathBuf::from(path)),
            MountSource::Tmpfs => None,
        };
        copies.extend(path.map(|path| ColdRequest { label: format!("{label}/{number}"), path }));
    }
    if copies.is_empty() {
        let text = format!("{label} keeps its data in no volume that can be copied");
        return Err(Failure::new(FailureKind::Backup, text).hint("add a volume to its data directory"));
    }
    Ok(copies)
}
