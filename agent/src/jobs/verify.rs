//! A release proves itself: containers up and healthy, probes answered, and all of it for a while.

use super::probe;
use super::run::{Job, Ready};
use crate::failures;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;
use wharf_engine::Engine;
use wharf_plan::facts::{ContainerFacts, ContainerState};
use wharf_proto::{AppSpec, Failure, FailureKind};

/// Pause between two looks at the containers.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Proves the release that a job has started. What the job did not touch and was not healthy before is no failure of the
/// job's.
///
/// # Errors
/// As [`verify`].
pub async fn release(job: &Job, ready: &Ready) -> Result<(), Failure> {
    let planned = &ready.planned;
    let unhealthy =
        problems(&planned.before.iter().map(|c| c.service.clone()).collect::<Vec<_>>(), &planned.before);
    let now =
        job.agent.engine.project_containers(&planned.project).await.map_err(|e| failures::of_engine(&e))?;
    let untouched = |service: &str| {
        let own = now.iter().filter(|c| c.service == service);
        own.clone().count() > 0 && own.clone().all(|c| planned.before.iter().any(|before| before.id == c.id))
    };
    let mut services = Vec::new();
    for service in planned.model.services().filter(|service| service.replicas > 0) {
        match unhealthy.iter().find(|problem| problem.service == service.name && untouched(&service.name)) {
            Some(problem) => {
                let text =
                    format!("{} {} as before; the deploy did not touch it", service.name, problem.what);
                job.record.warn(text).await;
            }
            None => services.push(service.name.clone()),
        }
    }
    verify(&job.agent.engine, &Expected { project: &planned.project, spec: &job.spec, services }).await
}

/// What must be true of a stack.
pub struct Expected<'a> {
    pub project: &'a str,
    pub spec: &'a AppSpec,
    /// Services that must serve. One that ended with 0 and is not to be restarted has done its work.
    pub services: Vec<String>,
}

/// Waits until the stack serves, then watches that it goes on serving.
///
/// # Errors
/// [`FailureKind::Verify`] with what each service that failed was seen doing.
pub async fn verify(engine: &Engine, expected: &Expected<'_>) -> Result<(), Failure> {
    let settled = wait_until_healthy(engine, expected).await?;
    for probe in &expected.spec.health {
        probe::ask(probe).await?;
    }
    stay_stable(engine, expected, &settled).await
}

/// Waits until the services have containers that are healthy, and no longer.
///
/// # Errors
/// As [`verify`].
pub async fn healthy(engine: &Engine, expected: &Expected<'_>) -> Result<(), Failure> {
    wait_until_healthy(engine, expected).await.map(drop)
}

async fn wait_until_healthy(
    engine: &Engine,
    expected: &Expected<'_>,
) -> Result<Vec<ContainerFacts>, Failure> {
    let until = Instant::now() + Duration::from_secs(expected.spec.verify.start_timeout_seconds.into());
    loop {
        let containers = look(engine, expected).await?;
        let problems = problems(&expected.services, &containers);
        if problems.is_empty() {
            return Ok(containers);
        }
        if let Some(problem) = problems.iter().find(|p| p.is_final) {
            return Err(failed(std::slice::from_ref(problem)));
        }
        if Instant::now() > until {
            return Err(failed(&problems));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn stay_stable(
    engine: &Engine,
    expected: &Expected<'_>,
    settled: &[ContainerFacts],
) -> Result<(), Failure> {
    let until = Instant::now() + Duration::from_secs(expected.spec.verify.stable_seconds.into());
    while Instant::now() < until {
        tokio::time::sleep(LOOK_EVERY).await;
        let containers = look(engine, expected).await?;
        let mut problems = problems(&expected.services, &containers);
        problems.extend(restarted(settled, &containers));
        if !problems.is_empty() {
            return Err(failed(&problems));
        }
    }
    Ok(())
}

async fn look(engine: &Engine, expected: &Expected<'_>) -> Result<Vec<ContainerFacts>, Failure> {
    let containers = engine.project_containers(expected.project).await;
    let containers = containers.map_err(|e| failures::of_engine(&e))?;
    Ok(containers.into_iter().filter(|c| !c.one_off && expected.services.contains(&c.service)).collect())
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    service: String,
    what: String,
    /// Waiting will not mend it.
    is_final: bool,
}

/// What is wrong with containers that should serve, in words; nothing where all is well.
pub fn not_serving(containers: &[ContainerFacts]) -> Vec<String> {
    let serving: Vec<ContainerFacts> = containers.iter().filter(|c| !c.one_off).cloned().collect();
    if serving.is_empty() {
        return vec!["none of its containers is there".to_owned()];
    }
    let services: BTreeSet<String> = serving.iter().map(|container| container.service.clone()).collect();
    let services: Vec<String> = services.into_iter().collect();
    problems(&services, &serving).iter().map(|p| format!("{} {}", p.service, p.what)).collect()
}

fn problems(services: &[String], containers: &[ContainerFacts]) -> Vec<Problem> {
    let mut by_service: BTreeMap<&str, Vec<&ContainerFacts>> = BTreeMap::new();
    for container in containers {
        by_service.entry(&container.service).or_default().push(container);
    }
    let mut found = Vec::new();
    for service in services {
        match by_service.get(service.as_str()) {
            None => {
                found.push(Problem {
                    service: service.clone(),
                    what: "has no container".into(),
                    is_final: false,
                });
            }
            Some(containers) => found.extend(containers.iter().filter_map(|c| problem(c))),
        }
    }
    found
}

fn problem(container: &ContainerFacts) -> Option<Problem> {
    let done = is_done(container);
    let (what, is_final) = match (container.state, container.health.as_deref()) {
        (ContainerState::Exited, _) if done => return None,
        (ContainerState::Running, None | Some("healthy")) => return None,
        (ContainerState::Running, Some("unhealthy")) => {
            ("is unhealthy: its health check fails".into(), false)
        }
        (ContainerState::Running, Some(health)) => (format!("is not healthy yet ({health})"), false),
        (ContainerState::Exited, _) => (ended(container), container.restart_policy == "no"),
        (ContainerState::Restarting, _) => {
            (format!("ends again and again: {}", ended(container)), container.restarts >= 3)
        }
        (ContainerState::Dead | ContainerState::Removing, _) => ("was removed".into(), false),
        (ContainerState::Created, _) => ("was not started".into(), false),
        (ContainerState::Paused, _) => ("is paused".into(), false),
    };
    Some(Problem { service: container.service.clone(), what, is_final })
}

/// Whether a container is a one-shot that did its work: it ended with 0 and nothing is to start it again.
pub fn is_done(container: &ContainerFacts) -> bool {
    let left_alone = matches!(container.restart_policy.as_str(), "no" | "" | "on-failure");
    container.state == ContainerState::Exited && container.exit_code == Some(0) && left_alone
}

fn ended(container: &ContainerFacts) -> String {
    match container.exit_code {
        _ if container.oom_killed => "it ran out of memory and was killed".into(),
        Some(code) => format!("it ended with exit code {code}"),
        None => "it ended".into(),
    }
}

fn restarted(before: &[ContainerFacts], now: &[ContainerFacts]) -> Vec<Problem> {
    let restarted = |then: &&ContainerFacts| {
        now.iter().any(|c| c.id == then.id && (c.restarts > then.restarts || c.started_at != then.started_at))
    };
    before
        .iter()
        .filter(restarted)
        .map(|c| Problem { service: c.service.clone(), what: "restarted by itself".into(), is_final: true })
        .collect()
}

fn failed(problems: &[Problem]) -> Failure {
    let mut names: Vec<&str> = problems.iter().map(|p| p.service.as_str()).collect();
    names.dedup();
    let mut failure =
        Failure::new(FailureKind::Verify, format!("{} did not become healthy", names.join(", ")));
    for problem in problems {
        failure = failure.cause(format!("{} {}", problem.service, problem.what));
    }
    failure.hint(format!("look at what it wrote: wharf logs {}", names.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(state: ContainerState, health: Option<&str>) -> ContainerFacts {
        ContainerFacts {
            log: wharf_plan::facts::LogFacts::default(),
            id: "1".into(),
            name: "app-web-1".into(),
            project: "app".into(),
            service: "web".into(),
            config_hash: String::new(),
            working_dir: String::new(),
            config_files: vec![],
            one_off: false,
            image_id: String::new(),
            image: String::new(),
            state,
            health: health.map(str::to_owned),
            exit_code: Some(0),
            oom_killed: false,
            restarts: 0,
            started_at: Some("now".into()),
            restart_policy: "unless-stopped".into(),
            mounts: vec![],
        }
    }

    fn of(container: ContainerFacts) -> Vec<(String, bool)> {
        problems(&["web".into()], &[container]).into_iter().map(|p| (p.what, p.is_final)).collect()
    }

    #[test]
    fn what_serves_and_what_has_done_its_work_is_no_problem() {
        assert_eq!(of(container(ContainerState::Running, None)), []);
        assert_eq!(of(container(ContainerState::Running, Some("healthy"))), []);
        let mut one_shot = container(ContainerState::Exited, None);
        one_shot.restart_policy = "no".into();
        assert_eq!(of(one_shot), []);
    }

    #[test]
    fn what_cannot_mend_itself_is_final() {
        let mut failed = container(ContainerState::Exited, None);
        failed.restart_policy = "no".into();
        failed.exit_code = Some(3);
        assert_eq!(of(failed), [("it ended with exit code 3".into(), true)]);
        let mut looping = container(ContainerState::Restarting, None);
        (looping.exit_code, looping.restarts) = (Some(1), 3);
        assert!(of(looping)[0].1);
        assert!(!of(container(ContainerState::Running, Some("starting")))[0].1);
        assert_eq!(problems(&["db".into()], &[])[0].what, "has no container");
    }

    #[test]
    fn a_restart_within_the_stability_window_is_a_problem() {
        let before = container(ContainerState::Running, None);
        let mut after = before.clone();
        assert!(restarted(std::slice::from_ref(&before), &[after.clone()]).is_empty());
        after.started_at = Some("later".into());
        assert_eq!(restarted(&[before], &[after])[0].what, "restarted by itself");
    }
}
