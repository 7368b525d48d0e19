//! Backups that were made and checked. The backups themselves are in the app's repository.

use super::column;
use crate::{State, StateError};
use jiff::Timestamp;
use rusqlite::{Row, params};
use wharf_proto::{AppName, BackupId, JobId, ReleaseId};

/// One checked backup of an app.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupRecord {
    pub id: BackupId,
    pub at: Timestamp,
    /// The job that it was made for.
    pub job: Option<JobId>,
    /// What was live when it was made.
    pub release: Option<ReleaseId>,
    /// What it holds and how it was checked, as the one who made it says.
    pub report: serde_json::Value,
}

impl State {
    /// Records a backup, or replaces what is recorded of it.
    pub async fn record_backup(&self, app: &AppName, backup: BackupRecord) -> Result<(), StateError> {
        let app = app.clone();
        self.transaction("record a backup", move |db| {
            db.execute(
                "INSERT INTO backups (app, id, at, job, release, report) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (app, id) DO UPDATE SET at = excluded.at, job = excluded.job,
                     release = excluded.release, report = excluded.report",
                params![
                    app.as_str(),
                    backup.id.0,
                    backup.at.to_string(),
                    backup.job.map(column::job_number),
                    backup.release.map(|release| release.0),
                    column::to_json("report", &backup.report)?,
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// An app's backups, newest first.
    pub async fn backups(&self, app: &AppName) -> Result<Vec<BackupRecord>, StateError> {
        let app = app.clone();
        self.transaction("list an app's backups", move |db| {
            let mut select = db.prepare_cached("SELECT * FROM backups WHERE app = ?1 ORDER BY seq DESC")?;
            select.query_and_then([app.as_str()], read)?.collect()
        })
        .await
    }

    pub async fn last_backup(&self, app: &AppName) -> Result<Option<BackupRecord>, StateError> {
        let app = app.clone();
        self.transaction("read an app's last backup", move |db| {
            let mut select =
                db.prepare_cached("SELECT * FROM backups WHERE app = ?1 ORDER BY seq DESC LIMIT 1")?;
            let mut rows = select.query_and_then([app.as_str()], read)?;
            rows.next().transpose()
        })
        .await
    }
}

fn read(row: &Row<'_>) -> Result<BackupRecord, StateError> {
    let job = row.get::<_, Option<i64>>("job")?;
    Ok(BackupRecord {
        id: BackupId(row.get("id")?),
        at: column::text(row, "at")?,
        job: job.map(|number| JobId(number.unsigned_abs())),
        release: row.get::<_, Option<u32>>("release")?.map(ReleaseId),
        report: column::json(row, "report")?,
    })
}
