//! Hooks: commands of the project's that run on the server itself, around a deploy.
//!
//! **Invariants**
//! - None runs unless the server's own configuration allows it for the app, and none outside of a
//!   [`Sandbox`]: where that cannot be made, the plan is refused.
//! - One before a deploy runs while nothing was changed, and changes nothing of the app's itself.

use super::Work;
use super::last_lines::LastLines;
use super::run::Job;
use crate::agent::Agent;
use crate::failures;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wharf_engine::sandbox::{EXIT_NO_SANDBOX, HookEnd, run_hook};
use wharf_engine::{Sandbox, SuperviseSpec, Supervisor};
use wharf_plan::Refusal;
use wharf_proto::spec::{HookSpec, HookWhen};
use wharf_proto::{Failure, FailureKind, Outcome, Step};

/// How many of a failed hook's last lines the failure repeats.
const LAST_LINES: usize = 10;
/// For the trial of the sandbox, which does nothing.
const TRIAL_LIMIT: Duration = Duration::from_secs(30);

/// Why the hooks of this work cannot run here, if they cannot.
///
/// # Errors
/// The engine does not answer.
pub async fn refusal(
    agent: &Agent,
    work: &Work,
    supervisor: &Arc<Supervisor>,
) -> Result<Option<Refusal>, Failure> {
    let app = &work.spec.app;
    if !work.runs_hooks() {
        return Ok(None);
    }
    if !agent.config.allows_hooks(app) {
        return Ok(Some(Refusal::HooksNotAllowed { app: app.to_string() }));
    }
    let place = sandbox(agent, PathBuf::from("/"), Vec::new(), Vec::new()).await?;
    let said = Mutex::new(Vec::new());
    let trial = SuperviseSpec::new("true", [] as [&str; 0]);
    let ended = run_hook(&place, &agent.program, supervisor, trial, TRIAL_LIMIT, |line| {
        said.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    });
    let why = match ended.await {
        Ok(HookEnd::Code(0)) => return Ok(None),
        Ok(HookEnd::Code(_)) => said.into_inner().unwrap_or_else(PoisonError::into_inner).join("; "),
        Ok(HookEnd::TooLong) => "making the namespaces took too long".to_owned(),
        Err(error) => error.to_string(),
    };
    Ok(Some(Refusal::HooksNotIsolated { why }))
}

/// Runs what is to run before the deploy changes anything.
///
/// # Errors
/// [`FailureKind::Hook`]: one failed.
pub async fn before(job: &Job) -> Result<(), Failure> {
    let (stage, app_dir) = (job.beside.stage(), job.beside.app_dir.clone());
    for hook in job.spec.hook.iter().filter(|hook| hook.when == HookWhen::BeforeDeploy) {
        let place = sandbox(&job.agent, stage.clone(), Vec::new(), vec![stage.clone(), app_dir.clone()]);
        run(job, hook, &place.await?, None)
            .await
            .map_err(|failure| failure.hint("correct the hook, and deploy again"))?;
    }
    Ok(())
}

/// Runs what is to run when the deploy is over. What fails here is told, and changes nothing about its outcome.
pub async fn after(job: &Job, work: &Work, outcome: &Outcome) {
    let (when, why) = match outcome {
        Outcome::Released { .. } => (HookWhen::AfterDeploy, None),
        Outcome::Failed { failure }
        | Outcome::PutBack { failure, .. }
        | Outcome::NotPutBack { failure, .. } => (HookWhen::AfterFailure, Some(failure.message.as_str())),
        Outcome::Done { .. } | Outcome::Postponed { .. } | Outcome::Unknown => return,
    };
    if !work.runs_hooks() || !job.agent.config.allows_hooks(job.app()) {
        return;
    }
    let app_dir = job.beside.app_dir.clone();
    for hook in job.spec.hook.iter().filter(|hook| hook.when == when) {
        let ran = match sandbox(&job.agent, app_dir.clone(), vec![app_dir.clone()], Vec::new()).await {
            Ok(place) => run(job, hook, &place, why).await,
            Err(failure) => Err(failure),
        };
        if let Err(failure) = ran {
            job.record.warn(failure.to_string()).await;
        }
    }
}

async fn sandbox(
    agent: &Agent,
    cwd: PathBuf,
    writable: Vec<PathBuf>,
    read_only: Vec<PathBuf>,
) -> Result<Sandbox, Failure> {
    let info = agent.engine.info().await.map_err(|e| failures::of_engine(&e))?;
    Ok(Sandbox {
        // The stricter one, whatever the app's containers may do: the other lets a container reach the whole server.
        guard: agent.guards.socket(false).to_owned(),
        sockets: vec![agent.config.docker.clone(), "/run/docker.sock".into(), "/var/run/docker.sock".into()],
        hidden: vec![info.root_dir, "/var/lib/containerd".into(), agent.layout.state().to_owned()],
        writable,
        read_only,
        cwd,
    })
}

async fn run(job: &Job, hook: &HookSpec, place: &Sandbox, why: Option<&str>) -> Result<(), Failure> {
    let name = format!("the hook `{}`", hook.command.join(" "));
    let Some((program, args)) = hook.command.split_first() else { return Ok(()) };
    let mut spec = SuperviseSpec::new(program, args);
    for (key, value) in [
        // Before a Docker context that root may have chosen: its socket is not there.
        ("DOCKER_HOST", "unix:///var/run/docker.sock".to_owned()),
        ("WHARF_HOOK", hook.when.as_str().to_owned()),
        ("WHARF_APP", job.app().to_string()),
        ("WHARF_APP_DIR", job.spec.path.clone()),
        ("WHARF_RELEASE", job.release.to_string()),
        ("WHARF_JOB", job.id.to_string()),
        ("WHARF_FAILURE", why.unwrap_or_default().to_owned()),
    ] {
        spec.env.push((key.into(), value.into()));
    }
    let limit = Duration::from_secs(hook.timeout_seconds.into());
    let last = LastLines::new(LAST_LINES);
    let (tail, agent, supervisor) = (&last, &job.agent, &job.seat.supervisor);
    let ended = job
        .record
        .with_output(Step::Hook, None, |lines| async move {
            run_hook(place, &agent.program, supervisor, spec, limit, |line| {
                tail.push(line);
                lines.push(line);
            })
            .await
        })
        .await;
    let mut failure = match ended {
        Ok(HookEnd::Code(0)) => return Ok(()),
        Ok(HookEnd::Code(code)) if code == i32::from(EXIT_NO_SANDBOX) => {
            Failure::new(FailureKind::Hook, format!("{name} could not be kept from what is not its own"))
        }
        Ok(HookEnd::Code(code)) => {
            Failure::new(FailureKind::Hook, format!("{name} ended with exit code {code}"))
        }
        Ok(HookEnd::TooLong) => Failure::new(
            FailureKind::Hook,
            format!("{name} was ended after {} seconds", hook.timeout_seconds),
        ),
        Err(error) => Failure::from_error(FailureKind::Hook, &error).cause(format!("while running {name}")),
    };
    failure.causes.extend(last.read());
    Err(failure)
}
