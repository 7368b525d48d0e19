//! A backup's files and dumps in a new folder on the server, or a volume of it in a new volume.
//!
//! **Invariant**: the folder appears under its name whole or not at all, and for its owner alone: an env file is among
//! what it holds.

use super::known;
use super::task::note_undo;
use super::undo::Undo;
use crate::agent::Agent;
use crate::failures;
use crate::jobs::backup::child;
use crate::jobs::compose::JOB_LABEL;
use crate::jobs::run::Job;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use wharf_backup::RestoreRequest;
use wharf_proto::{BackupId, Failure, FailureKind, Step};
use wharf_state::AppRecord;

/// Of a folder that an env file lies in.
const FOR_ITS_OWNER: u32 = 0o700;

/// Restores everything, or one volume, to `to`; a summary.
///
/// # Errors
/// A folder that cannot be, or that holds something; a backup that cannot be read.
pub async fn restore(
    job: &Job,
    app: &AppRecord,
    backup: &BackupId,
    volume: Option<&str>,
    to: &Path,
) -> Result<String, Failure> {
    let (path, what) = match volume {
        None => ("/".to_owned(), format!("backup {}", backup.short())),
        Some(wanted) => {
            let known = known::all(&job.agent, app).await?;
            let label = known::find(&known, backup)?.volume(wanted)?.label.clone();
            (format!("/volumes/{label}"), format!("the volume {label} of backup {}", backup.short()))
        }
    };
    let restored = job.record.step(Step::Restore, write(job, backup, path, to, Some(FOR_ITS_OWNER))).await?;
    let dumps = if volume.is_none() { "; docs/RECOVERY.md says how its dumps go back" } else { "" };
    Ok(format!(
        "{what} is in {}: {} files ({} bytes){dumps}",
        to.display(),
        restored.files,
        restored.size_bytes
    ))
}

/// Restores one volume as a new volume of that name; a summary. One that is there already is never touched.
///
/// # Errors
/// No such volume in the backup, or the name is taken. A new volume that could not be filled stays, empty: Wharf deletes
/// none.
pub async fn restore_volume(
    job: &Job,
    app: &AppRecord,
    backup: &BackupId,
    wanted: &str,
    as_name: &str,
) -> Result<String, Failure> {
    let known = known::all(&job.agent, app).await?;
    let label = known::find(&known, backup)?.volume(wanted)?.label.clone();
    let taken = || {
        Failure::new(FailureKind::Config, format!("there is a volume {as_name} on the server already"))
            .hint("name another: --as NAME")
    };
    let there = job.agent.engine.volumes().await.map_err(|e| failures::of_engine(&e))?;
    if there.iter().any(|volume| volume.name == as_name) {
        return Err(taken());
    }
    let restoring = async {
        let id = job.label();
        let made = job.agent.engine.create_volume(as_name, (JOB_LABEL, &id)).await;
        let place = made.map_err(|e| failures::of_engine(&e))?.ok_or_else(taken)?;
        write(job, backup, format!("/volumes/{label}"), &place, None).await
    };
    let restored = job.record.step(Step::Restore, restoring).await?;
    Ok(format!(
        "the volume {label} of backup {} is in the new volume {as_name}: {} files ({} bytes)",
        backup.short(),
        restored.files,
        restored.size_bytes
    ))
}

/// Writes what lies at `path` in the backup to `to`, which then gets `mode`, or the mode that it had.
async fn write(
    job: &Job,
    backup: &BackupId,
    path: String,
    to: &Path,
    mode: Option<u32>,
) -> Result<wharf_backup::RestoreReport, Failure> {
    let beside = check(&job.agent, &job.spec.path, to, job)?;
    note_undo(job, Undo::Folder { path: beside.clone() }).await?;
    let request = RestoreRequest {
        repo: job.agent.layout.repository(job.app()),
        key_file: job.agent.layout.repository_key(job.app()),
        snapshot: backup.clone(),
        path,
        to: beside.clone(),
    };
    let report = wharf_backup::run(&child(&job.agent), request, |_| ()).await.map_err(|e| e.failure())?;
    crate::crash::point("restore.inside");
    let to = to.to_owned();
    failures::blocking(move || {
        let set = |mode| std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(mode));
        mode.map_or(Ok(()), set)
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
