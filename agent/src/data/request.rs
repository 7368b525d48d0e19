//! Requests about backups: questions are answered, the rest become jobs.

use super::key;
use super::known::{self, Known};
use super::prune;
use super::task::{self, Task};
use crate::agent::Agent;
use crate::answers::known_app;
use crate::conversation::{Stop, Talk, follow};
use crate::jobs::queue::{self, Rank};
use crate::locks;
use wharf_access::Permit;
use wharf_proto::backup::RestoreWhat;
use wharf_proto::message::{MigrateDown, Reply, Request};
use wharf_proto::{AppName, BackupId, Failure, FailureKind};
use wharf_state::AppRecord;

/// Answers the requests about backups.
///
/// # Errors
/// What keeps the request from being carried out.
pub async fn requested(
    agent: &Agent,
    talk: &mut Talk,
    permit: &Permit,
    request: Request,
) -> Result<Option<Reply>, Stop> {
    match request {
        Request::BackupList { app } => {
            let record = known_app(agent, permit, &app).await?;
            let backups = known::infos(agent, &record).await?;
            Ok(Some(Reply::Backups { backups, key_saved: key::is_saved(agent, &app).await? }))
        }
        Request::BackupKey { app, saved } => {
            Ok(Some(key::answer(agent, permit, &talk.who, &app, saved).await?))
        }
        Request::BackupCreate { app, message, lock_wait_seconds } => {
            begin(agent, talk, permit, &app, lock_wait_seconds, Asked::Create(message)).await
        }
        Request::BackupVerify { app, backup, lock_wait_seconds } => {
            begin(agent, talk, permit, &app, lock_wait_seconds, Asked::Verify(backup)).await
        }
        Request::BackupPrune { app, dry_run: true, .. } => {
            let record = known_app(agent, permit, &app).await?;
            Ok(Some(Reply::PrunePlan { plan: prune::planned(agent, &record).await? }))
        }
        Request::BackupPrune { app, lock_wait_seconds, .. } => {
            begin(agent, talk, permit, &app, lock_wait_seconds, Asked::Prune).await
        }
        Request::BackupPin { app, backup, pinned } => {
            let record = known_app(agent, permit, &app).await?;
            let known = known::all(agent, &record).await?;
            prune::pin(agent, &talk.who, &app, known::find(&known, &backup)?, pinned).await?;
            let backups = known::infos(agent, &record).await?;
            Ok(Some(Reply::Backups { backups, key_saved: key::is_saved(agent, &app).await? }))
        }
        Request::BackupRestore { app, backup, what, lock_wait_seconds } => {
            begin(agent, talk, permit, &app, lock_wait_seconds, Asked::Restore(backup, what)).await
        }
        Request::MigrateUp { app, lock_wait_seconds } => {
            begin(agent, talk, permit, &app, lock_wait_seconds, Asked::MigrateUp).await
        }
        Request::MigrateDown(down) => {
            let (app, wait) = (down.app.clone(), down.lock_wait_seconds);
            begin(agent, talk, permit, &app, wait, Asked::MigrateDown(down)).await
        }
        _ => Err(unsupported().into()),
    }
}

/// What was asked, before the backup that it is about is found.
enum Asked {
    Create(Option<String>),
    Verify(Option<BackupId>),
    Restore(BackupId, RestoreWhat),
    Prune,
    MigrateUp,
    MigrateDown(MigrateDown),
}

impl Asked {
    /// Whether a lock keeps it back.
    fn changes_the_app(&self) -> bool {
        match self {
            Self::Restore(_, what) => locks::restores_over(what),
            Self::MigrateUp | Self::MigrateDown(_) => true,
            Self::Create(_) | Self::Verify(_) | Self::Prune => false,
        }
    }
}

async fn begin(
    agent: &Agent,
    talk: &mut Talk,
    permit: &Permit,
    app: &AppName,
    lock_wait_seconds: u32,
    asked: Asked,
) -> Result<Option<Reply>, Stop> {
    let record = known_app(agent, permit, app).await?;
    let rank = if matches!(asked, Asked::Verify(_)) { Rank::Drill } else { Rank::Change };
    let seat = queue::take_as(agent, app, lock_wait_seconds, rank).await?;
    if asked.changes_the_app() {
        // Once more: it may have been locked while this stood in line.
        locks::check(agent, app).await?;
    }
    let task = resolve(agent, &record, asked).await?;
    let (job, _) = task::start(agent, record, task, seat, talk.who.clone()).await?;
    follow(agent, talk, job).await
}

async fn resolve(agent: &Agent, record: &AppRecord, asked: Asked) -> Result<Task, Failure> {
    let known = async || known::all(agent, record).await;
    Ok(match asked {
        Asked::Create(message) => Task::Backup { message },
        Asked::Prune => Task::Prune,
        Asked::MigrateUp => Task::MigrateUp,
        Asked::MigrateDown(down) => Task::MigrateDown(down),
        Asked::Verify(None) => Task::Drill { backup: newest(&record.app, known().await?)? },
        Asked::Verify(Some(wanted)) => {
            Task::Drill { backup: known::find(&known().await?, &wanted)?.id.clone() }
        }
        Asked::Restore(wanted, what) => {
            check(&record.app, &what)?;
            Task::Restore { backup: known::find(&known().await?, &wanted)?.id.clone(), what }
        }
    })
}

fn newest(app: &AppName, known: Vec<Known>) -> Result<BackupId, Failure> {
    known.into_iter().next().map(|backup| backup.id).ok_or_else(|| {
        Failure::new(FailureKind::NotFound, format!("there is no backup of {app} yet"))
            .hint("make one: wharf backup create")
    })
}

fn check(app: &AppName, what: &RestoreWhat) -> Result<(), Failure> {
    match what {
        RestoreWhat::Over { confirmed } | RestoreWhat::VolumesOver { confirmed, .. }
            if confirmed != app.as_str() =>
        {
            let text = format!("restoring over what is live must be confirmed by the app's name, {app}");
            Err(Failure::new(FailureKind::Refused, text).hint(format!("add --confirm {app}")))
        }
        RestoreWhat::Unknown => Err(unsupported()),
        RestoreWhat::Over { .. }
        | RestoreWhat::VolumesOver { .. }
        | RestoreWhat::ToFolder { .. }
        | RestoreWhat::Volume { .. }
        | RestoreWhat::Beside { .. } => Ok(()),
    }
}

fn unsupported() -> Failure {
    Failure::new(FailureKind::Unsupported, "this agent does not know that request")
        .hint("upgrade wharfd on the server")
}
