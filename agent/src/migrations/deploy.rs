//! A folder's part in a deploy.

use super::place::{Place, Run};
use super::{folders, refuse, source};
use crate::data;
use crate::failures;
use crate::jobs::compose;
use crate::jobs::plan;
use crate::jobs::run::Job;
use crate::jobs::{Work, start};
use crate::outside::{self, Asker};
use std::collections::BTreeSet;
use std::time::Duration;
use wharf_migrations::{Move, judge};
use wharf_plan::facts::ContainerState;
use wharf_proto::database::DatabaseKind;
use wharf_proto::spec::MigrateSpec;
use wharf_proto::{Failure, FailureKind, RelPath, Step};

/// Whom a database that names no user is asked for.
const DEFAULT_USER: &str = "postgres";

/// Applies what is pending of a folder, file by file. The database is started where it does not run yet.
///
/// # Errors
/// The first file that fails; what was edited after it was applied. Which were applied before is said.
pub async fn run(
    job: &Job,
    work: &Work,
    planned: &plan::Planned,
    one: &MigrateSpec,
    folder: &RelPath,
) -> Result<(), Failure> {
    let (agent, app) = (&job.agent, job.app());
    let migrations = source::read(&agent.blobs, &work.manifest, folder).await?;
    let place = match outside::find(&job.spec, &one.service) {
        Some(_) => {
            // The job's toolbox was opened for the backup, by the URL that there was before.
            outside::close(job).await;
            let opened = Asker::of_job(job).open(&one.service).await?;
            Place::of_opened(&job.spec, one, opened)?
        }
        None => Place::of(&job.spec, one, &container(job, planned, one).await?)?,
    };
    place.quiet(agent, app).await?;
    let ledger = place.ledger(agent, app).await?;
    let judged = judge(&source::checksums(&migrations), &ledger.applied);
    refuse(&judged, folder, &place.table)?;
    let release = job.release.to_string();
    let mut applied: Vec<&str> = Vec::new();
    for migration in migrations.iter().filter(|migration| judged.pending.contains(&migration.name)) {
        let run = Run {
            name: &migration.name,
            script: &migration.script,
            way: Move::Up { release: &release },
            limit: Duration::from_secs(one.timeout_seconds.into()),
        };
        place
            .run(agent, app, &ledger.schema, &run)
            .await
            .map_err(|failure| with_applied(failure, &applied))?;
        job.record.note(format!("{} was applied to {}", migration.name, ledger.database)).await;
        applied.push(&migration.name);
        crate::crash::point("migrate.inside");
    }
    if applied.is_empty() {
        job.record.note(format!("nothing of {folder} was pending in {}", ledger.database)).await;
    }
    Ok(())
}

/// Says what stays applied.
pub fn with_applied(failure: Failure, applied: &[&str]) -> Failure {
    let failure = match applied {
        [] => failure.cause("no other file was applied before it by this job"),
        applied => {
            failure.cause(format!("applied before it by this job, and still applied: {}", applied.join(", ")))
        }
    };
    failure.hint("correct the file and deploy again: what is applied is not run again")
}

/// The container of the database, running.
async fn container(job: &Job, planned: &plan::Planned, one: &MigrateSpec) -> Result<String, Failure> {
    let stack = compose::in_place(job, &planned.project);
    let runs = async || {
        let containers = stack.containers(&job.agent.engine).await?;
        let mut own = containers.into_iter().filter(|container| container.service == one.service);
        Ok::<_, Failure>(own.find(|container| container.state == ContainerState::Running))
    };
    if let Some(container) = runs().await? {
        return Ok(container.id);
    }
    let state = &job.agent.state;
    // As when a release starts: whatever becomes of it, the volume is this app's from here on.
    state.add_volumes(job.app(), planned.volumes.clone()).await.map_err(|e| failures::of_state(&e))?;
    let limit = Duration::from_secs(job.spec.verify.start_timeout_seconds.into());
    let services = BTreeSet::from([one.service.clone()]);
    let (engine, stack) = (&job.agent.engine, &stack);
    let up = |lines| async move { start::up(engine, stack, services, limit, lines).await };
    job.record.with_output(Step::Migrate, Some(&one.service), up).await?;
    let not_there = |why: String| {
        Failure::new(FailureKind::Start, format!("the database of {} did not start", one.service)).cause(why)
    };
    let container = runs().await?.ok_or_else(|| not_there("it has no container that runs".to_owned()))?;
    let user = wharf_migrations::postgres_of(&job.spec, one).ok().and_then(|found| found.user.as_deref());
    let probe = data::probe(DatabaseKind::Postgres, user.unwrap_or(DEFAULT_USER));
    let answers = data::answers(engine, &container.id, probe).await?;
    answers.map_err(not_there)?;
    Ok(container.id)
}

/// Ends what a migration of a killed agent's left running in the databases. What cannot be ended is told.
pub async fn end_leftovers(job: &Job, project: &str) {
    let containers = compose::in_place(job, project).containers(&job.agent.engine).await.unwrap_or_default();
    for (one, _) in folders(&job.spec) {
        let place = match outside::find(&job.spec, &one.service) {
            Some(_) => match Asker::of_job(job).open(&one.service).await {
                Ok(opened) => Place::of_opened(&job.spec, one, opened),
                Err(failure) => Err(failure),
            },
            None => {
                let mut own = containers.iter().filter(|container| container.service == one.service);
                let runs = own.find(|container| container.state == ContainerState::Running);
                let Some(container) = runs else { continue };
                Place::of(&job.spec, one, &container.id)
            }
        };
        let place = match place {
            Ok(place) => place,
            Err(failure) => {
                let text =
                    format!("whether a migration still runs in {} cannot be told: {failure}", one.service);
                job.record.warn(text).await;
                continue;
            }
        };
        if let Err(failure) = place.quiet(&job.agent, job.app()).await {
            job.record.warn(format!("a migration may still run in {}: {failure}", one.service)).await;
        }
    }
}
