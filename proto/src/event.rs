//! A job as its watchers see it.
//!
//! **Invariants**: a job's events are numbered from 0 without gaps; the first announces every step; exactly one, the
//! last, is [`EventBody::Finished`]. An event is on the server's disk before anybody is sent it.
//!
//! Whoever watches an agent newer than itself skips what it does not know: every enum here has an `Unknown`.

use crate::{BackupId, Failure, JobId, ReleaseId, plan::DeployPlan};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One event of one job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub job: JobId,
    /// Rises by one with each event of the job, from 0.
    pub index: u64,
    pub at: Timestamp,
    #[serde(flatten)]
    pub body: EventBody,
}

/// The steps of jobs, in their order: first those of a deploy or rollback, then those about backups alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Plan,
    Backup,
    Build,
    Apply,
    Migrate,
    Start,
    Verify,
    Commit,
    /// Everything as it was before; only in jobs that failed after `apply` began.
    PutBack,
    Prune,
    /// A backup is written out, beside what is live.
    Restore,
    /// What was read or restored is compared with what was recorded.
    Check,
    /// The restored databases take the live ones' names.
    Swap,
    /// A backup is restored into a throwaway database.
    Drill,
    /// A command of the project's runs on the server itself.
    Hook,
    /// Containers are stopped and started again, one after the other.
    Restart,
    /// Containers are added, taken away, or given another limit.
    Scale,
    /// The app leaves Wharf.
    Leave,
    /// One that a newer agent tells of and this build does not know.
    #[serde(other)]
    Unknown,
}

impl Step {
    /// As people read it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Backup => "back up",
            Self::Build => "build",
            Self::Apply => "apply",
            Self::Migrate => "migrate",
            Self::Start => "start",
            Self::Verify => "verify",
            Self::Commit => "commit",
            Self::PutBack => "put back",
            Self::Prune => "prune",
            Self::Restore => "restore",
            Self::Check => "check",
            Self::Swap => "swap",
            Self::Drill => "drill",
            Self::Hook => "hook",
            Self::Restart => "restart",
            Self::Scale => "scale",
            Self::Leave => "leave",
            Self::Unknown => "something newer",
        }
    }
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventBody {
    /// The job begins: what it is and the steps that it will take.
    Announced {
        job_kind: JobKind,
        app: crate::AppName,
        steps: Vec<Step>,
    },
    /// What the job is going to do, once that is known.
    Planned {
        plan: Box<DeployPlan>,
    },
    StepStarted {
        step: Step,
    },
    StepFinished {
        step: Step,
        duration_ms: u64,
    },
    StepSkipped {
        step: Step,
        why: String,
    },
    StepFailed {
        step: Step,
        failure: Failure,
    },
    /// Something that a person should know.
    Note {
        level: Level,
        text: String,
    },
    /// A line that a build, migration or container wrote.
    Output {
        step: Step,
        service: Option<String>,
        line: String,
    },
    BackedUp {
        backup: BackupId,
        summary: String,
    },
    /// The job is over. Always the last event.
    Finished {
        outcome: Outcome,
    },
    /// One that a newer agent tells of and this build does not know.
    #[serde(other)]
    Unknown,
}

/// What sort of job this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum JobKind {
    Deploy {
        release: ReleaseId,
    },
    Rollback {
        from: ReleaseId,
        to: ReleaseId,
    },
    Backup,
    Restore {
        backup: BackupId,
    },
    /// A backup is verified by restoring it.
    Drill {
        backup: BackupId,
    },
    /// Backups that retention lets go are forgotten.
    Prune,
    /// Images that nothing needs and build cache are removed.
    PruneDocker,
    /// Containers are stopped and started again.
    Restart {
        services: Vec<String>,
    },
    /// Services get more or fewer containers, or another limit.
    Scale {
        services: Vec<String>,
    },
    /// Pending migrations of the live release are applied.
    MigrateUp,
    /// Migrations go back.
    MigrateDown {
        names: Vec<String>,
    },
    /// The app leaves Wharf; what runs goes on.
    Forget,
    /// One that a newer agent tells of and this build does not know.
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Info,
    Warning,
    /// One that a newer agent tells of and this build does not know.
    #[serde(other)]
    Unknown,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    /// The release is live and proved healthy.
    Released { release: ReleaseId },
    /// It failed before production was touched.
    Failed { failure: Failure },
    /// It failed after production was touched; `live` serves again as before (`None`: nothing ran before).
    PutBack { failure: Failure, live: Option<ReleaseId> },
    /// It failed, and so did putting back. The text says what state things are in.
    NotPutBack { failure: Failure, put_back: Failure },
    /// A job that makes no release did what was asked.
    Done { summary: String },
    /// A drill or a prune gave way to another job before it was done; the app was not changed.
    Postponed { failure: Failure },
    /// One that a newer agent tells of and this build does not know.
    #[serde(other)]
    Unknown,
}

impl Outcome {
    /// The exit code of a client that watched the job; documented in `docs/EXIT-CODES.md`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Released { .. } | Self::Done { .. } => 0,
            Self::Failed { failure } | Self::Postponed { failure } => failure.exit_code(),
            Self::PutBack { .. } => 1,
            Self::NotPutBack { .. } => crate::failure::EXIT_NOT_PUT_BACK,
            // Neither success nor a known failure: one side is too old for the other.
            Self::Unknown => crate::failure::EXIT_CANNOT_TALK,
        }
    }
}
