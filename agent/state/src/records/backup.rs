//! Backups that were made and checked. The backups themselves are in the app's repository.

use super::column;
use crate::{State, StateError};
use jiff::Timestamp;
use rusqlite::{Row, params};
use std::collections::BTreeSet;
use wharf_proto::backup::Proof;
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
    /// Why it was made, in its maker's words.
    pub message: Option<String>,
    /// What the last drill found. [`State::record_backup`] leaves it as it is; [`State::record_proof`] sets it.
    pub proof: Proof,
    /// Whether its owner wants it to stay. [`State::pin_backup`] sets it.
    pub pinned: bool,
}

impl State {
    /// Records a backup, or replaces what is recorded of it.
    pub async fn record_backup(&self, app: &AppName, backup: BackupRecord) -> Result<(), StateError> {
        let app = app.clone();
        self.transaction("record a backup", move |db| {
            db.execute(
                "INSERT INTO backups (app, id, at, job, release, report, message)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (app, id) DO UPDATE SET at = excluded.at, job = excluded.job,
                     release = excluded.release, report = excluded.report, message = excluded.message",
                params![
                    app.as_str(),
                    backup.id.0,
                    backup.at.to_string(),
                    backup.job.map(column::job_number),
                    backup.release.map(|release| release.0),
                    column::to_json("report", &backup.report)?,
                    backup.message,
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Records what a drill found. A backup that is not recorded has nothing to be proven against: it is left out.
    pub async fn record_proof(&self, app: &AppName, id: &BackupId, proof: Proof) -> Result<(), StateError> {
        let (app, id) = (app.clone(), id.clone());
        self.transaction("record what a drill found", move |db| {
            let proof = column::to_json("proof", &proof)?;
            let update = "UPDATE backups SET proof = ?3 WHERE app = ?1 AND id = ?2";
            db.execute(update, params![app.as_str(), id.0, proof])?;
            Ok(())
        })
        .await
    }

    /// Marks a backup as one that stays, or no longer.
    pub async fn pin_backup(&self, app: &AppName, id: &BackupId, pinned: bool) -> Result<(), StateError> {
        let (app, id) = (app.clone(), id.clone());
        self.transaction("pin a backup", move |db| {
            let update = "UPDATE backups SET pinned = ?3 WHERE app = ?1 AND id = ?2";
            db.execute(update, params![app.as_str(), id.0, pinned])?;
            Ok(())
        })
        .await
    }

    /// Forgets what is recorded of an app's backups, but for those that are still there.
    pub async fn retain_backups(&self, app: &AppName, there: BTreeSet<BackupId>) -> Result<(), StateError> {
        let app = app.clone();
        self.transaction("forget backups", move |db| {
            let mut select = db.prepare_cached("SELECT id FROM backups WHERE app = ?1")?;
            let known: Vec<String> =
                select.query_map([app.as_str()], |row| row.get(0))?.collect::<Result<_, _>>()?;
            for id in known.into_iter().filter(|id| !there.contains(&BackupId(id.clone()))) {
                db.execute("DELETE FROM backups WHERE app = ?1 AND id = ?2", params![app.as_str(), id])?;
            }
            Ok(())
        })
        .await
    }

    /// When the owner said that the recovery key is put away.
    pub async fn key_saved(&self, app: &AppName) -> Result<Option<Timestamp>, StateError> {
        let app = app.clone();
        self.transaction("read about an app's recovery key", move |db| {
            let mut select = db.prepare_cached("SELECT key_saved FROM repositories WHERE app = ?1")?;
            let mut rows =
                select.query_and_then([app.as_str()], |row| column::optional_text(row, "key_saved"))?;
            Ok(rows.next().transpose()?.flatten())
        })
        .await
    }

    /// The owner has put the recovery key away (`None`: there is a new one, which nobody has).
    pub async fn set_key_saved(&self, app: &AppName, at: Option<Timestamp>) -> Result<(), StateError> {
        let app = app.clone();
        self.transaction("record that a recovery key is saved", move |db| {
            db.execute(
                "INSERT INTO repositories (app, key_saved) VALUES (?1, ?2)
                 ON CONFLICT (app) DO UPDATE SET key_saved = excluded.key_saved",
                params![app.as_str(), at.map(|at| at.to_string())],
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
        message: row.get("message")?,
        proof: column::optional_json(row, "proof")?.unwrap_or_default(),
        pinned: row.get("pinned")?,
    })
}
