//! The request to forget an app: checked here, then a job.

use super::job;
use super::leaving::Leaving;
use crate::agent::Agent;
use crate::answers::known_app;
use crate::conversation::{Stop, Talk, follow};
use crate::failures;
use crate::jobs::others::Others;
use crate::jobs::queue;
use crate::locks;
use wharf_access::Permit;
use wharf_proto::message::Reply;
use wharf_proto::{AppName, Failure, FailureKind};
use wharf_state::AppRecord;

/// Begins to forget an app, and watches it.
///
/// # Errors
/// An app that is not known, a name that does not confirm it, a lock, another job running.
pub async fn requested(
    agent: &Agent,
    talk: &mut Talk,
    permit: &Permit,
    app: &AppName,
    confirmed: &str,
    lock_wait_seconds: u32,
) -> Result<Option<Reply>, Stop> {
    known_app(agent, permit, app).await?;
    if confirmed != app.as_str() {
        return Err(Failure::new(FailureKind::Refused, "forgetting an app must be confirmed by its name")
            .hint(format!("type {app} where you are asked"))
            .into());
    }
    let seat = talk.unless_gone(queue::take(agent, app, lock_wait_seconds)).await?;
    // Once more: it may have been locked, or forgotten, while this stood in line.
    locks::check(agent, app).await?;
    let record = known_app(agent, permit, app).await?;
    let leaving = look(agent, &record).await?;
    let job = job::start(agent, record, leaving, seat, talk.who.clone()).await?;
    follow(agent, talk, job).await
}

async fn look(agent: &Agent, record: &AppRecord) -> Result<Leaving, Failure> {
    let releases = agent.state.releases(&record.app).await.map_err(|e| failures::of_state(&e))?;
    let others = Others::than(agent, &record.app).await?;
    let (spec, project) = (record.spec.clone(), record.project.clone());
    Ok(Leaving::plan(spec, project, record.live, &releases, &others))
}
