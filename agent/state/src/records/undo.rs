//! The undo journal: what must be done to take back what a job did.
//!
//! **Invariants**: entries keep the order in which they were recorded and are on disk before the act; none is recorded
//! for a job that can no longer be put back.

use super::{column, job};
use crate::{State, StateError};
use rusqlite::{Connection, params};
use serde::{Serialize, de::DeserializeOwned};
use wharf_proto::JobId;

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoEntry<U> {
    /// Rises with each entry of the job, from 1.
    pub seq: u64,
    pub undo: U,
}

impl State {
    /// Records, in order and all or none, how to undo what is about to be done. Only when this has returned may it be
    /// done.
    ///
    /// # Errors
    /// [`StateError::NotUndoable`] for a job that is live, being put back or over.
    pub async fn record_undo<U>(
        &self,
        job: JobId,
        entries: impl IntoIterator<Item = U>,
    ) -> Result<(), StateError>
    where
        U: Serialize,
    {
        let mut rows = Vec::new();
        for entry in entries {
            rows.push(column::to_json("undo", &entry)?);
        }
        self.transaction("write the undo journal", move |db| append(db, job, &rows)).await
    }

    /// A job's entries in the order in which they were recorded. Undoing goes from the last to the first.
    pub async fn undo_entries<U>(&self, job: JobId) -> Result<Vec<UndoEntry<U>>, StateError>
    where
        U: DeserializeOwned + Send + 'static,
    {
        self.transaction("read the undo journal", move |db| {
            let mut select = db.prepare_cached("SELECT seq, entry FROM undo WHERE job = ?1 ORDER BY seq")?;
            let rows = select.query_and_then([column::job_number(job)], |row| {
                let seq = row.get::<_, i64>("seq")?.unsigned_abs();
                Ok(UndoEntry { seq, undo: column::json(row, "entry")? })
            })?;
            rows.collect()
        })
        .await
    }

    /// Forgets a job's entries: everything was undone, or nothing of it will ever be.
    pub async fn clear_undo(&self, job: JobId) -> Result<(), StateError> {
        self.transaction("clear the undo journal", move |db| clear(db, job)).await
    }
}

fn append(db: &Connection, job: JobId, rows: &[String]) -> Result<(), StateError> {
    let phase = job::require(db, job)?.phase;
    if !phase.is_undoable() {
        return Err(StateError::NotUndoable { job, phase });
    }
    let mut insert = db.prepare_cached(
        "INSERT INTO undo (job, seq, entry)
         VALUES (?1, 1 + coalesce((SELECT max(seq) FROM undo WHERE job = ?1), 0), ?2)",
    )?;
    for row in rows {
        insert.execute(params![column::job_number(job), row])?;
    }
    Ok(())
}

pub(super) fn clear(db: &Connection, job: JobId) -> Result<(), StateError> {
    db.execute("DELETE FROM undo WHERE job = ?1", [column::job_number(job)])?;
    Ok(())
}
