//! Everything as it was: images, files, containers of the whole stack. Never data.
//!
//! **Invariant**: this works from the journal and from what Docker and the disk show now, never from what a job believed
//! to have done; so it may be run again after a crash within it.

use super::compose::{self, Stack};
use super::record::Record;
use super::run::Job;
use super::undo::{FileUndo, Undo};
use super::{files, role, start, verify};
use crate::failures;
use std::collections::BTreeSet;
use std::time::Duration;
use wharf_engine::{Engine, EngineError};
use wharf_plan::facts::{ContainerFacts, ContainerState};
use wharf_proto::{AppSpec, Failure, FailureKind, Outcome, Step};
use wharf_state::{Phase, PhaseEvent};

/// How often names are given back, and the old containers brought up: the engine may be starting, or still busy with what an
/// interrupted Compose asked of it.
const TRIES: u32 = 3;
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(3);

/// Ends a job that failed, by what it had done until then.
pub async fn after_failure(job: &Job, failure: Failure) -> Outcome {
    let phase = match job.agent.state.job(job.id).await {
        Ok(Some(record)) => record.phase,
        Ok(None) | Err(_) => Phase::Changing,
    };
    match phase {
        Phase::Preparing => before_any_change(job, failure).await,
        Phase::Committed | Phase::Done => Outcome::Released { release: job.release },
        Phase::Changing | Phase::PuttingBack => put_back(job, failure).await,
    }
}

/// Ends a job that failed before it changed anything but what names of images mean.
pub async fn before_any_change(job: &Job, failure: Failure) -> Outcome {
    match super::build::discard(job).await {
        Ok(()) => Outcome::Failed { failure },
        Err(put_back) => Outcome::NotPutBack { failure, put_back },
    }
}

async fn put_back(job: &Job, failure: Failure) -> Outcome {
    if let Err(error) = job.agent.state.set_phase(job.id, PhaseEvent::PutBack).await {
        return Outcome::NotPutBack { failure, put_back: failures::of_state(&error) };
    }
    let result = job.record.step(Step::PutBack, everything(job)).await;
    if let Err(failure) = super::build::discard(job).await {
        job.record.warn(failure.to_string()).await;
    }
    match result {
        Ok(live) => Outcome::PutBack { failure, live },
        Err(put_back) => Outcome::NotPutBack { failure, put_back: with_way_out(job, put_back).await },
    }
}

/// What a person needs who has to go on by hand.
async fn with_way_out(job: &Job, failure: Failure) -> Failure {
    let originals = job.beside.undo();
    let failure = failure.hint(format!("the originals of replaced files are in {}", originals.display()));
    match job.agent.state.last_backup(job.app()).await {
        Ok(Some(backup)) => failure.hint(format!(
            "the backup made before this deploy is {}, in {}",
            backup.id.short(),
            job.agent.layout.repository(job.app()).display()
        )),
        _ => failure,
    }
}

async fn everything(job: &Job) -> Result<Option<wharf_proto::ReleaseId>, Failure> {
    let entries = job.agent.state.undo_entries::<Undo>(job.id).await.map_err(|e| failures::of_state(&e))?;
    let entries: Vec<Undo> = entries.into_iter().map(|entry| entry.undo).collect();
    let before = entries.iter().find_map(|entry| match entry {
        Undo::Before { project, live, containers } => Some((project.clone(), *live, containers.clone())),
        Undo::File(_)
        | Undo::Role { .. }
        | Undo::Tag { .. }
        | Undo::Pin { .. }
        | Undo::Stopped { .. }
        | Undo::Held { .. } => None,
    });
    let Some((project, live, containers)) = before else {
        // The journal's first entry was never written, so nothing was changed.
        return Ok(None);
    };
    remove_one_offs(job).await?;
    crate::migrations::end_leftovers(job, &project).await;
    if containers.is_empty() {
        // Nothing ran: what the job started goes, by the files that it wrote, before those go too.
        take_down(&compose::in_place(job, &project), &job.record).await;
    }
    tags(job, &entries).await?;
    restore_files(job, &entries).await?;
    role::undo(job, &entries, &job.record).await;
    crate::crash::point("put_back.inside");
    if !containers.is_empty() {
        let spec = spec_of(job, live).await?;
        restart(job, &spec, &project, &containers).await?;
    }
    Ok(live)
}

/// As [`tags`], again and again for a while: that the engine does not answer may be why the job failed.
///
/// # Errors
/// As for [`tags`], where it goes on.
pub async fn tags_with_patience(job: &Job, entries: &[Undo]) -> Result<(), Failure> {
    for _ in 1..TRIES {
        if tags(job, entries).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(TRY_AGAIN_AFTER).await;
    }
    tags(job, entries).await
}

/// Gives names back to the images that had them. An image that has none then goes: it is one that the job was killed with
/// before it was given the release's own name.
///
/// # Errors
/// The engine does not answer, or an image that had a name is gone. The other names are back all the same.
pub async fn tags(job: &Job, entries: &[Undo]) -> Result<(), Failure> {
    let mut all = Ok(());
    for entry in entries.iter().rev() {
        let Undo::Tag { reference, before, .. } = entry else { continue };
        let back = name_back(&job.agent.engine, reference, before.as_deref()).await;
        all = all.and(back.map_err(|e| failures::of_engine(&e)));
    }
    all
}

async fn name_back(engine: &Engine, reference: &str, before: Option<&str>) -> Result<(), EngineError> {
    let now = engine.image(reference).await?;
    match before {
        Some(id) => engine.tag(id, reference).await?,
        None => {
            engine.untag(reference).await?;
        }
    }
    if let Some(now) = now {
        engine.remove_nameless(&now.id).await?;
    }
    Ok(())
}

async fn restore_files(job: &Job, entries: &[Undo]) -> Result<(), Failure> {
    let entries: Vec<FileUndo> = entries
        .iter()
        .filter_map(|entry| match entry {
            Undo::File(undo) => Some(undo.clone()),
            Undo::Before { .. }
            | Undo::Role { .. }
            | Undo::Tag { .. }
            | Undo::Pin { .. }
            | Undo::Stopped { .. }
            | Undo::Held { .. } => None,
        })
        .collect();
    let beside = job.beside.clone();
    failures::blocking(move || {
        files::undo(&entries, &beside).map_err(|e| Failure::from_error(FailureKind::Environment, &e))
    })
    .await
}

async fn spec_of(job: &Job, live: Option<wharf_proto::ReleaseId>) -> Result<AppSpec, Failure> {
    let Some(live) = live else { return Ok(job.spec.clone()) };
    let record = job.agent.state.release(job.app(), live).await.map_err(|e| failures::of_state(&e))?;
    Ok(record.map_or_else(|| job.spec.clone(), |record| record.spec))
}

/// Brings back the containers that ran, with the files and images that are back by now.
async fn restart(job: &Job, spec: &AppSpec, project: &str, before: &[ContainerFacts]) -> Result<(), Failure> {
    let engine = &job.agent.engine;
    let stack = compose::of(&job.agent, spec, project, &job.seat).as_it_ran(&job.agent);
    let model = stack.model().await?;
    for container in stack.containers(engine).await? {
        if model.service(&container.service).is_none()
            && !before.iter().any(|b| b.service == container.service)
        {
            engine.remove_container(&container.id).await.map_err(|e| failures::of_engine(&e))?;
        }
    }
    let ran: BTreeSet<String> =
        before.iter().filter(|c| c.state != ContainerState::Exited).map(|c| c.service.clone()).collect();
    // A container that the job made has seen the job's files, so it is made anew even where its definition is the same.
    let now = stack.containers(engine).await?;
    let replaced: BTreeSet<String> =
        now.iter().filter(|c| !before.iter().any(|b| b.id == c.id)).map(|c| c.service.clone()).collect();
    let timeout = Duration::from_secs(spec.verify.start_timeout_seconds.into());
    for left in (0..TRIES).rev() {
        let mut services = start::divergent(engine, &stack, &replaced).await?;
        services.retain(|service| ran.contains(service) || replaced.contains(service));
        if services.is_empty() {
            break;
        }
        let (stack, services) = (&stack, services);
        let up = |lines| async move { start::up(engine, stack, services, timeout, lines).await };
        match job.record.with_output(Step::PutBack, None, up).await {
            Ok(()) => break,
            Err(failure) if left == 0 => return Err(failure),
            Err(failure) => {
                job.record.warn(format!("the old containers did not come up, trying again: {failure}")).await;
                // The engine tells nobody when it has done what a Compose asked that was killed.
                tokio::time::sleep(TRY_AGAIN_AFTER).await;
            }
        }
    }
    let served = before
        .iter()
        .filter(|c| c.state == ContainerState::Running && c.health.as_deref() != Some("unhealthy"));
    let services: BTreeSet<String> = served.map(|c| c.service.clone()).collect();
    let expected = verify::Expected { project, spec, services: services.into_iter().collect() };
    verify::verify(engine, &expected).await
}

async fn take_down(stack: &Stack, record: &Record) {
    if let Err(error) = stack.project().down(start::STOP_PATIENCE, |_| ()).await {
        record.warn(format!("what the failed release started could not be taken down: {error}")).await;
    }
}

/// Ends what a migration left running when the agent died.
async fn remove_one_offs(job: &Job) -> Result<(), Failure> {
    let engine = &job.agent.engine;
    let label = format!("{}={}", compose::JOB_LABEL, job.label());
    for container in engine.containers_labelled(&label).await.map_err(|e| failures::of_engine(&e))? {
        engine.remove_container(&container.id).await.map_err(|e| failures::of_engine(&e))?;
    }
    Ok(())
}
