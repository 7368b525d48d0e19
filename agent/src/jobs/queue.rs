//! One job at a time an app; different apps side by side.
//!
//! **Invariants**: a [`Seat`] is held from before a job looks at the app until after its last event. It is two locks: one in
//! memory, for which others wait in turn, and one on a file that the agent's children hold too, so that a new agent cannot
//! begin while a child of a killed one still acts.

use crate::agent::Agent;
use std::collections::HashMap;
use std::os::unix::fs::DirBuilderExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use wharf_engine::{AppLock, Supervisor};
use wharf_proto::{AppName, Failure, FailureKind, JobId};

/// How long a leftover child of a former agent may take to end. They are killed; this bounds how long that can hang.
const CHILDREN_GONE_WITHIN: Duration = Duration::from_secs(60);

/// Which apps have a job.
#[derive(Default)]
pub struct Queue {
    apps: Mutex<HashMap<AppName, Arc<tokio::sync::Mutex<()>>>>,
    running: Mutex<HashMap<AppName, JobId>>,
}

/// The right to change one app.
pub struct Seat {
    _turn: OwnedMutexGuard<()>,
    _lock: AppLock,
    /// Starts the job's children, which hold the lock too.
    pub supervisor: Arc<Supervisor>,
    app: AppName,
    queue: Arc<Queue>,
}

impl Queue {
    /// The job that runs for `app`.
    pub fn running(&self, app: &AppName) -> Option<JobId> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).get(app).copied()
    }

    fn turn(&self, app: &AppName) -> Arc<tokio::sync::Mutex<()>> {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(apps.entry(app.clone()).or_default())
    }
}

impl Seat {
    /// Names the job that the seat was taken for.
    pub fn runs(&self, job: JobId) {
        let mut running = self.queue.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(self.app.clone(), job);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.queue.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.app);
    }
}

/// Says early that the seat is taken, for those who would not wait for it.
///
/// # Errors
/// [`FailureKind::Busy`].
pub fn check(agent: &Agent, app: &AppName, wait_seconds: u32) -> Result<(), Failure> {
    if wait_seconds == 0 && agent.queue.running(app).is_some() {
        return Err(busy(agent, app, wait_seconds));
    }
    Ok(())
}

/// Takes the seat of `app`, waiting at most `wait_seconds` for the job that has it.
///
/// # Errors
/// [`FailureKind::Busy`] where it is still taken then.
pub async fn take(agent: &Agent, app: &AppName, wait_seconds: u32) -> Result<Seat, Failure> {
    let turn = agent.queue.turn(app);
    let turn = match Arc::clone(&turn).try_lock_owned() {
        Ok(turn) => turn,
        Err(_) if wait_seconds == 0 => return Err(busy(agent, app, wait_seconds)),
        Err(_) => tokio::time::timeout(Duration::from_secs(wait_seconds.into()), turn.lock_owned())
            .await
            .map_err(|_| busy(agent, app, wait_seconds))?,
    };
    let lock = lock_file(agent, app).await?;
    let supervisor = Supervisor::new(agent.program.as_ref(), Some(&lock))
        .map_err(|e| Failure::from_error(FailureKind::Environment, &e))?;
    Ok(Seat {
        _turn: turn,
        _lock: lock,
        supervisor: Arc::new(supervisor),
        app: app.clone(),
        queue: Arc::clone(&agent.queue),
    })
}

async fn lock_file(agent: &Agent, app: &AppName) -> Result<AppLock, Failure> {
    let path = agent.layout.app_lock(app);
    let folder = path.parent().unwrap_or(agent.layout.state()).to_owned();
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|e| {
        Failure::from_error(FailureKind::Environment, &e)
            .hint(format!("look at the folder {}", folder.display()))
    })?;
    AppLock::acquire(&path, CHILDREN_GONE_WITHIN).await.map_err(|e| {
        Failure::from_error(FailureKind::Busy, &e)
            .cause(format!("a process of a former job of {app} still runs"))
            .hint("look for `wharfd internal run` on the server and end it")
    })
}

fn busy(agent: &Agent, app: &AppName, waited_seconds: u32) -> Failure {
    let job = agent.queue.running(app).map_or_else(String::new, |job| format!(" (job {job})"));
    let waited = if waited_seconds == 0 { String::new() } else { format!(" after {waited_seconds} seconds") };
    Failure::new(FailureKind::Busy, format!("another deploy of {app} is running{job}{waited}"))
        .cause("one job at a time may change an app")
        .hint("wait for it with --lock-wait SECONDS")
        .hint("watch it with: wharf deploy --attach")
}
