//! What is done for an app again and again: when it was last tried, and what came of it.

use super::column;
use crate::{State, StateError};
use jiff::Timestamp;
use rusqlite::{Row, params};
use wharf_proto::{AppName, JobId};

/// What is remembered of one chore of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChoreRecord {
    /// Its name, as in `backup`.
    pub chore: String,
    /// When it was first asked for.
    pub since: Timestamp,
    /// When it was last begun, however that ended.
    pub last_run: Option<Timestamp>,
    /// How many runs have failed since one did not.
    pub failures: u32,
    /// Why the last run failed; `None`: it did not.
    pub why: Option<String>,
    /// The last run.
    pub job: Option<JobId>,
}

impl ChoreRecord {
    /// One that was never run.
    pub fn new(chore: &str, since: Timestamp) -> Self {
        Self { chore: chore.to_owned(), since, last_run: None, failures: 0, why: None, job: None }
    }
}

impl State {
    /// The chores of an app that are remembered, by name.
    pub async fn chores(&self, app: &AppName) -> Result<Vec<ChoreRecord>, StateError> {
        let app = app.clone();
        self.transaction("read an app's chores", move |db| {
            let mut select = db.prepare_cached("SELECT * FROM chores WHERE app = ?1 ORDER BY chore")?;
            select.query_and_then([app.as_str()], read)?.collect()
        })
        .await
    }

    /// Remembers a chore, or replaces what is remembered of it.
    pub async fn record_chore(&self, app: &AppName, chore: ChoreRecord) -> Result<(), StateError> {
        let app = app.clone();
        self.transaction("record a chore", move |db| {
            db.execute(
                "INSERT OR REPLACE INTO chores (app, chore, since, last_run, failures, why, job)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    app.as_str(),
                    chore.chore,
                    chore.since.to_string(),
                    chore.last_run.map(|at| at.to_string()),
                    chore.failures,
                    chore.why,
                    chore.job.map(column::job_number),
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Forgets a chore that nobody asks for any more.
    pub async fn forget_chore(&self, app: &AppName, chore: &str) -> Result<(), StateError> {
        let (app, chore) = (app.clone(), chore.to_owned());
        self.transaction("forget a chore", move |db| {
            db.execute("DELETE FROM chores WHERE app = ?1 AND chore = ?2", params![app.as_str(), chore])?;
            Ok(())
        })
        .await
    }
}

fn read(row: &Row<'_>) -> Result<ChoreRecord, StateError> {
    Ok(ChoreRecord {
        chore: row.get("chore")?,
        since: column::text(row, "since")?,
        last_run: column::optional_text(row, "last_run")?,
        failures: row.get("failures")?,
        why: row.get("why")?,
        job: row.get::<_, Option<i64>>("job")?.map(|number| JobId(number.unsigned_abs())),
    })
}
