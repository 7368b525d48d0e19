//! The job that forgets an app, and what a crash leaves of it.

use super::leaving::Leaving;
use crate::agent::Agent;
use crate::conversation::Who;
use crate::failures;
use crate::jobs::queue::{self, Seat};
use crate::jobs::record::Record;
use crate::jobs::recover::CHILDREN_END_SECONDS;
use crate::jobs::run::{self, Job};
use crate::jobs::{self, beside};
use crate::layout::Beside;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use wharf_proto::event::JobKind;
use wharf_proto::{Failure, FailureKind, JobId, Outcome, ReleaseId, Step};
use wharf_state::{AppRecord, JobRecord, Phase};

/// Begins the job, which goes on by itself.
///
/// # Errors
/// It cannot be recorded; nothing has begun then.
pub async fn start(
    agent: &Agent,
    app: AppRecord,
    leaving: Leaving,
    seat: Seat,
    who: Arc<Who>,
) -> Result<JobId, Failure> {
    let request =
        serde_json::to_value(&leaving).map_err(|e| Failure::from_error(FailureKind::Internal, &e))?;
    let job = Job::begin(agent, &app, JobKind::Forget, true, request, seat, who).await?;
    let id = job.id;
    let body = async move |job: Arc<Job>| {
        let begun = Box::pin(job.record.step(Step::Leave, begin(&job, &leaving))).await;
        match begun {
            Ok(()) => done(&leaving),
            Err(failure) => Outcome::Failed { failure },
        }
    };
    let after_panic = async |job: Arc<Job>, failure: Failure| settle(&job, failure).await;
    tokio::spawn(run::conduct(job, vec![Step::Leave], body, after_panic));
    Ok(id)
}

/// Forgets, from the beginning. Whatever fails until the app is forgotten has changed nothing.
async fn begin(job: &Job, leaving: &Leaving) -> Result<(), Failure> {
    job.agent.state.forget_app(job.app(), job.id).await.map_err(|e| failures::of_state(&e))?;
    crate::crash::point("leave.inside");
    clear_away(job, leaving).await;
    Ok(())
}

/// After the app is forgotten: everything that only it needed goes. What cannot be removed is told of: nothing needs it any
/// more, and a person can remove it.
async fn clear_away(job: &Job, leaving: &Leaving) {
    if let Err(failure) = images(job, leaving).await {
        let names: Vec<&str> = leaving.pins.iter().map(String::as_str).collect();
        job.record.warn(format!("{failure}; images may be left: docker image rm {}", names.join(" "))).await;
    }
    if let Err(failure) = content(&job.agent).await {
        job.record.warn(format!("{failure}; the content of its releases goes with the next deploy")).await;
    }
    if let Err(failure) = logs(job, leaving).await {
        job.record.warn(format!("{failure}; logs of its jobs may be left")).await;
    }
    let layout = &job.agent.layout;
    let files = [
        layout.recovery_record(job.app()),
        layout.recovering(job.app()),
        layout.before_first_deploy(job.app()),
    ];
    for file in files {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                job.record.warn(format!("cannot remove {}: {error}", file.display())).await;
            }
            Ok(()) | Err(_) => {}
        }
    }
    tell_what_stays(job, leaving).await;
}

/// The names first, then what no name leads to any more. What a container was made from, the engine keeps.
async fn images(job: &Job, leaving: &Leaving) -> Result<(), Failure> {
    for pin in &leaving.pins {
        job.agent.engine.untag(pin).await.map_err(|e| failures::of_engine(&e))?;
    }
    let used = job.agent.engine.images_in_use().await.map_err(|e| failures::of_engine(&e))?;
    for id in leaving.built.iter().filter(|id| !used.contains(*id)) {
        job.agent.engine.remove_nameless(id).await.map_err(|e| failures::of_engine(&e))?;
    }
    Ok(())
}

/// Content that no release of another app needs goes at once, also what an upload stored that broke off: it is sent again.
/// What is being received now is leased.
async fn content(agent: &Agent) -> Result<(), Failure> {
    // Before what releases need: a lease ends when its release is recorded.
    let mut keep = agent.blobs.leased();
    keep.extend(agent.state.chunks_in_use().await.map_err(|e| failures::of_state(&e))?);
    let blobs = agent.blobs.clone();
    failures::blocking(move || {
        blobs.retain(&keep, Duration::ZERO).map(drop).map_err(|e| failures::of_blobs(&e))
    })
    .await
}

/// The jobs that are over, with what they wrote. This one stays: whoever watches it must see its end.
async fn logs(job: &Job, leaving: &Leaving) -> Result<(), Failure> {
    let agent = &job.agent;
    let jobs = agent.state.jobs(Some(job.app()), u32::MAX).await.map_err(|e| failures::of_state(&e))?;
    for old in jobs.iter().filter(|old| old.job != job.id && old.outcome.is_some()) {
        if let Some(folder) = left_behind(leaving, old.job) {
            let text = format!("{} holds what job {} could not put back", folder.display(), old.job);
            job.record.warn(format!("{text}; it stays, for you to look at")).await;
        }
        agent.events.remove(old.job).await.map_err(|e| failures::of_events(&e, old.job))?;
        agent.state.delete_job(old.job).await.map_err(|e| failures::of_state(&e))?;
    }
    Ok(())
}

/// The folder beside the app directory that a job left, which could not put back what it had changed.
fn left_behind(leaving: &Leaving, job: JobId) -> Option<PathBuf> {
    let beside: Beside = beside(&leaving.spec, job).ok()?;
    let place = beside.of_job(&leaving.spec.app, job);
    place.folders().into_iter().find(|folder| folder.exists()).map(PathBuf::from)
}

async fn tell_what_stays(job: &Job, leaving: &Leaving) {
    let (app, layout) = (job.app(), &job.agent.layout);
    job.record
        .note(format!(
            "what runs goes on running: the Compose project {} in {}, with its volumes and its env file",
            leaving.project, leaving.spec.path
        ))
        .await;
    let kept = [layout.repository(app), layout.repository_key(app), layout.offsite(app)];
    let aside = layout.app(app).join("saved-aside");
    for path in kept.iter().chain([&aside]).filter(|path| path.exists()) {
        job.record.note(format!("kept: {}", path.display())).await;
    }
    if layout.repository(app).is_dir() {
        job.record
            .note(
                "its backups open with restic and the recovery key (docs/RECOVERY.md); no new ones are made",
            )
            .await;
        let saved = crate::data::key_is_saved(&job.agent, app).await.unwrap_or(true);
        if !saved {
            let key = wharf_backup::recovery_key_file(&layout.repository_key(app));
            job.record
                .warn(format!(
                    "nobody has saved the recovery key of its backups: it lies in {}",
                    key.display()
                ))
                .await;
        }
    }
    job.record
        .note("to take it up again: wharf deploy, which takes over what runs, and knows its backups")
        .await;
}

fn done(leaving: &Leaving) -> Outcome {
    Outcome::Done {
        summary: format!("{} left Wharf: {} forgotten", leaving.spec.app, leaving.releases_text()),
    }
}

/// Ends a job whose work was cut off, by how far it had come.
async fn settle(job: &Job, failure: Failure) -> Outcome {
    let record = job.agent.state.job(job.id).await.ok().flatten();
    match record {
        Some(record) if record.phase == Phase::Preparing => Outcome::Failed { failure },
        Some(record) => match serde_json::from_value::<Leaving>(record.request) {
            Ok(leaving) => {
                clear_away(job, &leaving).await;
                done(&leaving)
            }
            Err(error) => Outcome::Done {
                summary: format!("it left Wharf; what is to be cleared away is not known: {error}"),
            },
        },
        None => Outcome::Failed { failure },
    }
}

/// Brings a job that a crash interrupted to its end. Its app may be forgotten already.
///
/// # Errors
/// What it was to do cannot be read; a child of the former agent still holds the app.
pub async fn finish(agent: &Agent, record: JobRecord) -> Result<(), Failure> {
    let leaving: Leaving = serde_json::from_value(record.request.clone())
        .map_err(|e| Failure::from_error(FailureKind::Internal, &e))?;
    let seat = queue::take(agent, &record.app, CHILDREN_END_SECONDS).await?;
    seat.runs(record.job);
    let log = agent.events.resume(record.job).await.map_err(|e| failures::of_events(&e, record.job))?;
    let job = Job {
        agent: agent.clone(),
        id: record.job,
        kind: record.kind.clone(),
        release: leaving.live.unwrap_or(ReleaseId(0)),
        beside: jobs::beside(&leaving.spec, record.job)?,
        spec: leaving.spec.clone(),
        seat,
        record: Record::new(log),
        who: Arc::new(Who { by: record.by.clone(), from: record.from.clone() }),
    };
    job.record.warn("the agent was interrupted here and has started again").await;
    let interrupted = Failure::new(FailureKind::Environment, "the agent was interrupted before it had begun")
        .cause("the app is known as before")
        .hint("try again: wharf forget");
    let outcome = settle(&job, interrupted).await;
    run::finish(job, outcome).await;
    Ok(())
}
