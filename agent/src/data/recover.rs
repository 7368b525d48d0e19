//! What a job about data leaves is taken away, and what it changed is brought to one side: after a failure, and after a
//! crash.

use super::database::Address;
use super::over;
use super::task::Task;
use super::undo::Undo;
use crate::agent::Agent;
use crate::failures;
use crate::jobs::compose::JOB_LABEL;
use crate::jobs::hold;
use crate::jobs::run::{self, Job};
use crate::migrations;
use std::path::Path;
use wharf_proto::event::JobKind;
use wharf_proto::{BackupId, Failure, FailureKind, Outcome};
use wharf_state::{JobRecord, Phase};

/// Brings a job that a crash interrupted to its end.
///
/// # Errors
/// Its app or its request is not known any more.
pub async fn finish(agent: &Agent, record: JobRecord) -> Result<(), Failure> {
    let job = Job::resume(agent, &record).await?;
    let interrupted = Failure::new(FailureKind::Environment, "the agent was interrupted while the job ran")
        .hint("try again");
    let outcome = after_failure(&job, interrupted).await;
    run::finish(job, outcome).await;
    Ok(())
}

/// Ends a job that failed, by what it had done until then.
pub async fn after_failure(job: &Job, failure: Failure) -> Outcome {
    let record = job.agent.state.job(job.id).await.ok().flatten();
    let phase = record.as_ref().map_or(Phase::Changing, |record| record.phase);
    let is_migration = matches!(job.kind, JobKind::MigrateUp | JobKind::MigrateDown { .. });
    let backup = record.and_then(|record| match serde_json::from_value(record.request) {
        Ok(Task::Restore { backup, .. } | Task::Drill { backup }) => Some(backup),
        Ok(Task::Backup { .. } | Task::Scheduled | Task::Prune | Task::House) | Err(_) => None,
        Ok(Task::MigrateUp | Task::MigrateDown(_)) => None,
    });
    let backup = backup.unwrap_or(BackupId(String::new()));
    let outcome = match phase {
        Phase::Preparing => Outcome::Failed { failure },
        Phase::Committed | Phase::Done if is_migration => {
            Outcome::Done { summary: "the migrations were done".to_owned() }
        }
        Phase::Committed | Phase::Done => {
            Outcome::Done { summary: format!("restored from backup {}", backup.short()) }
        }
        Phase::Changing | Phase::PuttingBack => match entries(job).await {
            Ok(entries) => {
                let settles =
                    entries.iter().find(|entry| matches!(entry, Undo::Swap(_) | Undo::Migrations { .. }));
                match settles {
                    Some(Undo::Swap(swaps)) => over::settle(job, &backup, swaps, failure).await,
                    Some(Undo::Migrations { before }) => migrations::settle(job, before, failure).await,
                    Some(Undo::Folder { .. } | Undo::Database { .. } | Undo::Held { .. }) | None => {
                        Outcome::Failed { failure }
                    }
                }
            }
            Err(problem) => Outcome::NotPutBack { failure, put_back: problem },
        },
    };
    if !matches!(outcome, Outcome::NotPutBack { .. }) {
        clear(job).await;
    }
    outcome
}

async fn entries(job: &Job) -> Result<Vec<Undo>, Failure> {
    let entries = job.agent.state.undo_entries::<Undo>(job.id).await.map_err(|e| failures::of_state(&e))?;
    Ok(entries.into_iter().map(|entry| entry.undo).collect())
}

/// Takes away what the job made for itself. What cannot be is told of.
pub async fn clear(job: &Job) {
    if let Err(failure) = hold::release(job).await {
        job.record
            .warn(format!("a container that was held for the backup does not run again: {failure}"))
            .await;
    }
    let label = format!("{JOB_LABEL}={}", job.label());
    match job.agent.engine.containers_labelled(&label).await {
        Ok(containers) => {
            for container in containers {
                if let Err(error) = job.agent.engine.remove_container(&container.id).await {
                    job.record.warn(format!("{} is left: {error}", container.name)).await;
                }
            }
        }
        Err(error) => job.record.warn(format!("containers of this job may be left: {error}")).await,
    }
    let entries = match entries(job).await {
        Ok(entries) => entries,
        Err(failure) => {
            return job.record.warn(format!("something of this job may be left: {failure}")).await;
        }
    };
    for entry in entries.into_iter().rev() {
        let cleared = match &entry {
            Undo::Folder { path } => remove_folder(path).await,
            Undo::Database { at, name } => drop_own(job, at, name).await,
            Undo::Swap(_) | Undo::Migrations { .. } | Undo::Held { .. } => Ok(()),
        };
        if let Err(failure) = cleared {
            let what = match &entry {
                Undo::Folder { path } => format!("the folder {}", path.display()),
                Undo::Database { at, name } => format!("the database {name} in {}", at.service),
                Undo::Swap(_) | Undo::Migrations { .. } | Undo::Held { .. } => String::new(),
            };
            job.record.warn(format!("{what} of this job is left; remove it by hand: {failure}")).await;
        }
    }
}

async fn drop_own(job: &Job, at: &Address, name: &str) -> Result<(), Failure> {
    let at = at.at_hand(job).await?;
    at.quiet(&job.agent, job.app()).await?;
    at.drop_own(&job.agent, job.app(), name).await
}

/// Removes a folder of a job's own. One that is not there is fine.
///
/// # Errors
/// Something in there cannot be removed.
pub async fn remove_folder(path: &Path) -> Result<(), Failure> {
    let path = path.to_owned();
    failures::blocking(move || match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::from_error(FailureKind::Environment, &error)
                .cause(format!("while removing {}", path.display())))
        }
        Ok(()) | Err(_) => Ok(()),
    })
    .await
}
