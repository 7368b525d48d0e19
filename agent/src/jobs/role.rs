//! The password of a database's role, changed together with the env file, and back with it.
//!
//! **Invariants**: the journal holds the role and the key, never a password: undoing takes the value from the env file,
//! which is put back first. No password is in an argument list, an event or an error, nor in the server's own log.

use super::compose;
use super::record::Record;
use super::run::Job;
use super::undo::Undo;
use crate::data::Address;
use crate::failures;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wharf_proto::database::DatabaseKind;
use wharf_proto::{Failure, FailureKind};

/// Whose password changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleChange {
    /// The database's service.
    pub service: String,
    pub user: String,
    /// The key of the env file that holds the password.
    pub key: String,
}

/// Gives the role the password that the env file holds by now.
///
/// # Errors
/// The database does not run or does not take it.
pub async fn change(job: &Job, project: &str, role: &RoleChange) -> Result<(), Failure> {
    let undo = Undo::Role { project: project.to_owned(), role: role.clone() };
    job.agent.state.record_undo(job.id, [undo]).await.map_err(|e| failures::of_state(&e))?;
    alter(job, project, role).await?;
    job.record.note(format!("the role {} of {} has its new password", role.user, role.service)).await;
    Ok(())
}

/// Gives the roles back the passwords of the env file that is in place again. What cannot be done is told: whether the
/// old release runs is seen afterwards.
pub async fn undo(job: &Job, entries: &[Undo], record: &Record) {
    for entry in entries.iter().rev() {
        let Undo::Role { project, role } = entry else { continue };
        if let Err(failure) = alter(job, project, role).await {
            let text = format!("the password of {} in {} could not be put back", role.user, role.service);
            record.warn(format!("{text}: {failure}")).await;
        }
    }
}

async fn alter(job: &Job, project: &str, role: &RoleChange) -> Result<(), Failure> {
    let values: BTreeMap<String, String> =
        compose::env_values(&job.agent, &job.spec, &job.beside, &job.seat).await?;
    let Some(password) = values.get(&role.key) else {
        return Err(Failure::new(FailureKind::Internal, format!("{} is not in the env file", role.key)));
    };
    let stack = compose::in_place(job, project);
    let containers = stack.containers(&job.agent.engine).await?;
    let Some(container) = containers.into_iter().find(|container| container.service == role.service) else {
        return Err(Failure::new(FailureKind::Start, format!("{} has no container", role.service))
            .hint(format!("start it: docker compose up -d {}", role.service)));
    };
    let address = Address {
        kind: DatabaseKind::Postgres,
        service: role.service.clone(),
        container: container.id,
        user: Some(role.user.clone()),
        home: None,
        stand_in: None,
    };
    let altered = address.set_password(&job.agent, job.app(), &role.user, password).await;
    altered.map_err(|failure| without(failure, password))
}

/// `psql` may quote what it was given.
fn without(failure: Failure, password: &str) -> Failure {
    let strike = |text: String| text.replace(password, "…");
    Failure {
        kind: failure.kind,
        message: strike(failure.message),
        causes: failure.causes.into_iter().map(strike).collect(),
        hints: failure.hints,
    }
}
