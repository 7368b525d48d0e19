//! The agent's own initiative: backups by schedule, drills, and whatever else is due.
//!
//! **Invariants**
//! - A chore is a job like any other: it takes the app's seat, is recorded, and ends in one event. It takes the seat only
//!   where it is free, so that it never stands in line before a deploy.
//! - A run is remembered before it begins, as one that failed, and as what it was when it has ended: a crash in the middle
//!   is not silent, and is tried again.
//! - Nothing here keeps the agent from serving: what fails is told, and tried again later.

mod chore;
mod status;

pub use chore::{Chore, schedule, servers_zone, zone};
pub use status::{backup_every_seconds, failing, last_drill, status, warnings};

use crate::agent::Agent;
use crate::conversation::Who;
use crate::data;
use crate::failures;
use crate::jobs::queue::{self, Seat};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wharf_proto::{AppName, Failure, JobId, Outcome};
use wharf_state::{AppRecord, ChoreRecord};

/// Chores of different apps at once.
const SIDE_BY_SIDE: usize = 2;

/// What is remembered of a run until its end is.
const INTERRUPTED: &str = "it was interrupted";

/// Looks for what is due, for as long as the agent runs.
pub async fn run(agent: Agent) {
    let room = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    loop {
        if let Err(failure) = look(&agent, &room).await {
            tracing::error!(%failure, "cannot look for what is due");
        }
        tokio::select! {
            () = agent.queue.freed() => {}
            () = tokio::time::sleep(agent.clock.look_every()) => {}
        }
    }
}

async fn look(agent: &Agent, room: &Arc<Semaphore>) -> Result<(), Failure> {
    for app in agent.state.apps().await.map_err(|e| failures::of_state(&e))? {
        for chore in Chore::ALL {
            let Ok(permit) = Arc::clone(room).try_acquire_owned() else { return Ok(()) };
            if let Err(failure) = begin_if_due(agent, &app, chore, permit).await {
                tracing::error!(app = %app.app, chore = chore.name(), %failure, "cannot begin a chore");
            }
        }
    }
    Ok(())
}

/// What is remembered of a chore; one that is new is remembered from now on.
async fn remembered(agent: &Agent, app: &AppName, chore: Chore) -> Result<(ChoreRecord, bool), Failure> {
    let known = agent.state.chores(app).await.map_err(|e| failures::of_state(&e))?;
    let found = known.into_iter().find(|record| record.chore == chore.name());
    let is_new = found.is_none();
    Ok((found.unwrap_or_else(|| ChoreRecord::new(chore.name(), agent.clock.now())), is_new))
}

async fn begin_if_due(
    agent: &Agent,
    app: &AppRecord,
    chore: Chore,
    permit: OwnedSemaphorePermit,
) -> Result<(), Failure> {
    let (memory, is_new) = remembered(agent, &app.app, chore).await?;
    let Some(due) = chore.due(agent, app, &memory).await? else {
        if !is_new && chore == Chore::Backup {
            // Turned on again, it owes nothing for the time between.
            agent.state.forget_chore(&app.app, chore.name()).await.map_err(|e| failures::of_state(&e))?;
        }
        return Ok(());
    };
    if is_new {
        remember(agent, &app.app, memory.clone()).await?;
    }
    if due > agent.clock.now() {
        return Ok(());
    }
    // The engine has one build cache for all, and somebody may be building.
    if chore == Chore::House && agent.queue.something_changes() {
        return Ok(());
    }
    let Some(seat) = queue::take_if_free(agent, &app.app, chore.rank()).await? else { return Ok(()) };
    // The app may have changed before the seat was ours.
    let Some(app) = agent.state.app(&app.app).await.map_err(|e| failures::of_state(&e))? else {
        return Ok(());
    };
    begin(agent, app, chore, memory, seat, permit).await
}

async fn begin(
    agent: &Agent,
    app: AppRecord,
    chore: Chore,
    before: ChoreRecord,
    seat: Seat,
    permit: OwnedSemaphorePermit,
) -> Result<(), Failure> {
    let name = app.app.clone();
    let gave_way = seat.wanted();
    let task = tokio::select! {
        biased;
        // It is due as before.
        () = gave_way.cancelled() => return Ok(()),
        task = chore.task(agent, &app) => task?,
    };
    let Some(task) = task else {
        if chore == Chore::House {
            // It was looked at, and there is nothing to do.
            let looked = ChoreRecord { last_run: Some(agent.clock.now()), failures: 0, why: None, ..before };
            remember(agent, &name, looked).await?;
        }
        return Ok(());
    };
    let mut tried = ChoreRecord {
        last_run: Some(agent.clock.now()),
        failures: before.failures.saturating_add(1),
        why: Some(INTERRUPTED.to_owned()),
        ..before.clone()
    };
    remember(agent, &name, tried.clone()).await?;
    let who = Arc::new(Who { by: "the agent's schedule".to_owned(), from: "the server itself".to_owned() });
    let (job, ended) = match data::start(agent, app, task, seat, who).await {
        Ok(started) => started,
        Err(failure) => {
            tried.why = Some(failure.to_string());
            return remember(agent, &name, tried).await;
        }
    };
    tried.job = Some(job);
    remember(agent, &name, tried.clone()).await?;
    let agent = agent.clone();
    tokio::spawn(async move {
        let _ = ended.await;
        let record = learned(&agent, job, tried, before).await;
        if let Err(failure) = remember(&agent, &name, record).await {
            tracing::error!(app = %name, chore = chore.name(), %failure, "cannot remember a chore");
        }
        drop(permit);
        agent.queue.look_again();
    });
    Ok(())
}

/// What is to be remembered of a run, by how its job ended.
async fn learned(agent: &Agent, job: JobId, tried: ChoreRecord, before: ChoreRecord) -> ChoreRecord {
    let record = agent.state.job(job).await.ok().flatten();
    let tried = ChoreRecord { job: Some(job), ..tried };
    match record.and_then(|record| record.outcome) {
        Some(Outcome::Done { .. } | Outcome::Released { .. }) => {
            ChoreRecord { failures: 0, why: None, ..tried }
        }
        Some(
            Outcome::Failed { failure }
            | Outcome::PutBack { failure, .. }
            | Outcome::NotPutBack { failure, .. },
        ) => ChoreRecord { why: Some(failure.to_string()), ..tried },
        // Neither done nor a failure: it is due as before.
        Some(Outcome::Postponed { .. }) => before,
        None | Some(Outcome::Unknown) => tried,
    }
}

async fn remember(agent: &Agent, app: &AppName, record: ChoreRecord) -> Result<(), Failure> {
    agent.state.record_chore(app, record).await.map_err(|e| failures::of_state(&e))
}
