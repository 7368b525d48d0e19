//! Restarts: the same containers, stopped and started again, each after what it depends on.
//!
//! Nothing has to be put back: a container is stopped and started by one call to the engine, which carries it out also
//! where the agent dies meanwhile.

use crate::failures;
use crate::jobs::compose;
use crate::jobs::run::Job;
use crate::jobs::verify::{self, Expected};
use wharf_plan::facts::ContainerFacts;
use wharf_proto::{Failure, FailureKind, Step};

/// Restarts the containers of these services (none: of all that are not done), and proves them healthy; a summary.
///
/// # Errors
/// One does not start or does not become healthy: the release is the same as before.
pub async fn restart(job: &Job, project: &str, services: &[String]) -> Result<String, Failure> {
    let containers = wanted(job, project, services).await?;
    let mut names: Vec<String> = containers.iter().map(|container| container.service.clone()).collect();
    names.dedup();
    job.record.step(Step::Restart, each(job, project, &containers)).await?;
    let expected = Expected { project, spec: &job.spec, services: names.clone() };
    let verified = job.record.step(Step::Verify, verify::verify(&job.agent.engine, &expected)).await;
    verified.map_err(|failure| {
        failure.hint("the containers are those of before; another release is a rollback away: wharf releases")
    })?;
    Ok(format!("restarted: {}", names.join(", ")))
}

/// The containers in the order in which they are restarted.
async fn wanted(job: &Job, project: &str, services: &[String]) -> Result<Vec<ContainerFacts>, Failure> {
    let containers = job.agent.engine.project_containers(project).await;
    let mut containers = containers.map_err(|e| failures::of_engine(&e))?;
    containers.retain(|container| {
        let named = services.contains(&container.service);
        let meant = services.is_empty() && !verify::is_done(container);
        !container.one_off && (named || meant)
    });
    if containers.is_empty() {
        return Err(Failure::new(FailureKind::NotFound, "there is no container to restart"));
    }
    match compose::in_place(job, project).model().await {
        Ok(model) => {
            let order: Vec<&str> = model.start_order().iter().map(|s| s.name.as_str()).collect();
            containers.sort_by_key(|container| order.iter().position(|name| *name == container.service));
        }
        Err(failure) => {
            job.record.warn(format!("the Compose files cannot be read: {failure}; restarting by name")).await;
        }
    }
    Ok(containers)
}

/// One after the other. Where a service has several, each waits for the one before it to be healthy, so that the service
/// is never away.
async fn each(job: &Job, project: &str, containers: &[ContainerFacts]) -> Result<(), Failure> {
    for container in containers {
        job.agent.engine.restart(&container.id).await.map_err(|e| {
            Failure::from_error(FailureKind::Start, &e)
                .hint(format!("look at what it wrote: wharf logs {}", container.service))
        })?;
        job.record.note(format!("{} was restarted", container.name)).await;
        let of_service = containers.iter().filter(|other| other.service == container.service);
        if of_service.count() > 1 {
            let services = vec![container.service.clone()];
            let expected = Expected { project, spec: &job.spec, services };
            verify::healthy(&job.agent.engine, &expected).await?;
        }
    }
    Ok(())
}
