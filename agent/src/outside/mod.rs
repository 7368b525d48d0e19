//! Databases outside the stack: a managed server, one of the machine's own, a container of another project.
//!
//! Whatever asks a database runs programs in its container. One outside the stack has none of the app's, so it gets a
//! **toolbox**: a container of the image that `wharf.toml` names, with the server's address in its environment. Inside it
//! the database is asked as any other is ([`crate::jobs::database::Database::container`]).
//!
//! **Invariants**
//! - The URL is read from the env file when it is needed, and kept nowhere. Its password goes into the toolbox's memory
//!   ([`wharf_engine::toolbox`]); no error, event, log line or label has it.
//! - A job's toolboxes are gone when it is over ([`close`]), those of a question when it was answered ([`Visit`]). After a
//!   crash, recovery ends the job, and [`clear_left`] what questions left.

mod address;
mod ask;
mod check;
mod probe;
mod visit;

pub use ask::{Asker, Opened};
pub use check::{check_plan, check_spec};
pub use visit::{Visit, clear_left};

use crate::failures;
use crate::jobs::compose::JOB_LABEL;
use crate::jobs::database::Database;
use crate::jobs::run::Job;
use wharf_proto::spec::OutsideSpec;
use wharf_proto::{AppSpec, Failure};

/// The app's server outside the stack that is called so, by the key of its URL.
pub fn find<'a>(spec: &'a AppSpec, server: &str) -> Option<&'a OutsideSpec> {
    spec.postgres.iter().filter_map(|one| one.outside.as_ref()).find(|outside| outside.url_env == server)
}

/// Opens those of the databases that are outside the stack, for as long as the job runs.
///
/// # Errors
/// One cannot be reached.
pub async fn attach(job: &Job, databases: &[Database]) -> Result<Vec<Database>, Failure> {
    let mut all = databases.to_vec();
    for database in all.iter_mut().filter(|database| database.outside && database.container.is_none()) {
        database.container = Some(Asker::of_job(job).open(&database.service).await?.container);
    }
    Ok(all)
}

/// Removes the toolboxes of a job that is over.
pub async fn close(job: &Job) {
    if !job.spec.postgres.iter().any(|one| one.outside.is_some()) {
        return;
    }
    let engine = &job.agent.engine;
    let removed = async {
        for container in engine.containers_labelled(&format!("{JOB_LABEL}={}", job.label())).await? {
            if container.name.starts_with(&Asker::of_job(job).prefix()) {
                engine.remove_container(&container.id).await?;
            }
        }
        Ok(())
    };
    if let Err(error) = removed.await {
        job.record.warn(format!("a container of this job is left: {}", failures::of_engine(&error))).await;
    }
}
