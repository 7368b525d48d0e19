//! Toolboxes for a question that is no job.

use super::{Asker, Opened};
use crate::agent::Agent;
use std::collections::BTreeMap;
use wharf_engine::Engine;
use wharf_proto::{AppSpec, Failure};

/// By which what a killed agent's questions left is found; with the app, since another agent on the same engine has others.
const LABEL: &str = "dev.wharf.ask";

/// The servers outside the stack that a question has opened. They are closed when it is dropped.
pub struct Visit<'a> {
    agent: &'a Agent,
    spec: &'a AppSpec,
    opened: BTreeMap<String, Opened>,
    guard: Guard,
}

struct Guard {
    engine: Engine,
    containers: Vec<String>,
}

impl<'a> Visit<'a> {
    pub fn new(agent: &'a Agent, spec: &'a AppSpec) -> Self {
        let guard = Guard { engine: agent.engine.clone(), containers: Vec::new() };
        Self { agent, spec, opened: BTreeMap::new(), guard }
    }

    /// Opens a server, by the key of its URL.
    ///
    /// # Errors
    /// As [`Asker::open`].
    pub async fn open(&mut self, server: &str) -> Result<Opened, Failure> {
        if let Some(opened) = self.opened.get(server) {
            return Ok(opened.clone());
        }
        let label = (LABEL.to_owned(), self.spec.app.to_string());
        let asker = Asker::of_question(self.agent, self.spec, label);
        // Its name, since whoever stops waiting stops before there is an ID.
        self.guard.containers.push(format!("{}{server}", asker.prefix()));
        let opened = asker.open(server).await?;
        self.opened.insert(server.to_owned(), opened.clone());
        Ok(opened)
    }

    /// Removes what was opened, before whoever asked is answered.
    pub async fn close(mut self) {
        remove(&self.guard.engine, std::mem::take(&mut self.guard.containers)).await;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let containers = std::mem::take(&mut self.containers);
        if !containers.is_empty() {
            let engine = self.engine.clone();
            tokio::spawn(async move { remove(&engine, containers).await });
        }
    }
}

async fn remove(engine: &Engine, containers: Vec<String>) {
    for container in containers {
        if let Err(error) = engine.remove_container(&container).await {
            // It is found at the next start of the agent, and ends by itself some day.
            tracing::warn!(%error, "a container that a question needed is left");
        }
    }
}

/// Removes what questions of an agent that was killed have left.
pub async fn clear_left(agent: &Agent) {
    let apps = match agent.state.apps().await {
        Ok(apps) => apps,
        Err(error) => return tracing::error!(%error, "cannot list the apps"),
    };
    for app in apps.iter().filter(|app| app.spec.postgres.iter().any(|one| one.outside.is_some())) {
        let found = agent.engine.containers_labelled(&format!("{LABEL}={}", app.app)).await;
        let containers = found.unwrap_or_default().into_iter().map(|container| container.id).collect();
        remove(&agent.engine, containers).await;
    }
}
