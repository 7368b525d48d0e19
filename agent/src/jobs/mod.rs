//! Jobs: deploys and rollbacks, from the request to the one last event.
//!
//! **Invariants**
//! - A job belongs to the agent: whoever watches may leave.
//! - Until [`wharf_state::Phase::Changing`] production is untouched. From there on every act has its undo written down, and
//!   the job ends committed or put back, also across a crash ([`recover`]).
//! - Every job ends in exactly one `finished` event, whatever happens to it.

pub mod adopt;
pub mod apply;
pub mod backup;
pub mod build;
pub mod cold;
pub mod commit;
pub mod compose;
pub mod coverage;
pub mod database;
pub mod decide;
pub mod diagnose;
pub mod disk;
pub mod env_change;
pub mod files;
mod ground;
pub mod hold;
pub mod hooks;
pub mod images;
pub mod last_lines;
pub mod log_limits;
pub mod migrate;
pub mod others;
pub mod paths;
pub mod plan;
pub mod probe;
pub mod prune;
pub mod put_back;
pub mod queue;
pub mod record;
pub mod recover;
pub mod role;
pub mod rollback;
pub mod run;
pub mod scale;
pub mod stage;
pub mod start;
pub mod survey;
pub mod undo;
pub mod verify;
pub mod volumes;

use crate::agent::Agent;
use crate::conversation::{Stop, Talk, Who, follow};
use crate::failures;
use crate::layout::Beside;
use crate::promote::Origin;
use jiff::Timestamp;
use queue::Seat;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use wharf_proto::event::JobKind;
use wharf_proto::message::{DeployRequest, JobOptions, Reply};
use wharf_proto::plan::DeployPlan;
use wharf_proto::release::{AuditEntry, OfferedImages, PromotedFrom};
use wharf_proto::{AppSpec, BackupId, Failure, FailureKind, JobId, Manifest, ReleaseId};
use wharf_state::{NewJob, ReleaseImage};

/// What is to become live.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Work {
    pub release: ReleaseId,
    pub source: Source,
    pub spec: AppSpec,
    pub manifest: Manifest,
    pub options: JobOptions,
    /// The versions of the front ends, by the file that holds them.
    pub versions: BTreeMap<String, String>,
    pub git_commit: Option<String>,
    /// The release whose source this is, where it was promoted; see [`Work::is_from_here`].
    #[serde(default)]
    pub promoted: Option<PromotedFrom>,
    pub by: String,
    /// What the env file is to hold from this job on. Never written anywhere but to the env file.
    #[serde(skip)]
    pub env: Option<env_change::EnvChange>,
    /// Whose password in a database is to be what the env file then holds.
    #[serde(skip)]
    pub role: Option<role::RoleChange>,
}

/// Where a release comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum Source {
    /// From a laptop: its images are built.
    Shipped {
        rebuild: bool,
        pull: bool,
        /// The project's checks on the laptop were skipped.
        #[serde(default)]
        checks_skipped: bool,
        /// Where it is promoted: whether the images of that release are here.
        #[serde(default)]
        from_here: bool,
        /// And where they are another agent's: those that it sends.
        #[serde(default)]
        images: Option<OfferedImages>,
    },
    /// The live release's own files once more, where its environment changes: built where that goes into an image.
    Again,
    /// A release that another server had: its files are in place, its databases come from the backup.
    Recovered { backup: BackupId, adopted: bool },
    /// An earlier release of this server: its images are here.
    Earlier { from: ReleaseId, adopted: bool, images: BTreeMap<String, ReleaseImage> },
}

impl Work {
    /// The work of a deploy. A dry run takes the number that would be next without using it up.
    ///
    /// # Errors
    /// The state cannot be read or written.
    pub async fn deploy(
        agent: &Agent,
        request: DeployRequest,
        manifest: Manifest,
        origin: Option<Origin>,
        who: &Arc<Who>,
    ) -> Result<Self, Failure> {
        let app = &request.spec.app;
        let release = if request.options.dry_run {
            agent.state.peek_release(app).await
        } else {
            agent.state.next_release(app).await
        };
        Ok(Self {
            release: release.map_err(|e| failures::of_state(&e))?,
            source: Source::Shipped {
                rebuild: request.rebuild,
                pull: request.pull,
                checks_skipped: request.source.checks_skipped,
                from_here: origin.as_ref().is_some_and(|origin| origin.here),
                images: request.source.promoted.and_then(|promoted| promoted.images),
            },
            spec: request.spec,
            manifest,
            options: request.options,
            versions: request
                .versions
                .into_iter()
                .map(|(file, version)| (file.to_string(), version))
                .collect(),
            git_commit: request.source.git_commit,
            promoted: origin.map(|origin| origin.from),
            by: who.by.clone(),
            env: None,
            role: None,
        })
    }

    /// Whether who shipped this skipped the project's checks.
    pub fn checks_skipped(&self) -> bool {
        matches!(self.source, Source::Shipped { checks_skipped: true, .. })
    }

    /// Whether the release that is promoted is one of this agent's own. Of another agent's there is only the client's word.
    pub fn is_from_here(&self) -> bool {
        matches!(self.source, Source::Shipped { from_here: true, .. })
    }

    /// What the audit is to know besides: what is added to the action, and what it means.
    fn remarks(&self) -> Vec<(&'static str, String)> {
        let skipped =
            self.checks_skipped().then(|| (" --force", "the project's checks were skipped".to_owned()));
        let says = |from: &PromotedFrom| match &from.host {
            None => String::new(),
            Some(host) => format!(" on {host}, as the client says"),
        };
        let promoted =
            self.promotes().map(|from| ("", format!("promoted from {from} of {}{}", from.app, says(from))));
        skipped.into_iter().chain(promoted).collect()
    }

    /// The release that this very job promotes; what is made once more from a promoted release promotes nothing.
    pub fn promotes(&self) -> Option<&PromotedFrom> {
        self.promoted.as_ref().filter(|_| matches!(self.source, Source::Shipped { .. }))
    }

    /// Whether the project's hooks have a part in this: a rollback runs none.
    pub fn runs_hooks(&self) -> bool {
        matches!(self.source, Source::Shipped { .. }) && !self.spec.hook.is_empty()
    }

    fn kind(&self) -> JobKind {
        match &self.source {
            Source::Shipped { .. } | Source::Again | Source::Recovered { .. } => {
                JobKind::Deploy { release: self.release }
            }
            Source::Earlier { from, .. } => JobKind::Rollback { from: *from, to: self.release },
        }
    }
}

/// What the audit calls a job.
fn action(kind: &JobKind) -> String {
    match kind {
        JobKind::Deploy { release } => format!("deploy {release}"),
        JobKind::Rollback { from, to } => format!("rollback from {from} to {to}"),
        JobKind::Backup => "backup create".to_owned(),
        JobKind::Restore { backup } => format!("backup restore {}", backup.short()),
        JobKind::Drill { backup } => format!("backup verify {}", backup.short()),
        JobKind::Prune => "backup prune".to_owned(),
        JobKind::PruneDocker => "prune".to_owned(),
        JobKind::Restart { services } => format!("restart {}", services.join(" ")).trim_end().to_owned(),
        JobKind::Scale { services } => format!("scale {}", services.join(" ")),
        JobKind::MigrateUp => "migrate up".to_owned(),
        JobKind::MigrateDown { names } => format!("migrate down {}", names.join(" ")),
        JobKind::Forget => "forget".to_owned(),
        JobKind::Unknown => "something newer".to_owned(),
    }
}

/// Answers with the plan, or begins the job and follows it to its end.
///
/// # Errors
/// Whatever keeps the job from starting, and a client that left: the job goes on.
pub async fn plan_or_run(
    agent: &Agent,
    talk: &mut Talk,
    work: Work,
    seat: Seat,
    lease: wharf_state::BlobLease,
    dry_run: bool,
) -> Result<Option<Reply>, Stop> {
    if dry_run {
        let plan = self::dry_run(agent, work, seat).await?;
        return Ok(Some(Reply::Plan { plan: Box::new(plan) }));
    }
    let job = start(agent, work, seat, talk.who.clone(), Some(lease)).await?;
    follow(agent, talk, job).await
}

/// Plans without changing anything.
///
/// # Errors
/// Whatever would keep the job from starting: refusals above all.
pub async fn dry_run(agent: &Agent, work: Work, seat: Seat) -> Result<DeployPlan, Failure> {
    // A dry run has no job, and job 0 does not exist.
    let beside = beside(&work.spec, JobId(0))?;
    let prepared = Box::pin(plan::prepare(agent, &work, &beside, &seat)).await;
    stage::clear(&beside).await?;
    prepared.map(|prepared| prepared.plan)
}

/// Begins a job, which goes on by itself.
///
/// # Errors
/// It cannot be recorded; nothing has begun then.
pub async fn start(
    agent: &Agent,
    work: Work,
    seat: Seat,
    who: Arc<Who>,
    lease: Option<wharf_state::BlobLease>,
) -> Result<JobId, Failure> {
    // Before the job is recorded, so that a path that does not do leaves no job behind.
    let place = beside(&work.spec, JobId(0))?;
    let request = serde_json::to_value(Request::of(&work))
        .map_err(|e| Failure::from_error(FailureKind::Internal, &e))?;
    let new = NewJob {
        app: work.spec.app.clone(),
        kind: work.kind(),
        by: who.by.clone(),
        from: who.from.clone(),
        request,
        unless_locked: true,
    };
    // Before the job: what is not recorded is not done.
    for (flag, outcome) in work.remarks() {
        let entry = AuditEntry {
            at: Timestamp::now(),
            app: Some(new.app.clone()),
            by: new.by.clone(),
            from: new.from.clone(),
            action: format!("{}{flag}", action(&new.kind)),
            outcome,
        };
        agent.state.audit(entry).await.map_err(|e| failures::of_state(&e))?;
    }
    let (job, record) = open(agent, new, &seat).await?;
    let beside = place.of_job(&work.spec.app, job);
    let running = run::Job {
        agent: agent.clone(),
        id: job,
        kind: work.kind(),
        release: work.release,
        spec: work.spec.clone(),
        beside,
        seat,
        record,
        who,
    };
    tokio::spawn(run::to_the_end(running, work, lease));
    Ok(job)
}

/// Numbers a job, opens its log, and says in the audit that it has begun.
///
/// # Errors
/// It cannot be recorded, or a lock keeps it back; then it is over, and nothing of it has begun.
pub async fn open(agent: &Agent, new: NewJob, seat: &Seat) -> Result<(JobId, record::Record), Failure> {
    let entry = AuditEntry {
        at: Timestamp::now(),
        app: Some(new.app.clone()),
        by: new.by.clone(),
        from: new.from.clone(),
        action: action(&new.kind),
        outcome: String::new(),
    };
    let job = agent.state.create_job(new).await.map_err(|e| failures::of_state(&e))?.job;
    match tell_of(agent, job, entry).await {
        Ok(log) => {
            seat.runs(job);
            Ok((job, record::Record::new(log)))
        }
        Err(failure) => {
            let outcome = wharf_proto::Outcome::Failed { failure: failure.clone() };
            agent.state.finish_job(job, outcome).await.map_err(|e| failures::of_state(&e))?;
            Err(failure)
        }
    }
}

async fn tell_of(agent: &Agent, job: JobId, entry: AuditEntry) -> Result<wharf_state::EventWriter, Failure> {
    let entry = AuditEntry { outcome: format!("job {job} started"), ..entry };
    agent.state.audit(entry).await.map_err(|e| failures::of_state(&e))?;
    agent.events.create(job).await.map_err(|e| failures::of_events(&e, job))
}

/// The part of the work that recovery needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    pub release: ReleaseId,
    pub spec: AppSpec,
}

impl Request {
    fn of(work: &Work) -> Self {
        Self { release: work.release, spec: work.spec.clone() }
    }
}

pub fn beside(spec: &AppSpec, job: JobId) -> Result<Beside, Failure> {
    Beside::new(Path::new(&spec.path), &spec.app, job)
        .ok_or_else(|| Failure::new(FailureKind::Config, format!("{} cannot be an app directory", spec.path)))
}
