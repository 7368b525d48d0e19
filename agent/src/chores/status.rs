//! What people are told of an app's schedule and drills.

use super::{Chore, chore};
use crate::agent::Agent;
use crate::data;
use crate::failures;
use wharf_proto::backup::Proof;
use wharf_proto::release::{LastDrill, ScheduleStatus};
use wharf_proto::{Failure, JobId, Outcome};
use wharf_state::{AppRecord, BackupRecord, ChoreRecord};

/// How many times of a schedule are looked at: a week of hourly backups shows its nights.
const LOOKED_AHEAD: usize = 200;

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
    warnings.extend(failing(agent, app).await?);
    let backups = agent.state.backups(&app.app).await.map_err(|e| failures::of_state(&e))?;
    if let Some(BackupRecord { id, proof: Proof::Failed { why, .. }, .. }) = backups.first() {
        warnings.push(format!(
            "the newest backup, {}, FAILED its drill: {why}; make another and verify it: wharf backup create",
            id.short()
        ));
    }
    Ok(warnings)
}

/// Chores that fail now, in words.
///
/// # Errors
/// The state does not answer.
pub async fn failing(agent: &Agent, app: &AppRecord) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
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
        found.push(format!("{} {times}: {why}{job}; it is tried again", chore.title()));
    }
    Ok(found)
}

/// The longest time between two backups of the app's schedule, as far as it can be seen; `None` without one.
pub fn backup_every_seconds(agent: &Agent, app: &AppRecord) -> Option<u64> {
    let schedule = chore::schedule(&app.spec).ok()??;
    let mut at = agent.clock.now();
    let mut longest = 0;
    for round in 0..LOOKED_AHEAD {
        let Some(next) = schedule.next_after(at) else { break };
        // The first is how long from now, which is no whole time between two.
        if round > 0 {
            longest = longest.max(next.duration_since(at).as_secs().unsigned_abs());
        }
        at = next;
    }
    (longest > 0).then_some(longest)
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
