//! Retention: which backups stay is planned, then the others are forgotten.
//!
//! **Invariants**: the plan is made from the app's seat, so that no backup begins beside it. What the repository does not
//! list is not decided about, and a repository that does not answer is not pruned. A backup goes from the repository first
//! and from the state after: a crash between the two leaves a line in the state that the next prune takes away.

use super::known::{self, Known};
use crate::agent::Agent;
use crate::audit;
use crate::conversation::Who;
use crate::failures;
use crate::jobs::backup::child;
use crate::jobs::run::Job;
use std::collections::{BTreeMap, BTreeSet};
use wharf_backup::ForgetRequest;
use wharf_proto::backup::{Proof, PrunePlan, Retained};
use wharf_proto::{AppName, AppSpec, BackupId, Failure, FailureKind};
use wharf_schedule::{Candidate, Kept, Plan};
use wharf_state::AppRecord;

/// What would stay and what would go, in the words for people.
///
/// # Errors
/// The repository or the state does not answer.
pub async fn planned(agent: &Agent, app: &AppRecord) -> Result<PrunePlan, Failure> {
    let known = known::listed(agent, &app.app).await?;
    let plan = plan(agent, &app.app, &app.spec, &known).await?;
    let times: BTreeMap<_, _> = known.iter().map(|backup| (&backup.id, backup.time)).collect();
    let retained = |id: &BackupId, why: Vec<String>| Retained {
        backup: id.clone(),
        time: times.get(id).copied().unwrap_or_default(),
        why,
    };
    let words = |why: &[wharf_schedule::Why]| why.iter().map(ToString::to_string).collect();
    Ok(PrunePlan {
        keep: plan.keep.iter().map(|(id, why)| retained(id, words(why))).collect(),
        forget: plan.forget.iter().map(|id| retained(id, Vec::new())).collect(),
    })
}

async fn plan(agent: &Agent, app: &AppName, spec: &AppSpec, known: &[Known]) -> Result<Plan, Failure> {
    let candidates: Vec<Candidate> = known.iter().map(candidate).collect();
    let kept = kept(agent, app, known).await?;
    let zone = crate::chores::zone(spec)?;
    let (floor, now) = (agent.config.retention.floor(), agent.clock.now());
    Ok(wharf_schedule::plan(&candidates, spec.backup.keep.as_ref(), &floor, &kept, zone, now))
}

/// What stays for a reason of its own.
///
/// # Errors
/// The state does not answer.
pub async fn kept(agent: &Agent, app: &AppName, known: &[Known]) -> Result<Kept, Failure> {
    let releases = agent.state.release_infos(app).await.map_err(|e| failures::of_state(&e))?;
    Ok(Kept {
        releases: releases.into_iter().filter_map(|release| release.backup).collect(),
        pinned: known.iter().filter(|backup| backup.is_pinned()).map(|backup| backup.id.clone()).collect(),
    })
}

/// As retention looks at it.
pub fn candidate(backup: &Known) -> Candidate {
    Candidate {
        id: backup.id.clone(),
        time: backup.time,
        good: !matches!(backup.proof(), Some(Proof::Failed { .. })),
        known: backup.proof().is_some(),
    }
}

/// Forgets what the plan lets go, and frees what only that needed; a summary.
///
/// # Errors
/// The repository does not answer, or is in use. What was not forgotten is the next time.
pub async fn prune(job: &Job) -> Result<String, Failure> {
    let (agent, app) = (&job.agent, job.app());
    if !agent.layout.repository(app).is_dir() {
        return Ok("there is no backup yet".to_owned());
    }
    let known = known::listed(agent, app).await?;
    let plan = plan(agent, app, &job.spec, &known).await?;
    let mut freed_bytes = 0;
    if !plan.forget.is_empty() {
        let request = ForgetRequest {
            repo: agent.layout.repository(app),
            key_file: agent.layout.repository_key(app),
            ids: plan.forget.clone(),
            prune: true,
        };
        crate::crash::point("forget.before");
        let _turn = agent.turns.drop_backups(app).await;
        let report = wharf_backup::run(&child(agent), request, |_| ()).await.map_err(|e| e.failure())?;
        crate::crash::point("forget.inside");
        freed_bytes = report.freed_bytes;
        let names: Vec<&str> = plan.forget.iter().map(BackupId::short).collect();
        job.record.note(format!("forgotten: {}", names.join(", "))).await;
    }
    let stays: BTreeSet<BackupId> = plan.keep.iter().map(|(id, _)| id.clone()).collect();
    agent.state.retain_backups(app, stays).await.map_err(|e| failures::of_state(&e))?;
    Ok(format!(
        "{} backups stay, {} forgotten, {:.1} MB freed",
        plan.keep.len(),
        plan.forget.len(),
        freed_bytes as f64 / 1e6
    ))
}

/// Pins a backup, so that retention leaves it, or lets it go again.
///
/// # Errors
/// One that the agent does not know: it stays anyway.
pub async fn pin(
    agent: &Agent,
    who: &Who,
    app: &AppName,
    backup: &Known,
    pinned: bool,
) -> Result<(), Failure> {
    if backup.proof().is_none() {
        let text = format!("backup {} was not made by this agent", backup.id.short());
        return Err(Failure::new(FailureKind::Config, text).hint("it is never forgotten, pinned or not"));
    }
    agent.state.pin_backup(app, &backup.id, pinned).await.map_err(|e| failures::of_state(&e))?;
    let action = format!("backup pin {}{}", backup.id.short(), if pinned { "" } else { " --off" });
    let outcome = if pinned { "it stays" } else { "retention decides" };
    audit::write(agent, who, Some(app), action, outcome).await
}
