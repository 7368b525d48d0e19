//! Requests to operate: checked here, then a job.

use super::task::{self, Task};
use super::{house, scale};
use crate::agent::Agent;
use crate::answers::{known_app, logs::no_such_service};
use crate::conversation::{Stop, Talk, follow};
use crate::failures;
use crate::jobs::queue::{self, Rank};
use crate::locks;
use wharf_access::Permit;
use wharf_proto::message::{Reply, Request};
use wharf_proto::{Failure, FailureKind};
use wharf_state::AppRecord;

/// Answers the requests to operate.
///
/// # Errors
/// What keeps the request from being carried out.
pub async fn requested(
    agent: &Agent,
    talk: &mut Talk,
    permit: &Permit,
    request: Request,
) -> Result<Option<Reply>, Stop> {
    let (app, task, lock_wait_seconds) = match request {
        Request::Scales { app } => {
            known_app(agent, permit, &app).await?;
            let scales = agent.state.scales(&app).await.map_err(|e| failures::of_state(&e))?;
            return Ok(Some(Reply::Scales { scales }));
        }
        Request::Restart { app, services, lock_wait_seconds } => {
            (app, Task::Restart { services }, lock_wait_seconds)
        }
        Request::Scale { app, changes, lock_wait_seconds } => {
            (app, Task::Scale { changes }, lock_wait_seconds)
        }
        Request::Prune { app, keep_cache_bytes, dry_run: true, .. } => {
            let record = known_app(agent, permit, &app).await?;
            let plan = house::planned(agent, &record, keep_cache_bytes).await?;
            return Ok(Some(Reply::DockerPrunePlan { plan }));
        }
        Request::Prune { app, keep_cache_bytes, lock_wait_seconds, .. } => {
            (app, Task::Prune { keep_cache_bytes }, lock_wait_seconds)
        }
        _ => {
            return Err(Failure::new(FailureKind::Unsupported, "this agent does not know that request")
                .hint("upgrade wharfd on the server")
                .into());
        }
    };
    let record = known_app(agent, permit, &app).await?;
    let rank = if matches!(task, Task::Prune { .. }) { Rank::Prune } else { Rank::Change };
    let seat = talk.unless_gone(queue::take_as(agent, &app, lock_wait_seconds, rank)).await?;
    if task.changes_the_app() {
        // Once more: it may have been locked while this stood in line.
        locks::check(agent, &app).await?;
    }
    match &task {
        Task::Restart { services } => check_services(agent, &record, services).await?,
        Task::Scale { changes } => scale::check(agent, &record, &seat, changes).await?,
        Task::Prune { .. } => {}
    }
    let job = task::start(agent, record, task, seat, talk.who.clone()).await?;
    follow(agent, talk, job).await
}

/// Every service that is named has a container; without names, there are containers.
async fn check_services(agent: &Agent, app: &AppRecord, services: &[String]) -> Result<(), Failure> {
    let containers = agent.engine.project_containers(&app.project).await;
    let mut containers = containers.map_err(|e| failures::of_engine(&e))?;
    containers.retain(|container| !container.one_off);
    if containers.is_empty() {
        return Err(Failure::new(FailureKind::NotFound, format!("{} has no containers", app.app))
            .hint("bring a release back: wharf releases, then wharf rollback vN"));
    }
    let unknown = services.iter().find(|service| !containers.iter().any(|c| c.service == **service));
    match unknown {
        Some(service) => Err(no_such_service(service, containers.iter().map(|c| c.service.as_str()))),
        None => Ok(()),
    }
}
