//! Scaling: other numbers of containers, other limits of memory, beside the Compose files and for every release to come.

use super::task::Undo;
use crate::agent::Agent;
use crate::failures;
use crate::jobs::compose::{self, Stack};
use crate::jobs::queue::Seat;
use crate::jobs::run::Job;
use crate::jobs::start;
use crate::jobs::verify::{self, Expected};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use wharf_engine::Recreate;
use wharf_plan::facts::ImageFacts;
use wharf_plan::scale::check_scales;
use wharf_proto::limits::{SCALE_MEMORY_BYTES, SCALE_REPLICAS};
use wharf_proto::operate::{ScaleChange, ServiceScale, memory_text};
use wharf_proto::{Failure, FailureKind, Outcome, Step};
use wharf_state::{AppRecord, Phase, PhaseEvent};

/// Refuses what cannot be, before there is a job.
///
/// # Errors
/// The refusal; files that Compose cannot read.
pub async fn check(
    agent: &Agent,
    app: &AppRecord,
    seat: &Seat,
    changes: &[ScaleChange],
) -> Result<(), Failure> {
    let config = |text: String| Failure::new(FailureKind::Config, text);
    if changes.is_empty() {
        return Err(config("no service was named".into()).hint("name one: wharf scale web=2"));
    }
    if app.live.is_none() {
        let text = format!("no release of {} is live", app.app);
        return Err(Failure::new(FailureKind::NotFound, text).hint("deploy: wharf deploy"));
    }
    let model = compose::of(agent, &app.spec, &app.project, seat).model().await?;
    let set = agent.state.scales(&app.app).await.map_err(|e| failures::of_state(&e))?;
    for change in changes {
        let service = &change.service;
        if model.service(service).is_none() && !forgets(change, &set) {
            let names: Vec<&str> = model.services().map(|service| service.name.as_str()).collect();
            return Err(Failure::new(FailureKind::NotFound, format!("there is no service called {service}"))
                .hint(format!("name one of: {}", names.join(", "))));
        }
        if change.replicas.is_some_and(|count| count > SCALE_REPLICAS) {
            return Err(config(format!("{service} can have at most {SCALE_REPLICAS} containers")));
        }
        if change.memory_bytes.is_some_and(|bytes| bytes < SCALE_MEMORY_BYTES) {
            let least = memory_text(SCALE_MEMORY_BYTES);
            return Err(config(format!("a container of {service} needs at least {least} of memory")));
        }
    }
    let mut images: BTreeMap<String, ImageFacts> = BTreeMap::new();
    for service in model.services() {
        let reference = model.image_reference(service);
        let image = agent.engine.image(&reference).await.map_err(|e| failures::of_engine(&e))?;
        images.extend(image.map(|image| (reference, image)));
    }
    let asked: Vec<ServiceScale> = changes.iter().map(|change| change.applied_to(None)).collect();
    let refusals = check_scales(&model, &asked, &|reference| images.get(reference).cloned());
    refusals.first().map_or(Ok(()), |refusal| Err(refusal.to_failure()))
}

/// Whether nothing is left of what is set for a service, which may then be gone from the Compose files.
fn forgets(change: &ScaleChange, set: &[ServiceScale]) -> bool {
    let before = set.iter().find(|scale| scale.service == change.service);
    before.is_some() && change.applied_to(before).is_empty()
}

/// Sets what was asked, brings the containers to it, and proves them healthy; a summary.
///
/// # Errors
/// A container does not start or become healthy: [`after_failure`] puts back what was set before.
pub async fn scale(job: &Job, project: &str, changes: &[ScaleChange]) -> Result<String, Failure> {
    let state = &job.agent.state;
    let before = state.scales(job.app()).await.map_err(|e| failures::of_state(&e))?;
    let after = changed(&before, changes);
    let services: Vec<String> = changes.iter().map(|change| change.service.clone()).collect();
    let undo =
        Undo::Scales { project: project.to_owned(), before: before.clone(), services: services.clone() };
    state.record_undo(job.id, [undo]).await.map_err(|e| failures::of_state(&e))?;
    state.set_phase(job.id, PhaseEvent::Change).await.map_err(|e| failures::of_state(&e))?;
    job.record.step(Step::Scale, bring(job, project, &before, &after, &services, Step::Scale)).await?;
    let expected =
        Expected { project, spec: &job.spec, services: with_containers(job, project, &services).await? };
    job.record.step(Step::Verify, verify::verify(&job.agent.engine, &expected)).await?;
    state.commit_job(job.id).await.map_err(|e| failures::of_state(&e))?;
    Ok(services.iter().map(|service| told(service, &after)).collect::<Vec<_>>().join("; "))
}

/// Ends a job that failed, by what it had done until then.
pub async fn after_failure(job: &Job, failure: Failure) -> Outcome {
    let record = job.agent.state.job(job.id).await.ok().flatten();
    match record.map_or(Phase::Changing, |record| record.phase) {
        Phase::Preparing => Outcome::Failed { failure },
        Phase::Committed | Phase::Done => Outcome::Done { summary: "scaled".to_owned() },
        Phase::Changing | Phase::PuttingBack => match put_back(job).await {
            Ok(()) => Outcome::PutBack { failure, live: Some(job.release) },
            Err(put_back) => Outcome::NotPutBack { failure, put_back },
        },
    }
}

async fn put_back(job: &Job) -> Result<(), Failure> {
    let state = &job.agent.state;
    let entries = state.undo_entries::<Undo>(job.id).await.map_err(|e| failures::of_state(&e))?;
    state.set_phase(job.id, PhaseEvent::PutBack).await.map_err(|e| failures::of_state(&e))?;
    let Some(Undo::Scales { project, before, services }) = entries.into_iter().next().map(|e| e.undo) else {
        return Ok(());
    };
    let after = state.scales(job.app()).await.map_err(|e| failures::of_state(&e))?;
    let work = async {
        bring(job, &project, &after, &before, &services, Step::PutBack).await?;
        let services = with_containers(job, &project, &services).await?;
        let expected = Expected { project: &project, spec: &job.spec, services };
        verify::healthy(&job.agent.engine, &expected).await
    };
    job.record.step(Step::PutBack, work).await
}

/// Records what is set from here on, and makes it so.
async fn bring(
    job: &Job,
    project: &str,
    from: &[ServiceScale],
    to: &[ServiceScale],
    services: &[String],
    step: Step,
) -> Result<(), Failure> {
    let engine = &job.agent.engine;
    let set = job.agent.state.set_scales(job.app(), to.to_vec()).await;
    set.map_err(|e| failures::of_state(&e))?;
    crate::crash::point("scale.inside");
    let stack = compose::in_place(job, project);
    let timeout = Duration::from_secs(job.spec.verify.start_timeout_seconds.into());
    // A limit can be changed on a container that runs, and cannot be taken from it: the Compose files' holds for a new one.
    let model = stack.model().await?;
    let there = services.iter().filter(|service| model.service(service).is_some()).cloned();
    let (anew, same): (BTreeSet<String>, BTreeSet<String>) =
        there.partition(|service| has_limit(from, service) && !has_limit(to, service));
    for (services, recreate) in [(anew, Recreate::All), (same, Recreate::Nothing)] {
        if services.is_empty() {
            continue;
        }
        let stack: &Stack = &stack;
        job.record
            .with_output(step, None, |lines| start::up_as(engine, stack, services, recreate, timeout, lines))
            .await?;
    }
    Ok(())
}

fn has_limit(scales: &[ServiceScale], service: &str) -> bool {
    scales.iter().any(|scale| scale.service == service && scale.memory_bytes.is_some())
}

/// Those of the services that are to have containers.
async fn with_containers(job: &Job, project: &str, services: &[String]) -> Result<Vec<String>, Failure> {
    let model = compose::in_place(job, project).model().await?;
    let wanted = |name: &&String| model.service(name).is_some_and(|service| service.replicas > 0);
    Ok(services.iter().filter(wanted).cloned().collect())
}

/// What is set after the changes; services for which nothing is set are left out.
fn changed(before: &[ServiceScale], changes: &[ScaleChange]) -> Vec<ServiceScale> {
    let mut scales: BTreeMap<String, ServiceScale> =
        before.iter().map(|scale| (scale.service.clone(), scale.clone())).collect();
    for change in changes {
        let scale = change.applied_to(scales.get(&change.service));
        scales.insert(change.service.clone(), scale);
    }
    scales.into_values().filter(|scale| !scale.is_empty()).collect()
}

fn told(service: &str, scales: &[ServiceScale]) -> String {
    let scale = scales.iter().find(|scale| scale.service == service);
    let count = scale.and_then(|scale| scale.replicas).map(|count| match count {
        1 => "1 container".to_owned(),
        count => format!("{count} containers"),
    });
    let memory = scale
        .and_then(|scale| scale.memory_bytes)
        .map(|bytes| format!("at most {} of memory each", memory_text(bytes)));
    let parts: Vec<String> = count.into_iter().chain(memory).collect();
    match parts.is_empty() {
        true => format!("{service}: as the Compose files say"),
        false => format!("{service}: {}", parts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(service: &str, replicas: Option<u32>, memory_bytes: Option<u64>) -> ServiceScale {
        ServiceScale { service: service.into(), replicas, memory_bytes }
    }

    #[test]
    fn what_is_set_can_be_forgotten_where_nothing_else_is_asked() {
        let set = [scale("worker", Some(0), None)];
        let change = |service: &str, reset, replicas| ScaleChange {
            service: service.into(),
            reset,
            replicas,
            memory_bytes: None,
        };
        assert!(forgets(&change("worker", true, None), &set));
        for other in
            [change("worker", true, Some(1)), change("worker", false, None), change("db", true, None)]
        {
            assert!(!forgets(&other, &set), "{other:?}");
        }
    }

    #[test]
    fn changes_are_merged_and_what_is_reset_is_left_out() {
        let before = [scale("api", Some(2), None), scale("web", None, Some(512 << 20))];
        let change = |service: &str, reset, replicas| ScaleChange {
            service: service.into(),
            reset,
            replicas,
            memory_bytes: None,
        };
        let after = changed(&before, &[change("web", false, Some(3)), change("api", true, None)]);
        assert_eq!(after, [scale("web", Some(3), Some(512 << 20))]);
        insta::assert_snapshot!(told("web", &after), @"web: 3 containers, at most 512 MiB of memory each");
        insta::assert_snapshot!(told("api", &after), @"api: as the Compose files say");
    }
}
