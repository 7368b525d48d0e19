//! Containers: made anew where something changed, and left alone where nothing did.

use super::compose::{self, Stack};
use super::record::Lines;
use super::run::{Job, Ready};
use super::{Work, log_limits, scale, verify};
use crate::failures;
use std::collections::BTreeSet;
use std::time::Duration;
use wharf_engine::{Engine, Recreate, UpSpec};
use wharf_plan::facts::{ContainerFacts, ContainerState};
use wharf_proto::{Failure, FailureKind, Step};

/// How long a container may take to stop before it is killed.
pub const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// How many digits of a container's ID its successor's passing name begins with.
const PASSING_NAME_DIGITS: usize = 12;

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
        return scale::limit_memory(&job.agent.engine, &stack).await;
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
        let too_few = own.len() < service.replicas as usize;
        if too_few || forced.contains(&service.name) || !own.iter().all(|c| as_wanted(c)) {
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
    up_as(engine, stack, services, Recreate::All, timeout, lines).await
}

/// As [`up`], with containers made anew as `recreate` says.
///
/// # Errors
/// As [`up`].
pub async fn up_as(
    engine: &Engine,
    stack: &Stack,
    services: BTreeSet<String>,
    recreate: Recreate,
    timeout: Duration,
    lines: Lines,
) -> Result<(), Failure> {
    remove_half_made(engine, stack).await?;
    // On the heap: a debug build's stack is deep enough by here.
    let model = Box::pin(stack.model()).await?;
    Box::pin(log_limits::settle(engine, stack, &model)).await;
    let scale = scale::counts(stack, &services).await?;
    let spec = UpSpec { services: services.iter().cloned().collect(), recreate, scale, wait_limit: timeout };
    let on_line = |line: &str| {
        crate::crash::point("start.inside");
        lines.push(line);
    };
    let ended = stack.project().up(&spec, on_line).await;
    scale::limit_memory(engine, stack).await?;
    let Err(error) = ended else { return Ok(()) };
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

/// Compose makes a container's successor under a passing name, takes the old one away and renames the new. One that was
/// killed between leaves both, and every later `up` fails at the name that is taken. The successor never ran, and all that
/// it would have taken over is still the old one's: it goes.
async fn remove_half_made(engine: &Engine, stack: &Stack) -> Result<(), Failure> {
    for container in half_made(&stack.containers(engine).await?) {
        tracing::info!(container = container.name, "removing what an interrupted docker compose left");
        engine.remove_container(&container.id).await.map_err(|e| failures::of_engine(&e))?;
    }
    Ok(())
}

/// Successors that never ran, of containers that are still there: named by the first digits of the old one's ID and what
/// is to be their name.
fn half_made(containers: &[ContainerFacts]) -> impl Iterator<Item = &ContainerFacts> {
    containers.iter().filter(|successor| {
        let Some((id, _)) = successor.name.split_once('_') else { return false };
        let replaced = |c: &&ContainerFacts| {
            c.service == successor.service && c.id != successor.id && c.id.starts_with(id)
        };
        let is_id = id.len() == PASSING_NAME_DIGITS && id.bytes().all(|b| b.is_ascii_hexdigit());
        is_id && successor.state == ContainerState::Created && containers.iter().any(|c| replaced(&c))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str, name: &str, service: &str, state: ContainerState) -> ContainerFacts {
        serde_json::from_value(serde_json::json!({
            "id": id, "name": name, "service": service, "state": state, "project": "app", "config_hash": "",
            "working_dir": "", "config_files": [], "one_off": false, "image_id": "", "image": "", "health": null,
            "exit_code": null, "oom_killed": false, "restarts": 0, "started_at": null, "restart_policy": "no",
            "mounts": [],
        }))
        .unwrap()
    }

    #[test]
    fn only_a_successor_that_never_ran_beside_the_one_that_it_replaces_is_half_made() {
        let old = container("4e8383c619f7aa", "app-web-1", "web", ContainerState::Exited);
        let passing = "4e8383c619f7_app-web-1";
        let found = |containers: &[ContainerFacts]| -> Vec<String> {
            half_made(containers).map(|c| c.id.clone()).collect()
        };
        let made = || container("ce0679f7afdbe4", passing, "web", ContainerState::Created);
        assert_eq!(found(&[old.clone(), made()]), ["ce0679f7afdbe4"]);
        // The old one is gone: what it had is the successor's alone.
        assert_eq!(found(&[made()]), Vec::<String>::new());
        let runs = container("ce0679f7afdbe4", passing, "web", ContainerState::Running);
        assert_eq!(found(&[old.clone(), runs]), Vec::<String>::new());
        let other = container("ce0679f7afdbe4", passing, "api", ContainerState::Created);
        assert_eq!(found(&[old.clone(), other]), Vec::<String>::new());
        let named = container("ce0679f7afdbe4", "4e83_app-web-1", "web", ContainerState::Created);
        assert_eq!(found(&[old, named]), Vec::<String>::new());
    }
}
