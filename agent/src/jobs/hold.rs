//! Containers that a backup may freeze or stop: let go again, whatever happens.
//!
//! **Invariant**: what may be held is written down before, so that a job that fails and an agent that starts again after a
//! crash let go of it. Letting go twice, or of what was never held, changes nothing. What the kernel froze after the engine had
//! given up on it is let go too: the engine takes that for running.

use super::run::Job;
use crate::failures;
use serde::{Deserialize, Serialize};
use wharf_backup::{Hold, HoldRequest};
use wharf_engine::Engine;
use wharf_proto::{Failure, FailureKind};

/// What any job's journal says of containers that do not run for a while.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
enum Entry {
    Held {
        container: String,
        how: Hold,
    },
    Stopped {
        container: String,
    },
    #[serde(other)]
    Other,
}

/// Writes down who may be held. They run now.
///
/// # Errors
/// The state cannot be written; then nobody must be held.
pub async fn note(job: &Job, holds: &[HoldRequest]) -> Result<(), Failure> {
    let entries = holds.iter().map(|hold| Entry::Held { container: hold.container.clone(), how: hold.how });
    let entries: Vec<Entry> = entries.collect();
    job.agent.state.record_undo(job.id, entries).await.map_err(|e| failures::of_state(&e))
}

/// Lets everything run again that the job has held or stopped.
///
/// # Errors
/// One that does not; the others are tried all the same.
pub async fn release(job: &Job) -> Result<(), Failure> {
    let engine = &job.agent.engine;
    let entries = job.agent.state.undo_entries::<Entry>(job.id).await.map_err(|e| failures::of_state(&e))?;
    let mut result = Ok(());
    for entry in entries {
        let released = match &entry.undo {
            Entry::Held { container, how: Hold::Pause } => unpause(engine, container).await,
            Entry::Held { container, how: Hold::Stop } | Entry::Stopped { container } => {
                engine.start(container).await.map_err(|e| failures::of_engine(&e))
            }
            Entry::Other => Ok(()),
        };
        if let Err(failure) = released {
            result = Err(failure);
        }
    }
    result
}

async fn unpause(engine: &Engine, container: &str) -> Result<(), Failure> {
    engine.unpause(container).await.map_err(|e| failures::of_engine(&e))?;
    let Some((id, pid)) = engine.process(container).await.map_err(|e| failures::of_engine(&e))? else {
        return Ok(());
    };
    failures::blocking(move || {
        wharf_backup::thaw(&id, pid).map(drop).map_err(|error| {
            Failure::from_error(FailureKind::Environment, &error)
                .cause("the kernel keeps it frozen, and the engine takes it for running")
                .hint(format!("restart it: docker restart {id:.12}"))
        })
    })
    .await
}
