//! The way of a job, step by step.

use super::queue::{self, Seat};
use super::record::Record;
use super::recover::CHILDREN_END_SECONDS;
use super::{
    Source, Work, apply, backup, build, commit, diagnose, hooks, migrate, plan, prune, put_back, role, stage,
    start, verify,
};
use crate::agent::Agent;
use crate::conversation::Who;
use crate::data;
use crate::failures;
use crate::layout::Beside;
use jiff::Timestamp;
use std::future::Future;
use std::sync::Arc;
use wharf_proto::event::EventBody;
use wharf_proto::event::JobKind;
use wharf_proto::release::AuditEntry;
use wharf_proto::spec::HookWhen;
use wharf_proto::{AppName, AppSpec, Failure, FailureKind, JobId, Outcome, ReleaseId, Step};
use wharf_state::{AppRecord, BlobLease, JobRecord, NewJob, PhaseEvent};

/// A job that runs.
pub struct Job {
    pub agent: Agent,
    pub id: JobId,
    pub kind: JobKind,
    /// The release that is to be live; for a job that makes none, the one that is.
    pub release: ReleaseId,
    pub spec: AppSpec,
    pub beside: Beside,
    pub seat: Seat,
    pub record: Record,
    pub who: Arc<Who>,
}

impl Job {
    pub fn app(&self) -> &AppName {
        &self.spec.app
    }

    /// What [`super::compose::JOB_LABEL`] says of everything that this job runs for itself. With the app, since another
    /// agent on the same engine counts its jobs too.
    pub fn label(&self) -> String {
        format!("{}/{}", self.spec.app, self.id)
    }
}

impl Job {
    /// Begins a job that makes no release; `unless_locked` where a lock keeps jobs of its kind back.
    ///
    /// # Errors
    /// It cannot be recorded, or is kept back; nothing has begun then.
    pub async fn begin(
        agent: &Agent,
        app: &AppRecord,
        kind: JobKind,
        unless_locked: bool,
        request: serde_json::Value,
        seat: Seat,
        who: Arc<Who>,
    ) -> Result<Self, Failure> {
        let (by, from) = (who.by.clone(), who.from.clone());
        let new = NewJob { app: app.app.clone(), kind: kind.clone(), by, from, request, unless_locked };
        // Before the job is recorded, so that a path that does not do leaves no job behind.
        let place = super::beside(&app.spec, JobId(0))?;
        let (id, record) = super::open(agent, new, &seat).await?;
        Ok(Self {
            agent: agent.clone(),
            id,
            kind,
            release: app.live.unwrap_or(ReleaseId(0)),
            spec: app.spec.clone(),
            beside: place.of_job(&app.app, id),
            seat,
            record,
            who,
        })
    }

    /// Goes on with a job that makes no release, and that a crash interrupted.
    ///
    /// # Errors
    /// Its app is not known any more, or a child of the former agent still holds it.
    pub async fn resume(agent: &Agent, record: &JobRecord) -> Result<Self, Failure> {
        let known = agent.state.app(&record.app).await.map_err(|e| failures::of_state(&e))?;
        let known = known.ok_or_else(|| crate::answers::no_such_app(&record.app))?;
        let seat = queue::take(agent, &record.app, CHILDREN_END_SECONDS).await?;
        seat.runs(record.job);
        let log = agent.events.resume(record.job).await.map_err(|e| failures::of_events(&e, record.job))?;
        let job = Self {
            agent: agent.clone(),
            id: record.job,
            kind: record.kind.clone(),
            release: known.live.unwrap_or(ReleaseId(0)),
            beside: super::beside(&known.spec, record.job)?,
            spec: known.spec,
            seat,
            record: Record::new(log),
            who: Arc::new(Who { by: record.by.clone(), from: record.from.clone() }),
        };
        job.record.warn("the agent was interrupted here and has started again").await;
        Ok(job)
    }
}

/// Runs a job to its one last event, whatever happens. The lease keeps its chunks from being pruned until then.
pub async fn to_the_end(job: Job, work: Work, lease: Option<BlobLease>) {
    let steps = steps(&work);
    let body = async move |job: Arc<Job>| {
        let outcome = Box::pin(run(&job, &work)).await;
        let refused = matches!(&outcome, Outcome::Failed { failure } if failure.kind == FailureKind::Refused);
        if !refused {
            Box::pin(hooks::after(&job, &work, &outcome)).await;
        }
        drop(lease);
        outcome
    };
    conduct(job, steps, body, async |job, failure| put_back::after_failure(&job, failure).await).await;
}

/// Announces a job, does its work, and tells its end exactly once, also where the work panics: then `after_panic` says
/// how the job ended.
pub async fn conduct<W, P>(
    job: Job,
    steps: Vec<Step>,
    work: impl FnOnce(Arc<Job>) -> W,
    after_panic: impl FnOnce(Arc<Job>, Failure) -> P,
) where
    W: Future<Output = Outcome> + Send + 'static,
    P: Future<Output = Outcome>,
{
    let announced = EventBody::Announced { job_kind: job.kind.clone(), app: job.app().clone(), steps };
    job.record.say(announced).await;
    let job = Arc::new(job);
    // A task of its own, so that a bug in a step ends that step and not the job's promise to end.
    let outcome = match tokio::spawn(work(Arc::clone(&job))).await {
        Ok(outcome) => outcome,
        Err(panic) => {
            tracing::error!(job = %job.id, %panic, "a job panicked");
            let failure = Failure::from_error(FailureKind::Internal, &panic)
                .hint("please report this, with the agent's log");
            after_panic(Arc::clone(&job), failure).await
        }
    };
    match Arc::try_unwrap(job) {
        Ok(job) => finish(job, outcome).await,
        Err(job) => tracing::error!(job = %job.id, "a step of a job goes on after its end"),
    }
}

/// Ends a job: nothing of it is left beside the app directory, its outcome is recorded, its seat is free, and then whoever
/// watches is told: who deploys again at once finds the seat free.
pub async fn finish(job: Job, outcome: Outcome) {
    crate::outside::close(&job).await;
    // What could not be put back is kept: the originals are in there.
    if !matches!(outcome, Outcome::NotPutBack { .. })
        && let Err(failure) = stage::clear(&job.beside).await
    {
        job.record.warn(format!("{}; remove it by hand", failure.message)).await;
    }
    let entry = AuditEntry {
        at: Timestamp::now(),
        app: Some(job.app().clone()),
        by: job.who.by.clone(),
        from: job.who.from.clone(),
        action: super::action(&job.kind),
        outcome: described(&outcome),
    };
    if let Err(error) = job.agent.state.audit(entry).await {
        tracing::error!(job = %job.id, %error, "cannot write the audit");
    }
    if let Err(error) = job.agent.state.finish_job(job.id, outcome.clone()).await {
        tracing::error!(job = %job.id, %error, "cannot record the outcome");
    }
    drop(job.seat);
    job.record.say(EventBody::Finished { outcome }).await;
}

fn described(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Released { release } => format!("{release} is live"),
        Outcome::Failed { failure } => format!("failed, nothing was changed: {failure}"),
        Outcome::PutBack { failure, .. } => format!("failed and put back: {failure}"),
        Outcome::NotPutBack { failure, put_back } => format!("failed: {failure}; NOT put back: {put_back}"),
        Outcome::Done { summary } => summary.clone(),
        Outcome::Postponed { failure } => format!("postponed: {failure}"),
        Outcome::Unknown => "an outcome of a newer wharfd's".to_owned(),
    }
}

fn steps(work: &Work) -> Vec<Step> {
    let mut steps =
        vec![Step::Plan, Step::Backup, Step::Build, Step::Hook, Step::Apply, Step::Migrate, Step::Restore];
    steps.extend([Step::Start, Step::Verify, Step::Commit, Step::Prune]);
    let left_out = |step: &Step| match (step, &work.source) {
        (Step::Migrate, Source::Shipped { .. }) => work.spec.migrate.is_empty(),
        // Its migrations have run.
        (Step::Migrate, Source::Again) => true,
        // It comes out of one.
        (Step::Migrate | Step::Backup, Source::Recovered { .. }) => true,
        (Step::Restore, source) => !matches!(source, Source::Recovered { .. }),
        (Step::Hook, _) => !before_deploy(work),
        (Step::Build | Step::Migrate, Source::Earlier { .. }) => true,
        _ => false,
    };
    steps.retain(|step| !left_out(step));
    steps
}

fn before_deploy(work: &Work) -> bool {
    work.runs_hooks() && work.spec.hook.iter().any(|hook| hook.when == HookWhen::BeforeDeploy)
}

async fn run(job: &Job, work: &Work) -> Outcome {
    if work.checks_skipped() {
        job.record.warn("the project's checks were skipped (--force)").await;
    }
    if let Some(from) = work.promotes() {
        let app = &from.app;
        let text = if work.is_from_here() {
            format!("promoted from {from}: the very source that {app} keeps of it")
        } else {
            let host = from.host.as_deref().unwrap_or("another server");
            format!(
                "promoted from {from} of {app} on {host}, as the client says: this agent cannot see that release"
            )
        };
        job.record.note(text).await;
    }
    let ready = match prepare(job, work).await {
        Ok(ready) => ready,
        Err(failure) => return put_back::before_any_change(job, failure).await,
    };
    if let Err(failure) = job.agent.state.set_phase(job.id, PhaseEvent::Change).await {
        return Outcome::Failed { failure: failures::of_state(&failure) };
    }
    match change(job, work, ready).await {
        Ok(()) => {
            // The release is live: what fails here is a nuisance, not a failure of the deploy.
            let pruning = prune::prune(&job.agent, job.app(), job.id, &job.record);
            let pruned = job.record.step(Step::Prune, pruning).await;
            if let Err(failure) = pruned {
                tracing::warn!(job = %job.id, %failure, "cannot prune");
            }
            let scheduled = job.spec.backup.schedule.is_some();
            if let Ok(Some(reminder)) = data::key_reminder(&job.agent, job.app(), scheduled).await {
                job.record.note(reminder).await;
            }
            Outcome::Released { release: job.release }
        }
        Err(failure) => put_back::after_failure(job, failure).await,
    }
}

/// Everything that leaves production untouched.
async fn prepare(job: &Job, work: &Work) -> Result<Ready, Failure> {
    let record = &job.record;
    let planned = record.step(Step::Plan, plan::prepare(&job.agent, work, &job.beside, &job.seat)).await?;
    record.say(EventBody::Planned { plan: Box::new(planned.plan.clone()) }).await;
    let case = diagnose::Case { job, work, planned: &planned };
    let backup = match &work.source {
        Source::Recovered { backup, .. } => Some(backup.clone()),
        _ => record.step(Step::Backup, case.by_words(backup::back_up(job, work, &planned))).await?,
    };
    let images = match &work.source {
        Source::Shipped { .. } | Source::Again | Source::Recovered { .. } => {
            record.step(Step::Build, case.by_words(build::build(job, work, &planned))).await?
        }
        Source::Earlier { images, .. } => build::reuse(job, images).await?,
    };
    if before_deploy(work) {
        record.step(Step::Hook, case.by_words(hooks::before(job))).await?;
    }
    Ok(Ready { planned, backup, images })
}

/// What a job has when it begins to change things.
pub struct Ready {
    pub planned: plan::Planned,
    pub backup: Option<wharf_proto::BackupId>,
    pub images: build::Images,
}

/// Everything that has an undo, up to the release being live.
async fn change(job: &Job, work: &Work, ready: Ready) -> Result<(), Failure> {
    let record = &job.record;
    let case = diagnose::Case { job, work, planned: &ready.planned };
    record.step(Step::Apply, case.by_words(apply::apply(job, work, &ready))).await?;
    if !job.spec.migrate.is_empty() && matches!(work.source, Source::Shipped { .. }) {
        record.step(Step::Migrate, case.by_words(migrate::migrate(job, work, &ready))).await?;
    }
    if let Source::Recovered { backup, .. } = &work.source {
        record.step(Step::Restore, crate::data::restore_afresh(job, &ready.planned, backup)).await?;
    }
    if let Some(role) = &work.role {
        role::change(job, &ready.planned.project, role).await?;
    }
    record.step(Step::Start, case.by_all(start::start(job, work, &ready))).await?;
    record.step(Step::Verify, case.by_all(verify::release(job, &ready))).await?;
    record.step(Step::Commit, commit::commit(job, work, ready)).await
}
