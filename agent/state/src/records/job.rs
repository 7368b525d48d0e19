//! Jobs: who asked for what, how far it is, how it ended.

use super::column;
use crate::{Phase, PhaseEvent, State, StateError};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use wharf_proto::event::{JobKind, Outcome};
use wharf_proto::release::JobInfo;
use wharf_proto::{AppName, JobId};

/// A job, running or over.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRecord {
    pub job: JobId,
    pub app: AppName,
    pub kind: JobKind,
    pub by: String,
    /// The address that the request came from.
    pub from: String,
    pub started: Timestamp,
    pub finished: Option<Timestamp>,
    /// `None` while it runs.
    pub outcome: Option<Outcome>,
    pub phase: Phase,
    /// What was asked for, as the engine needs it to go on after a crash. No secrets.
    pub request: serde_json::Value,
}

/// A job that is about to begin.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    pub app: AppName,
    pub kind: JobKind,
    pub by: String,
    pub from: String,
    pub request: serde_json::Value,
    /// Whether a lock on the app keeps it from beginning.
    pub unless_locked: bool,
}

impl JobRecord {
    /// The job as people are told of it.
    pub fn info(&self) -> JobInfo {
        JobInfo {
            job: self.job,
            app: self.app.clone(),
            kind: self.kind.clone(),
            by: self.by.clone(),
            started: self.started,
            finished: self.finished,
            outcome: self.outcome.clone(),
        }
    }
}

impl State {
    /// Numbers and records a job, which starts now and is [`Phase::Preparing`].
    ///
    /// # Errors
    /// [`StateError::Locked`] for a job that a lock keeps back, while one holds.
    pub async fn create_job(&self, new: NewJob) -> Result<JobRecord, StateError> {
        self.transaction("record a job", move |db| {
            if let Some(lock) = super::lock::find(db, &new.app)?.filter(|_| new.unless_locked) {
                return Err(StateError::Locked { app: new.app, lock });
            }
            db.execute(
                "INSERT INTO jobs (app, kind, by, \"from\", started, phase, request)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    new.app.as_str(),
                    column::to_json("kind", &new.kind)?,
                    new.by,
                    new.from,
                    Timestamp::now().to_string(),
                    Phase::Preparing.as_str(),
                    column::to_json("request", &new.request)?,
                ],
            )?;
            require(db, JobId(db.last_insert_rowid().unsigned_abs()))
        })
        .await
    }

    pub async fn job(&self, job: JobId) -> Result<Option<JobRecord>, StateError> {
        self.transaction("read a job", move |db| find(db, job)).await
    }

    /// The last jobs of an app, or of all, newest first.
    pub async fn jobs(&self, app: Option<&AppName>, limit: u32) -> Result<Vec<JobRecord>, StateError> {
        let app = app.cloned();
        self.transaction("list jobs", move |db| {
            let mut select = db.prepare_cached(
                "SELECT * FROM jobs WHERE ?1 IS NULL OR app = ?1 ORDER BY id DESC LIMIT ?2",
            )?;
            select.query_and_then(params![app.as_ref().map(AppName::as_str), limit], read)?.collect()
        })
        .await
    }

    /// The jobs that have no outcome, oldest first: those that run, or that a crash interrupted.
    pub async fn unfinished_jobs(&self) -> Result<Vec<JobRecord>, StateError> {
        self.transaction("list unfinished jobs", |db| {
            let mut select = db.prepare_cached("SELECT * FROM jobs WHERE outcome IS NULL ORDER BY id")?;
            select.query_and_then([], read)?.collect()
        })
        .await
    }

    /// Moves a job on. [`PhaseEvent::Commit`] comes with a release ([`State::commit_live`]), [`PhaseEvent::End`] with an
    /// outcome ([`State::finish_job`]); here they are for neither.
    ///
    /// # Errors
    /// [`StateError::Phase`] where the job cannot go there.
    pub async fn set_phase(&self, job: JobId, event: PhaseEvent) -> Result<Phase, StateError> {
        self.transaction("move a job on", move |db| match event {
            PhaseEvent::Change | PhaseEvent::PutBack => advance(db, job, event),
            PhaseEvent::Commit | PhaseEvent::End => {
                Err(crate::PhaseError { from: require(db, job)?.phase, event }.into())
            }
        })
        .await
    }

    /// A job that makes no release has done what it changes: from here on nothing of it is put back.
    ///
    /// # Errors
    /// [`StateError::Phase`] for a job that is not changing anything.
    pub async fn commit_job(&self, job: JobId) -> Result<(), StateError> {
        self.transaction("record that a job did its work", move |db| {
            advance(db, job, PhaseEvent::Commit).map(drop)
        })
        .await
    }

    /// The job is over. Its undo entries go with it, unless it could not be put back: then they stay for whoever
    /// repairs it.
    ///
    /// # Errors
    /// [`StateError::Phase`] for a job that changed production and was neither committed nor put back, and for one that
    /// is over.
    pub async fn finish_job(&self, job: JobId, outcome: Outcome) -> Result<(), StateError> {
        self.transaction("record how a job ended", move |db| {
            let from = require(db, job)?.phase;
            let phase = from.transition(PhaseEvent::End)?;
            db.execute(
                "UPDATE jobs SET phase = ?2, finished = ?3, outcome = ?4 WHERE id = ?1",
                params![
                    column::job_number(job),
                    phase.as_str(),
                    Timestamp::now().to_string(),
                    column::to_json("outcome", &outcome)?,
                ],
            )?;
            match outcome {
                Outcome::NotPutBack { .. } => Ok(()),
                Outcome::Released { .. }
                | Outcome::Failed { .. }
                | Outcome::PutBack { .. }
                | Outcome::Done { .. }
                | Outcome::Postponed { .. }
                | Outcome::Unknown => super::undo::clear(db, job),
            }
        })
        .await
    }

    /// Forgets a job that is over, with its undo entries.
    ///
    /// # Errors
    /// [`StateError::NoSuchJob`] for one that is not there or not over.
    pub async fn delete_job(&self, job: JobId) -> Result<(), StateError> {
        self.transaction("forget a job", move |db| {
            let delete = "DELETE FROM jobs WHERE id = ?1 AND outcome IS NOT NULL";
            match db.execute(delete, [column::job_number(job)])? {
                0 => Err(StateError::NoSuchJob(job)),
                _ => Ok(()),
            }
        })
        .await
    }
}

/// Moves `job` on, whatever the event.
pub(super) fn advance(db: &Connection, job: JobId, event: PhaseEvent) -> Result<Phase, StateError> {
    let phase = require(db, job)?.phase.transition(event)?;
    db.execute("UPDATE jobs SET phase = ?2 WHERE id = ?1", params![column::job_number(job), phase.as_str()])?;
    Ok(phase)
}

pub(super) fn require(db: &Connection, job: JobId) -> Result<JobRecord, StateError> {
    find(db, job)?.ok_or(StateError::NoSuchJob(job))
}

fn find(db: &Connection, job: JobId) -> Result<Option<JobRecord>, StateError> {
    let mut select = db.prepare_cached("SELECT * FROM jobs WHERE id = ?1")?;
    let mut rows = select.query_and_then([column::job_number(job)], read)?;
    rows.next().transpose()
}

fn read(row: &Row<'_>) -> Result<JobRecord, StateError> {
    Ok(JobRecord {
        job: column::job(row, "id")?,
        app: column::text(row, "app")?,
        kind: column::json(row, "kind")?,
        by: row.get("by")?,
        from: row.get("from")?,
        started: column::text(row, "started")?,
        finished: column::optional_text(row, "finished")?,
        outcome: column::optional_json(row, "outcome")?,
        phase: column::text(row, "phase")?,
        request: column::json(row, "request")?,
    })
}
