//! Containers that asked to be removed when they end, and whose volumes stay.
//!
//! **Invariants**
//! - A container is removed here only without its volumes, only after it has ended (or failed to start), and only if it bears the
//!   guard's label.
//! - The wait for its end is open before its maker learns its ID, so no end is missed; what a stopped guard missed, the next one
//!   finds by the label.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use serde_json::Value;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::Engine;
use crate::error::GuardError;
use crate::facts::KEEP_LABEL;
use crate::lookup;

/// Between two tries, while the engine does not answer.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Removes containers in the engine's place.
#[derive(Debug, Clone)]
pub struct Removals {
    engine: Engine,
    restarts: Arc<RwLock<()>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Removals {
    /// Removals on one engine, until stopped.
    pub fn new(engine: Engine, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self { engine, restarts: Arc::default(), tasks, stop }
    }

    /// While this is held, nothing is removed: a container that restarts has ended for a moment.
    pub async fn pause(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.restarts).read_owned().await
    }

    /// Takes over what an earlier guard left, as soon as the engine answers. Nobody has to wait for it.
    pub fn resume(&self) {
        let this = self.clone();
        self.tasks.spawn(async move {
            let mut pause = RETRY_FIRST;
            while let Err(why) = this.find_left().await {
                tracing::warn!(%why, "cannot look for containers that an earlier guard left; trying again");
                tokio::select! {
                    () = this.stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(RETRY_MAX),
                }
            }
        });
    }

    async fn find_left(&self) -> Result<(), GuardError> {
        let filters = format!("%7B%22label%22%3A%5B%22{KEEP_LABEL}%22%5D%7D");
        let path = format!("/containers/json?all=1&filters={filters}");
        let listed = tokio::select! {
            () = self.stop.cancelled() => return Ok(()),
            listed = self.engine.get(&path) => listed?,
        };
        let listed = listed.as_ref().and_then(Value::as_array).into_iter().flatten();
        for id in listed.filter_map(|container| container.get("Id")?.as_str()) {
            self.spawn(id.to_owned(), None);
        }
        Ok(())
    }

    /// Sees a new container through to its end. Returns once its end cannot be missed any more.
    pub async fn attend(&self, id: &str) -> Result<(), GuardError> {
        let wait = self.engine.wait_next_exit(id).await?;
        self.spawn(id.to_owned(), Some(wait));
        Ok(())
    }

    /// Looks at a container that did not start: one that the guard removes goes now, as it would with the engine.
    pub async fn failed_to_start(&self, name: &str) -> Result<(), GuardError> {
        match lookup::container(&self.engine, name).await? {
            Some(fact) if fact.kept && (fact.ended() || fact.status == "created") => {
                self.remove(&fact.id).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    fn spawn(&self, id: String, wait: Option<Response<Incoming>>) {
        let this = self.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = this.stop.cancelled() => {}
                () = this.see_through(&id, wait) => {}
            }
        });
    }

    async fn see_through(&self, id: &str, mut wait: Option<Response<Incoming>>) {
        let mut pause = RETRY_FIRST;
        loop {
            match self.try_once(id, wait.take()).await {
                Ok(true) => return,
                Ok(false) => pause = RETRY_FIRST,
                Err(why) => {
                    tracing::warn!(container = id, %why, "cannot remove a container that ended; trying again");
                    pause = (pause * 2).min(RETRY_MAX);
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits for one end and removes. `Ok(false)`: it runs again, or the engine went away meanwhile.
    async fn try_once(&self, id: &str, wait: Option<Response<Incoming>>) -> Result<bool, GuardError> {
        let wait = match wait {
            Some(wait) => wait,
            None => self.engine.wait_next_exit(id).await?,
        };
        if wait.status() == StatusCode::NOT_FOUND {
            return Ok(true);
        }
        if !wait.status().is_success() {
            return Err(GuardError::Answer {
                what: format!("the wait for {id}"),
                status: wait.status().as_u16(),
            });
        }
        match lookup::container(&self.engine, id).await? {
            None => return Ok(true),
            Some(fact) if fact.ended() => return self.remove(id).await,
            Some(_) => {}
        }
        // An error here is the engine going down; the container is looked at again in any case.
        let _ = wait.into_body().collect().await;
        self.remove(id).await
    }

    async fn remove(&self, id: &str) -> Result<bool, GuardError> {
        let _no_restart_in_progress = self.restarts.write().await;
        let Some(fact) = lookup::container(&self.engine, id).await? else {
            return Ok(true);
        };
        if !fact.kept || !(fact.ended() || fact.status == "created") {
            return Ok(!fact.kept);
        }
        let status = self.engine.remove_container(&fact.id, false).await?;
        if status.is_success() {
            tracing::info!(container = id, volumes = ?fact.anonymous_volumes, "kept the anonymous volumes of a container run with --rm");
        }
        // A conflict is somebody else removing it, or starting it again: look anew.
        Ok(status.is_success() || status == StatusCode::NOT_FOUND)
    }
}
