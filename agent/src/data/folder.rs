//! A backup's files and dumps in a new folder on the server.
//!
//! **Invariant**: the folder appears under its name whole or not at all, and for its owner alone: an env file is among
//! what it holds.

use super::task::note_undo;
use super::undo::Undo;
use crate::agent::Agent;
use crate::failures;
use crate::jobs::backup::child;
use crate::jobs::run::Job;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use wharf_backup::RestoreRequest;
use wharf_proto::{BackupId, Failure, FailureKind, Step};

/// Restores everything to `to`; a summary.
///
/// # Errors
/// A folder that cannot be, or that holds something; a backup that cannot be read.
pub async fn restore(job: &Job, backup: &BackupId, to: &Path) -> Result<String, Failure> {
    let restored = job.record.step(Step::Restore, write(job, backup, to)).await?;
    Ok(format!(
        "backup {} is in {}: {} files ({} bytes); its dumps are for pg_restore",
        backup.short(),
        to.display(),
        restored.files,
        restored.size_bytes
    ))
}

async fn write(job: &Job, backup: &BackupId, to: &Path) -> Result<wharf_backup::RestoreReport, Failure> {
    let beside = check(&job.agent, &job.spec.path, to, job)?;
    note_undo(job, Undo::Folder { path: beside.clone() }).await?;
    let request = RestoreRequest {
        repo: job.agent.layout.repository(job.app()),
        key_file: job.agent.layout.repository_key(job.app()),
        snapshot: backup.clone(),
        path: "/".into(),
        to: beside.clone(),
    };
    let report = wharf_backup::run(&child(&job.agent), request, |_| ()).await.map_err(|e| e.failure())?;
    crate::crash::point("restore.inside");
    let to = to.to_owned();
    failures::blocking(move || {
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o700))
            // Onto a folder that is empty this goes, onto any other it does not.
            .and_then(|()| std::fs::rename(&beside, &to))
            .and_then(|()| std::fs::File::open(to.parent().unwrap_or(&to))?.sync_all())
            .map_err(|e| cannot(&to, e.to_string()))
    })
    .await?;
    Ok(report)
}

/// Checks where the folder is to be, and says where it is written until it is whole.
fn check(agent: &Agent, app_dir: &str, to: &Path, job: &Job) -> Result<PathBuf, Failure> {
    let normal = to.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !to.is_absolute() || !normal || to.file_name().is_none() {
        return Err(cannot(to, "it must be absolute, without '.' or '..'"));
    }
    if to.starts_with(app_dir) || to.starts_with(agent.layout.state()) {
        return Err(cannot(to, "it lies in the app directory or in the agent's own folder"));
    }
    let parent = to.parent().filter(|parent| parent.is_dir());
    let Some(parent) = parent else { return Err(cannot(to, "the folder above it does not exist")) };
    match std::fs::symlink_metadata(to) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Ok(found)
            if found.is_dir() && std::fs::read_dir(to).is_ok_and(|mut in_it| in_it.next().is_none()) => {}
        Ok(_) => return Err(cannot(to, "something is there already")),
        Err(error) => return Err(cannot(to, error.to_string())),
    }
    Ok(parent.join(format!(".wharf-restore-job{}", job.id)))
}

fn cannot(to: &Path, why: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Config, format!("the backup cannot be restored to {}", to.display()))
        .cause(why)
        .hint("name a folder on the server that does not exist yet, in one that does: --to /root/looked-at")
}
