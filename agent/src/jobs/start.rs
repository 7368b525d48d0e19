//! Containers: made anew where something changed, and left alone where nothing did.

use super::compose::{self, Stack};
use super::record::Lines;
use super::run::{Job, Ready};
use super::{Work, verify};
use crate::failures;
use std::collections::BTreeSet;
use std::time::Duration;
use wharf_engine::{Engine, UpSpec};
use wharf_plan::facts::{ContainerFacts, ContainerState};
use wharf_proto::{Failure, FailureKind, Step};

/// How long a container may take to stop before it is killed.
pub const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// Starts the release: services that changed are recreated, services that are gone are stopped. No volume is touched.
///
/// # Errors
/// Compose fails, or a container does.
pub async fn start(job: &Job, work: &Work, ready: &Ready) -> Result<(), Failure> {
    let planned = &ready.planned;
    let state = &job.agent.state;
    // From here on these volumes and versions are this app's, whatever becomes of the release.
    state.add_volumes(job.app(), planned.volumes.clone()).await.map_err(|e| failures::of_state(&e))?;
    state.record_versions(job.app(), planned.highest.clone()).await.map_err(|e| failures::of_state(&e))?;

    remove_vanished(job, ready).await?;
    let stack = compose::in_place(job, &planned.project);
    let changed = divergent(&job.agent.engine, &stack, &planned.forced).await?;
    if changed.is_empty() {
        job.record.note("no container had to be recreated").await;
        return Ok(());
    }
    let timeout = Duration::from_secs(work.spec.verify.start_timeout_seconds.into());
    job.record
        .with_output(Step::Start, None, |lines| async move {
            up(&job.agent.engine, &stack, changed, timeout, lines).await
        })
        .await
}

/// Services of the model whose containers are not what the model, its images and `forced` say they should be. A one-shot
/// that did its work is left alone.
///
/// # Errors
/// Compose or the engine does not answer.
pub async fn divergent(
    engine: &Engine,
    stack: &Stack,
    forced: &BTreeSet<String>,
) -> Result<BTreeSet<String>, Failure> {
    let model = stack.model().await?;
    let hashes = stack.config_hashes().await?;
    let containers = stack.containers(engine).await?;
    let mut divergent = BTreeSet::new();
    for service in model.services().filter(|service| service.replicas > 0) {
        let image =
            engine.image(&model.image_reference(service)).await.map_err(|e| failures::of_engine(&e))?;
        let hash = hashes.get(&service.name);
        let as_wanted = |c: &ContainerFacts| {
            let serves = c.state == ContainerState::Running || verify::is_done(c);
            serves
                && Some(&c.config_hash) == hash
                && image.as_ref().is_some_and(|image| image.id == c.image_id)
        };
        let own: Vec<_> = containers.iter().filter(|c| c.service == service.name).collect();
        if own.is_empty() || forced.contains(&service.name) || !own.iter().all(|c| as_wanted(c)) {
            divergent.insert(service.name.clone());
        }
    }
    Ok(divergent)
}

/// `docker compose up` of these services, and of nothing else.
///
/// # Errors
/// [`FailureKind::Start`] with what Compose wrote, unless the only thing that it complains of is a one-shot that did its work.
pub async fn up(
    engine: &Engine,
    stack: &Stack,
    services: BTreeSet<String>,
    timeout: Duration,
    lines: Lines,
) -> Result<(), Failure> {
    let spec =
        UpSpec { services: services.iter().cloned().collect(), force_recreate: true, wait_limit: timeout };
    let on_line = |line: &str| {
        crate::crash::point("start.inside");
        lines.push(line);
    };
    let Err(error) = stack.project().up(&spec, on_line).await else { return Ok(()) };
    let containers = stack.containers(engine).await?;
    let serves = |c: &ContainerFacts| c.state == ContainerState::Running || verify::is_done(c);
    let own = containers.iter().filter(|c| services.contains(&c.service));
    let done = containers.iter().any(|c| services.contains(&c.service) && verify::is_done(c));
    // `--wait` fails when a container ends, also when ending was its work. Whether the others are healthy is then for
    // the next step to find out.
    if done && own.clone().count() >= services.len() && own.clone().all(serves) {
        return Ok(());
    }
    Err(Failure::from_error(FailureKind::Start, &error))
}

async fn remove_vanished(job: &Job, ready: &Ready) -> Result<(), Failure> {
    let engine = &job.agent.engine;
    for container in &ready.planned.before {
        if ready.planned.model.service(&container.service).is_some() {
            continue;
        }
        job.record
            .note(format!(
                "the release has no service {}: its container goes, its volumes stay",
                container.service
            ))
            .await;
        engine.stop(&container.id, STOP_PATIENCE).await.map_err(|e| failures::of_engine(&e))?;
        engine.remove_container(&container.id).await.map_err(|e| failures::of_engine(&e))?;
    }
    Ok(())
}
