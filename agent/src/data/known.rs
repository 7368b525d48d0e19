//! Which backups there are: what the repository lists, with what the state knows of each.

use crate::agent::Agent;
use crate::failures;
use crate::jobs::backup::child;
use jiff::Timestamp;
use std::collections::BTreeMap;
use wharf_backup::{BackupError, BackupReport, DumpReport, ListRequest, VolumeReport};
use wharf_proto::backup::{BackupInfo, DatabaseInfo, Proof, VolumeInfo};
use wharf_proto::event::JobKind;
use wharf_proto::{AppName, BackupId, Failure, FailureKind, JobId, ReleaseId};
use wharf_state::{AppRecord, BackupRecord};

/// The shortest beginning of an identity that is taken for it.
const PREFIX_DIGITS: usize = 4;

/// A backup.
#[derive(Debug, Clone)]
pub struct Known {
    pub id: BackupId,
    /// Where it came back from a copy: the id that it had in the repository that it was made in, and has in copies.
    pub original: Option<BackupId>,
    pub time: Timestamp,
    pub files: u64,
    pub size_bytes: u64,
    pub dumps: Vec<DumpReport>,
    pub volumes: Vec<VolumeReport>,
    /// The labels of what was copied from the disk instead of dumped.
    pub cold: Vec<String>,
    /// `None`: the agent's state does not know it.
    record: Option<BackupRecord>,
}

impl Known {
    /// One of its volumes, by its label, its name on the engine or its path.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn volume(&self, wanted: &str) -> Result<&VolumeReport, Failure> {
        let plain = wanted.trim_end_matches('/');
        let named = |volume: &&VolumeReport| {
            volume.label == plain
                || volume.volume.as_deref() == Some(plain)
                || volume.path == std::path::Path::new(plain)
        };
        self.volumes.iter().find(named).ok_or_else(|| {
            let all: Vec<&str> = self.volumes.iter().map(|volume| volume.label.as_str()).collect();
            let text = format!("backup {} holds no volume {wanted}", self.id.short());
            Failure::new(FailureKind::NotFound, text).hint(match all.as_slice() {
                [] => "it holds no volume: [[volume]] in wharf.toml takes data into backups".to_owned(),
                all => format!("it holds: {}", all.join(", ")),
            })
        })
    }

    /// Whether its owner wants it to stay.
    pub fn is_pinned(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.pinned)
    }

    /// Whether it is proven; `None`: the agent's state does not know it.
    pub fn proof(&self) -> Option<&Proof> {
        self.record.as_ref().map(|record| &record.proof)
    }
}

/// Every backup that the repository lists, newest first.
///
/// # Errors
/// The repository or the state does not answer.
pub async fn listed(agent: &Agent, app: &AppName) -> Result<Vec<Known>, Failure> {
    let records = agent.state.backups(app).await.map_err(|e| failures::of_state(&e))?;
    in_repository(agent, app, &records, true).await.map_err(|e| e.failure())
}

async fn in_repository(
    agent: &Agent,
    app: &AppName,
    records: &[BackupRecord],
    patient: bool,
) -> Result<Vec<Known>, BackupError> {
    let repo = agent.layout.repository(app);
    if !repo.is_dir() {
        return Ok(Vec::new());
    }
    let list = ListRequest { repo, key_file: agent.layout.repository_key(app), patient };
    let listed = wharf_backup::run(&child(agent), list, |_| ()).await?;
    let mut known: Vec<Known> = listed.backups.into_iter().map(|b| of_listed(b, records)).collect();
    known.sort_by_key(|backup| std::cmp::Reverse(backup.time));
    Ok(known)
}

/// Every backup of an app, newest first. Where the repository does not answer, what the state knows of it: a damaged
/// repository must not hide what was in it.
///
/// # Errors
/// The state cannot be read.
pub async fn all(agent: &Agent, app: &AppRecord) -> Result<Vec<Known>, Failure> {
    let records = agent.state.backups(&app.app).await.map_err(|e| failures::of_state(&e))?;
    match in_repository(agent, &app.app, &records, false).await {
        Ok(known) => Ok(known),
        Err(error) => {
            tracing::warn!(app = %app.app, %error, "cannot list the repository; telling what is remembered");
            Ok(records.into_iter().map(of_record).collect())
        }
    }
}

/// As people are told.
///
/// # Errors
/// As [`all`].
pub async fn infos(agent: &Agent, app: &AppRecord) -> Result<Vec<BackupInfo>, Failure> {
    let known = all(agent, app).await?;
    let before = releases_made(agent, &app.app).await?;
    let mut copies = super::offsite::copies(agent, &app.app);
    let info = |backup: Known| {
        let copies = copies.remove(backup.original.as_ref().unwrap_or(&backup.id)).unwrap_or_default();
        BackupInfo { copies, ..info(backup, &before) }
    };
    Ok(known.into_iter().map(info).collect())
}

/// The backup whose identity begins so.
///
/// # Errors
/// None does, or several do.
pub fn find<'a>(known: &'a [Known], wanted: &BackupId) -> Result<&'a Known, Failure> {
    let digits = wanted.0.to_ascii_lowercase();
    let is_id = digits.len() >= PREFIX_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let mut found = known.iter().filter(|backup| is_id && backup.id.0.starts_with(&digits));
    match (found.next(), found.next()) {
        (Some(backup), None) => Ok(backup),
        (None, _) => Err(Failure::new(FailureKind::NotFound, format!("there is no backup {wanted}"))
            .hint("see what there is: wharf backup list")),
        (Some(_), Some(_)) => {
            Err(Failure::new(FailureKind::Config, format!("several backups begin with {wanted}"))
                .hint("give more digits, as `wharf backup list --json` shows them"))
        }
    }
}

fn of_listed(listed: wharf_backup::BackupInfo, records: &[BackupRecord]) -> Known {
    let record = records.iter().find(|record| record.id == listed.id).cloned();
    let report = record.as_ref().and_then(report);
    Known {
        original: listed.original,
        id: listed.id,
        time: listed.time,
        files: listed.files,
        size_bytes: listed.size_bytes,
        // What was recorded when it was made: the repository could have been changed since.
        dumps: report.as_ref().map_or(listed.dumps, |report| report.dumps.clone()),
        volumes: report.as_ref().map_or(listed.volumes, |report| report.volumes.clone()),
        cold: report.map(|report| report.cold).unwrap_or_default(),
        record,
    }
}

fn of_record(record: BackupRecord) -> Known {
    let report = report(&record);
    Known {
        id: record.id.clone(),
        original: None,
        time: record.at,
        files: report.as_ref().map_or(0, |report| report.files),
        size_bytes: report.as_ref().map_or(0, |report| report.size_bytes),
        dumps: report.as_ref().map(|report| report.dumps.clone()).unwrap_or_default(),
        volumes: report.as_ref().map(|report| report.volumes.clone()).unwrap_or_default(),
        cold: report.map(|report| report.cold).unwrap_or_default(),
        record: Some(record),
    }
}

fn report(record: &BackupRecord) -> Option<BackupReport> {
    serde_json::from_value(record.report.clone()).ok()
}

/// The releases that jobs made, by the job.
async fn releases_made(agent: &Agent, app: &AppName) -> Result<BTreeMap<JobId, ReleaseId>, Failure> {
    let jobs = agent.state.jobs(Some(app), u32::MAX).await.map_err(|e| failures::of_state(&e))?;
    let made = jobs.into_iter().filter_map(|job| match job.kind {
        JobKind::Deploy { release } | JobKind::Rollback { to: release, .. } => Some((job.job, release)),
        JobKind::Backup
        | JobKind::Restore { .. }
        | JobKind::Drill { .. }
        | JobKind::Prune
        | JobKind::PruneDocker
        | JobKind::Restart { .. }
        | JobKind::Scale { .. }
        | JobKind::MigrateUp
        | JobKind::MigrateDown { .. }
        | JobKind::Forget
        | JobKind::Unknown => None,
    });
    Ok(made.collect())
}

fn info(backup: Known, before: &BTreeMap<JobId, ReleaseId>) -> BackupInfo {
    let record = backup.record.as_ref();
    BackupInfo {
        release: record.and_then(|record| record.release),
        before: record.and_then(|record| record.job).and_then(|job| before.get(&job).copied()),
        message: record.and_then(|record| record.message.clone()),
        pinned: record.is_some_and(|record| record.pinned),
        checked: record.is_some(),
        proof: record.map_or(Proof::Unproven, |record| record.proof.clone()),
        databases: backup.dumps.iter().map(database).collect(),
        volumes: backup.volumes.iter().map(volume).collect(),
        id: backup.id,
        time: backup.time,
        files: backup.files,
        size_bytes: backup.size_bytes,
        copies: Vec::new(),
    }
}

fn volume(report: &VolumeReport) -> VolumeInfo {
    VolumeInfo {
        label: report.label.clone(),
        volume: report.volume.clone(),
        path: report.path.to_string_lossy().into_owned(),
        mode: report.mode,
        files: report.files,
        size_bytes: report.size_bytes,
        sqlite: report.sqlite.len() as u64,
    }
}

fn database(dump: &DumpReport) -> DatabaseInfo {
    DatabaseInfo {
        service: dump.service().to_owned(),
        kind: dump.kind,
        database: dump.database.clone(),
        size_bytes: dump.size_bytes,
        tables: dump.tables.len() as u64,
        rows: dump.tables.iter().map(|table| table.rows).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(ids: &[&str]) -> Vec<Known> {
        let backup = |id: &&str| Known {
            id: BackupId((*id).to_owned()),
            original: None,
            time: Timestamp::UNIX_EPOCH,
            files: 0,
            size_bytes: 0,
            dumps: vec![],
            volumes: vec![],
            cold: vec![],
            record: None,
        };
        ids.iter().map(backup).collect()
    }

    #[test]
    fn a_backup_is_found_by_the_beginning_of_its_identity() {
        let known = known(&["abcd1111", "abcd2222", "ffff0000"]);
        let find = |wanted: &str| find(&known, &BackupId(wanted.into())).map(|found| found.id.0.clone());
        assert_eq!(find("FFFF").unwrap(), "ffff0000");
        assert_eq!(find("abcd2").unwrap(), "abcd2222");
        assert_eq!(find("abcd").unwrap_err().kind, FailureKind::Config);
        for nothing in ["", "f", "abc", "0000", "latest", "ffff00001"] {
            assert_eq!(find(nothing).unwrap_err().kind, FailureKind::NotFound, "{nothing}");
        }
    }
}
