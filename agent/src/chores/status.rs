//! What people are told of an app's schedule and drills.

use super::{Chore, chore};
use crate::agent::Agent;
use crate::data;
use crate::failures;
use wharf_proto::backup::Proof;
use wharf_proto::release::{LastDrill, ScheduleStatus};
use wharf_proto::{Failure, JobId, Outcome};
use wharf_state::{AppRecord, BackupRecord, ChoreRecord};

/// The schedule, and whether it is on; `None` where the project has none.
///
/// # Errors
/// The state does not answer.
pub async fn status(agent: &Agent, app: &AppRecord) -> Result<Option<ScheduleStatus>, Failure> {
    let Some(text) = app.spec.backup.schedule.clone() else { return Ok(None) };
    // A schedule that cannot be read is told as a warning; it must not hide the rest of the status.
    let next = match memory(agent, app, Chore::Backup).await? {
        Some(memory) => Chore::Backup.due(agent, app, &memory).await.unwrap_or(None),
        None => None,
    };
    let timezone = chore::zone(&app.spec).map_or_else(|failure| failure.message, |zone| zone.to_string());
    Ok(Some(ScheduleStatus { schedule: text, timezone, on: next.is_some(), next }))
}

/// What an owner should do something about.
///
/// # Errors
/// The state does not answer.
pub async fn warnings(agent: &Agent, app: &AppRecord) -> Result<Vec<String>, Failure> {
    let mut warnings = Vec::new();
    match chore::schedule(&app.spec) {
        Err(failure) => warnings.push(format!("the backup schedule is not on: {failure}")),
        Ok(Some(_)) if !data::key_is_saved(agent, &app.app).await? => warnings.push(
            "the backup schedule is NOT ON until the recovery key is saved; run: wharf backup key".to_owned(),
        ),
        Ok(_) => {}
    }
    for chore in Chore::ALL {
        let Some(memory) = memory(agent, app, chore).await?.filter(|memory| memory.failures > 0) else {
            continue;
        };
        // While it runs, and until its end is remembered, it counts as interrupted.
        let unfinished = memory.why.as_deref() == Some(super::INTERRUPTED);
        if unfinished && (agent.queue.is_taken(&app.app) || ended_well(agent, memory.job).await) {
            continue;
        }
        let times = if memory.failures == 1 {
            "failed".to_owned()
        } else {
            format!("failed {} times", memory.failures)
        };
        let why = memory.why.unwrap_or_default();
        let job = memory.job.map_or_else(String::new, |job| format!(" (job {job})"));
        warnings.push(format!("{} {times}: {why}{job}; it is tried again", chore.title()));
    }
    let backups = agent.state.backups(&app.app).await.map_err(|e| failures::of_state(&e))?;
    if let Some(BackupRecord { id, proof: Proof::Failed { why, .. }, .. }) = backups.first() {
        warnings.push(format!(
            "the newest backup, {}, FAILED its drill: {why}; make another and verify it: wharf backup create",
            id.short()
        ));
    }
    Ok(warnings)
}

async fn ended_well(agent: &Agent, job: Option<JobId>) -> bool {
    let Some(job) = job else { return false };
    let record = agent.state.job(job).await.ok().flatten();
    matches!(record.and_then(|record| record.outcome), Some(Outcome::Done { .. }))
}

/// The drill that was held last, of whichever backup.
pub fn last_drill(backups: &[BackupRecord]) -> Option<LastDrill> {
    let at = |backup: &BackupRecord| match &backup.proof {
        Proof::Proven { at } | Proof::Failed { at, .. } => Some(*at),
        Proof::Unproven | Proof::Unknown => None,
    };
    let newest = backups.iter().filter(|backup| at(backup).is_some()).max_by_key(|backup| at(backup))?;
    Some(LastDrill { backup: newest.id.clone(), proof: newest.proof.clone() })
}

async fn memory(agent: &Agent, app: &AppRecord, chore: Chore) -> Result<Option<ChoreRecord>, Failure> {
    let known = agent.state.chores(&app.app).await.map_err(|e| failures::of_state(&e))?;
    Ok(known.into_iter().find(|record| record.chore == chore.name()))
}
