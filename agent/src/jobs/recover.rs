//! What a crash left is finished or undone, before the agent serves again.

use super::record::Record;
use super::run::{self, Job};
use super::{Request, beside, prune, put_back, queue};
use crate::agent::Agent;
use crate::conversation::Who;
use crate::failures;
use std::sync::Arc;
use wharf_proto::event::{EventBody, JobKind};
use wharf_proto::{AppName, Failure, FailureKind, Outcome};
use wharf_state::{JobRecord, Phase};

/// How long a leftover child of the former agent may take to let go of its app.
pub const CHILDREN_END_SECONDS: u32 = 60;
/// How many jobs are looked at for an outcome that nobody was told: more than can have run at once.
const RECENT_JOBS: u32 = 50;

/// Brings every job that was interrupted to its end. One that cannot be is told of and does not keep the others back.
pub async fn finish_all(agent: &Agent) {
    tell_what_was_not_told(agent).await;
    let jobs = match agent.state.unfinished_jobs().await {
        Ok(jobs) => jobs,
        Err(error) => {
            tracing::error!(%error, "cannot list the jobs that a crash left");
            return;
        }
    };
    for record in jobs {
        let (job, app) = (record.job, record.app.clone());
        tracing::warn!(%job, %app, phase = ?record.phase, "finishing a job that was interrupted");
        if let Err(failure) = finish_one(agent, record).await {
            tracing::error!(%job, %app, %failure, "cannot finish the job");
        }
    }
}

async fn finish_one(agent: &Agent, record: JobRecord) -> Result<(), Failure> {
    if matches!(
        record.kind,
        JobKind::Backup
            | JobKind::Restore { .. }
            | JobKind::Drill { .. }
            | JobKind::Prune
            | JobKind::MigrateUp
            | JobKind::MigrateDown { .. }
    ) {
        return crate::data::recover::finish(agent, record).await;
    }
    if matches!(record.kind, JobKind::Restart { .. } | JobKind::Scale { .. } | JobKind::PruneDocker) {
        return crate::operate::finish(agent, record).await;
    }
    if record.kind == JobKind::Forget {
        return crate::forget::finish(agent, record).await;
    }
    if record.kind == JobKind::Unknown {
        let text = format!("job {} is of a kind that a newer wharfd began", record.job);
        return Err(Failure::new(FailureKind::Unsupported, text).hint("upgrade wharfd again"));
    }
    let request: Request = serde_json::from_value(record.request.clone())
        .map_err(|e| Failure::from_error(FailureKind::Internal, &e))?;
    let seat = queue::take(agent, &record.app, CHILDREN_END_SECONDS).await?;
    seat.runs(record.job);
    let log = agent.events.resume(record.job).await.map_err(|e| failures::of_events(&e, record.job))?;
    if let Some(outcome) = log.outcome().await {
        // Everybody was told, but the state could not be written then.
        return agent.state.finish_job(record.job, outcome).await.map_err(|e| failures::of_state(&e));
    }
    let job = Job {
        agent: agent.clone(),
        id: record.job,
        kind: record.kind.clone(),
        release: request.release,
        beside: beside(&request.spec, record.job)?,
        spec: request.spec,
        seat,
        record: Record::new(log),
        who: Arc::new(Who { by: record.by.clone(), from: record.from.clone() }),
    };
    job.record.warn("the agent was interrupted here and has started again").await;
    let interrupted =
        Failure::new(FailureKind::Environment, "the agent was interrupted while the deploy ran")
            .hint("deploy again");
    let outcome = match record.phase {
        Phase::Committed | Phase::Done => {
            prune_quietly(agent, &record.app, &job).await;
            Outcome::Released { release: job.release }
        }
        Phase::Preparing | Phase::Changing | Phase::PuttingBack => {
            put_back::after_failure(&job, interrupted).await
        }
    };
    run::finish(job, outcome).await;
    Ok(())
}

async fn prune_quietly(agent: &Agent, app: &AppName, job: &Job) {
    if let Err(failure) = prune::prune(agent, app, job.id, &job.record).await {
        tracing::warn!(job = %job.id, %failure, "cannot prune");
    }
}

/// A crash between the record of an outcome and its event leaves watchers waiting: they are told now.
async fn tell_what_was_not_told(agent: &Agent) {
    let jobs = agent.state.jobs(None, RECENT_JOBS).await.unwrap_or_default();
    for record in jobs {
        let Some(outcome) = record.outcome else { continue };
        let Ok(log) = agent.events.resume(record.job).await else { continue };
        if log.outcome().await.is_none()
            && let Err(error) = log.append(EventBody::Finished { outcome }).await
        {
            tracing::error!(job = %record.job, %error, "cannot write a job's last event");
        }
    }
}
