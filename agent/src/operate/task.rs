//! A job that operates, from its beginning to its one last event.

use super::house::{self, Bounds};
use super::{restart, scale};
use crate::agent::Agent;
use crate::conversation::Who;
use crate::jobs::queue::Seat;
use crate::jobs::run::{self, Job};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use wharf_proto::event::JobKind;
use wharf_proto::operate::{ScaleChange, ServiceScale};
use wharf_proto::{Failure, FailureKind, JobId, Outcome, Step};
use wharf_state::{AppRecord, JobRecord};

/// What a job is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    /// Empty: every service.
    Restart {
        services: Vec<String>,
    },
    Scale {
        changes: Vec<ScaleChange>,
    },
    /// What nothing needs of what Docker holds.
    Prune {
        keep_cache_bytes: u64,
    },
}

/// What a job changes, written down before it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum Undo {
    /// What was set before.
    Scales { project: String, before: Vec<ServiceScale>, services: Vec<String> },
}

impl Task {
    fn kind(&self) -> JobKind {
        match self {
            Self::Prune { .. } => JobKind::PruneDocker,
            Self::Restart { services } => JobKind::Restart { services: services.clone() },
            Self::Scale { changes } => {
                JobKind::Scale { services: changes.iter().map(|change| change.service.clone()).collect() }
            }
        }
    }

    /// Whether a lock keeps it back.
    pub fn changes_the_app(&self) -> bool {
        match self {
            Self::Prune { .. } => false,
            Self::Restart { .. } | Self::Scale { .. } => true,
        }
    }

    fn steps(&self) -> Vec<Step> {
        match self {
            Self::Prune { .. } => vec![Step::Prune],
            Self::Restart { .. } => vec![Step::Restart, Step::Verify],
            Self::Scale { .. } => vec![Step::Scale, Step::Verify],
        }
    }
}

/// Begins a job, which goes on by itself.
///
/// # Errors
/// It cannot be recorded; nothing has begun then.
pub async fn start(
    agent: &Agent,
    app: AppRecord,
    task: Task,
    seat: Seat,
    who: Arc<Who>,
) -> Result<JobId, Failure> {
    let request = serde_json::to_value(&task).map_err(|e| Failure::from_error(FailureKind::Internal, &e))?;
    let job = Job::begin(agent, &app, task.kind(), task.changes_the_app(), request, seat, who).await?;
    let id = job.id;
    let steps = task.steps();
    let body = async move |job: Arc<Job>| {
        let ended = match &task {
            Task::Restart { services } => restart::restart(&job, &app.project, services).await,
            Task::Scale { changes } => scale::scale(&job, &app.project, changes).await,
            Task::Prune { keep_cache_bytes } => {
                let bounds = Bounds { images: true, cache_bytes: Some(*keep_cache_bytes) };
                job.record.step(Step::Prune, house::prune(&job, &app.project, bounds)).await
            }
        };
        match ended {
            Ok(summary) => Outcome::Done { summary },
            Err(failure) => {
                let outcome = scale::after_failure(&job, failure).await;
                if matches!(task, Task::Prune { .. }) { job.seat.gave_way(outcome) } else { outcome }
            }
        }
    };
    tokio::spawn(run::conduct(job, steps, body, async |job, failure| {
        scale::after_failure(&job, failure).await
    }));
    Ok(id)
}

/// Brings a job that a crash interrupted to its end.
///
/// # Errors
/// Its app is not known any more.
pub async fn finish(agent: &Agent, record: JobRecord) -> Result<(), Failure> {
    let job = Job::resume(agent, &record).await?;
    let interrupted = Failure::new(FailureKind::Environment, "the agent was interrupted while the job ran")
        .hint("try again");
    let outcome = scale::after_failure(&job, interrupted).await;
    run::finish(job, outcome).await;
    Ok(())
}
