//! The shape of an app's databases: its tables and columns. It is recorded with each release that goes live, so that a
//! rollback across a migration asks first, whoever migrated: `[[migrate]]`, or the app when it started.
//!
//! **Invariant**: databases are only looked at. A shape that cannot be told keeps nobody from anything.

use crate::agent::Agent;
use crate::failures;
use crate::jobs::database::{Database, databases_of};
use crate::outside::Visit;
use std::collections::BTreeMap;
use std::time::Duration;
use wharf_backup::sql;
use wharf_plan::facts::ContainerState;
use wharf_proto::database::DatabaseKind;
use wharf_proto::{AppName, AppSpec, Digest, Failure};

/// What all databases of an app may take to answer.
const LIMIT: Duration = Duration::from_secs(20);

/// Every column of every table and view that is the app's own.
const COLUMNS: &str = "SELECT table_schema, table_name, column_name, udt_name, is_nullable, column_default \
    FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema') \
    ORDER BY table_schema, table_name, column_name;\n";

/// The shape of the app's databases as they are; `None`: there are none, or one does not answer.
pub async fn shape(agent: &Agent, app: &AppName, spec: &AppSpec, project: &str) -> Option<String> {
    let looked = tokio::time::timeout(LIMIT, look(agent, app, spec, project)).await;
    looked.ok().flatten()
}

async fn look(agent: &Agent, app: &AppName, spec: &AppSpec, project: &str) -> Option<String> {
    let mut databases = all(agent, spec, project).await.ok()?;
    let mut visit = Visit::new(agent, spec);
    for database in databases.iter_mut().filter(|database| database.outside) {
        database.container = Some(visit.open(&database.service).await.ok()?.container);
    }
    databases.retain(|database| database.container.is_some());
    if databases.is_empty() {
        return None;
    }
    let mut text = String::new();
    for database in &databases {
        let container = database.container.as_ref().filter(|c| c.state == ContainerState::Running)?;
        let at = database.request(container);
        let columns = sql(&agent.config.docker, &agent.layout.repository(app), &at, COLUMNS).await.ok()?;
        for line in std::iter::once(&database.label).chain(&columns) {
            text.push_str(&format!("{}:{line}\n", line.len()));
        }
    }
    visit.close().await;
    Some(Digest::of(text.as_bytes()).to_string())
}

/// The app's PostgreSQL databases that have a container: those of the stack.
///
/// # Errors
/// The engine does not answer.
pub async fn databases(agent: &Agent, spec: &AppSpec, project: &str) -> Result<Vec<Database>, Failure> {
    let mut found = all(agent, spec, project).await?;
    found.retain(|database| database.container.is_some());
    Ok(found)
}

/// The app's PostgreSQL databases.
async fn all(agent: &Agent, spec: &AppSpec, project: &str) -> Result<Vec<Database>, Failure> {
    let containers = agent.engine.project_containers(project).await.map_err(|e| failures::of_engine(&e))?;
    let mut images = BTreeMap::new();
    for container in &containers {
        let image = agent.engine.image(&container.image_id).await.map_err(|e| failures::of_engine(&e))?;
        images.extend(image.map(|image| (container.image_id.clone(), image)));
    }
    let mut found = databases_of(spec, &containers, &images);
    found.retain(|database| database.kind == DatabaseKind::Postgres);
    Ok(found)
}
