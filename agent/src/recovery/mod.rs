//! `wharfd recover`: an app comes back on a machine that has nothing of it, from a copy of its backups and the recovery
//! key alone. (Finishing jobs after a crash is [`crate::jobs::recover`].)
//!
//! **Invariants**
//! - Nothing that is there is written over ([`targets`]); a recovery that was cut short goes on where it stopped.
//! - The app is live only after it has proved healthy, as after any deploy: the last part is a job like one.
//! - No agent serves meanwhile, and the copy is only read.

mod copy;
mod record;
mod targets;

pub use record::{RecoveryRecord, replace};

use crate::agent::Agent;
use crate::config::Config;
use crate::conversation::Who;
use crate::daemon::{self, DaemonError};
use crate::failures;
use crate::jobs::{self, Source, Work, disk, paths, queue};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wharf_backup::{BackupInfo, DumpOutRequest};
use wharf_proto::event::{EventBody, Level, Outcome};
use wharf_proto::message::JobOptions;
use wharf_proto::{AppName, BackupId, Failure, FailureKind, JobId, Manifest};
use wharf_state::{AppRecord, BlobStore};

/// What is to come back, and from where.
pub struct Wanted {
    /// An `[[offsite]]` of the configuration, or a folder.
    pub from: String,
    /// The recovery key's file.
    pub key_file: PathBuf,
    /// `None`: the only one that is there.
    pub app: Option<AppName>,
    /// `None`: the newest.
    pub backup: Option<BackupId>,
    /// Volumes that exist already and are to be the app's.
    pub accept_volume: Vec<String>,
    /// Only say what is there.
    pub list: bool,
}

/// Brings an app back (or lists what there is); what is to be printed at the end. `say` is told how far it is.
///
/// # Errors
/// What keeps it from coming back. Nothing that was there before was changed.
pub async fn recover(config: Config, wanted: Wanted, say: impl Fn(&str)) -> Result<Vec<String>, Failure> {
    let (agent, _alone) = daemon::open_alone(config).await.map_err(|e| of_daemon(&e))?;
    let place = copy::place(&agent, &wanted.from)?;
    let copy = copy::Copy::find(&agent, &place, wanted.app, wanted.key_file).await?;
    let backups = copy.backups(&agent).await?;
    if wanted.list {
        return Ok(copy::lines(&backups));
    }
    let known = agent.state.app(copy.app()).await.map_err(|e| failures::of_state(&e))?;
    if known.is_some_and(|known| known.live.is_some()) {
        let text = format!("{} is live on this server already", copy.app());
        return Err(
            Failure::new(FailureKind::Refused, text).hint("to go back to a backup: wharf backup restore ID")
        );
    }
    let chosen = copy::choose(&backups, wanted.backup.as_ref())?;
    say(&format!("fetching backup {} of {} ({})", chosen.id.short(), copy.app(), chosen.time));
    let local = copy.bring(&agent, Some(&chosen.id)).await?.ok_or_else(|| {
        Failure::new(FailureKind::NotFound, format!("backup {} is no longer there", chosen.id.short()))
    })?;
    let record = read_record(&agent, copy.app(), &local).await?;
    let options = JobOptions {
        accept_volume: wanted.accept_volume,
        message: record.message.clone(),
        ..JobOptions::default()
    };
    restore(&agent, &record, chosen, &local, options, &say).await?;
    let rest = copy.bring(&agent, None).await;
    if let Err(failure) = &rest {
        say(&format!("warning: older backups were not fetched: {failure}; the copy still has them"));
    }
    copy::record(&agent, copy.app(), &local, record.release).await?;
    Ok(vec![
        format!("{} {} is live again, from backup {}", copy.app(), record.release, local.short()),
        "start the agent: systemctl start wharfd; then point [server] in wharf.toml here, and deploy"
            .to_owned(),
    ])
}

/// Files and volumes first, then the job that builds, loads the databases, starts and verifies.
async fn restore(
    agent: &Agent,
    record: &RecoveryRecord,
    chosen: &BackupInfo,
    local: &BackupId,
    options: JobOptions,
    say: &impl Fn(&str),
) -> Result<(), Failure> {
    let of_state = |e: wharf_state::StateError| failures::of_state(&e);
    let app = &record.spec.app;
    paths::check_spec(&record.spec, agent)?;
    let seat = queue::take(agent, app, 0).await?;
    targets::begin(agent, record, local, &chosen.volumes).await?;
    say("restoring files and volumes");
    targets::fill(agent, record, local, &chosen.volumes).await?;
    let manifest = manifest(agent, record).await?;
    let known = AppRecord {
        app: app.clone(),
        path: record.spec.path.clone(),
        project: record.project.clone(),
        live: None,
        spec: record.spec.clone(),
    };
    agent.state.upsert_app(known).await.map_err(of_state)?;
    let volumes: Vec<String> = chosen.volumes.iter().filter_map(|volume| volume.volume.clone()).collect();
    agent.state.add_volumes(app, volumes).await.map_err(of_state)?;
    agent.state.continue_releases(app, record.next_release).await.map_err(of_state)?;
    agent.state.record_versions(app, record.highest_versions.clone()).await.map_err(of_state)?;
    copy::record(agent, app, local, record.release).await?;
    let lease = agent.blobs.lease(manifest.chunks().map(|chunk| chunk.digest));
    let who = Arc::new(Who { by: "wharfd recover".to_owned(), from: "this server".to_owned() });
    let work = work(record, manifest, local, options, &who);
    let job = jobs::start(agent, work, seat, who, Some(lease)).await?;
    follow(agent, job, say).await?;
    let note = agent.layout.recovering(app);
    std::fs::remove_file(&note).map_err(|e| Failure::from_error(FailureKind::Environment, &e))
}

fn work(
    record: &RecoveryRecord,
    manifest: Manifest,
    backup: &BackupId,
    options: JobOptions,
    who: &Who,
) -> Work {
    Work {
        release: record.release,
        source: Source::Recovered { backup: backup.clone(), adopted: record.adopted },
        spec: record.spec.clone(),
        manifest,
        options,
        versions: record.versions.clone(),
        git_commit: record.git_commit.clone(),
        promoted: record.promoted.clone(),
        by: who.by.clone(),
        env: None,
        role: None,
    }
}

async fn read_record(agent: &Agent, app: &AppName, backup: &BackupId) -> Result<RecoveryRecord, Failure> {
    let to = agent.layout.recovery_record(app);
    match std::fs::remove_file(&to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::from_error(FailureKind::Environment, &error));
        }
        _ => {}
    }
    let request = DumpOutRequest {
        repo: agent.layout.repository(app),
        key_file: agent.layout.repository_key(app),
        snapshot: backup.clone(),
        path: "/recovery.json".to_owned(),
        to: to.clone(),
    };
    let child = jobs::backup::child(agent);
    wharf_backup::run(&child, request, |_| ()).await.map_err(|e| e.failure())?;
    let record = RecoveryRecord::read(&to)?;
    if record.spec.app != *app {
        let text = format!("the backup is one of {}, not of {app}", record.spec.app);
        return Err(Failure::new(FailureKind::Config, text).hint("name the folder that it should lie in"));
    }
    Ok(record)
}

/// What the release shipped, as it lies on the disk now.
async fn manifest(agent: &Agent, record: &RecoveryRecord) -> Result<Manifest, Failure> {
    let (blobs, app_dir) = (agent.blobs.clone(), PathBuf::from(&record.spec.path));
    let shipped = record.shipped.clone();
    failures::blocking(move || {
        let entries = collect(&app_dir, &shipped, &blobs)
            .map_err(|e| Failure::from_error(FailureKind::Environment, &e))?;
        Manifest::new(entries).map_err(|e| Failure::from_error(FailureKind::Backup, &e))
    })
    .await
}

fn collect(
    app_dir: &Path,
    shipped: &[wharf_proto::RelPath],
    blobs: &BlobStore,
) -> std::io::Result<Vec<wharf_proto::Entry>> {
    let mut entries = Vec::new();
    for path in shipped {
        let keep = |piece: &[u8]| blobs.put(piece).map(|_| ()).map_err(std::io::Error::other);
        entries.extend(disk::entry(&path.below(app_dir), path, keep)?);
    }
    Ok(entries)
}

/// Tells of the job until it is over.
async fn follow(agent: &Agent, job: JobId, say: &impl Fn(&str)) -> Result<(), Failure> {
    let mut events = agent.events.follow(job, 0).await.map_err(|e| failures::of_events(&e, job))?;
    while let Some(event) = events.next().await.map_err(|e| failures::of_events(&e, job))? {
        match event.body {
            EventBody::StepStarted { step } => say(step.title()),
            EventBody::Note { level: Level::Info, text } => say(&format!("  {text}")),
            EventBody::Note { text, .. } => say(&format!("  warning: {text}")),
            EventBody::Finished { outcome } => return ended(outcome),
            _ => {}
        }
    }
    Err(Failure::new(FailureKind::Internal, "the job has no end"))
}

fn ended(outcome: Outcome) -> Result<(), Failure> {
    let again =
        "mend that, then run the same command again: files and volumes that are back stay, and it goes on";
    match outcome {
        Outcome::Failed { failure } | Outcome::PutBack { failure, .. } | Outcome::Postponed { failure } => {
            Err(failure.hint(again))
        }
        Outcome::NotPutBack { failure, put_back } => Err(failure.cause(put_back.message).hint(again)),
        Outcome::Released { .. } | Outcome::Done { .. } | Outcome::Unknown => Ok(()),
    }
}

fn of_daemon(error: &DaemonError) -> Failure {
    match error {
        DaemonError::Taken { .. } => Failure::from_error(FailureKind::Busy, error)
            .hint("a recovery works alone: systemctl stop wharfd, and start it again afterwards"),
        _ => Failure::from_error(FailureKind::Environment, error),
    }
}
