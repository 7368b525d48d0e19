//! The backup before any change: the project's files and every database, as one checked snapshot. No backup, no deploy.

use super::database::Database;
use super::plan::Planned;
use super::run::Job;
use super::volumes::{self, Volume};
use super::{Work, adopt, cold, coverage, hold};
use crate::agent::Agent;
use crate::failures;
use crate::outside;
use crate::recovery::RecoveryRecord;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wharf_backup::{
    BackupError, BackupReport, BackupRequest, Child, InitRequest, ProjectTree, Update, service_of,
};
use wharf_plan::Model;
use wharf_plan::facts::{ContainerFacts, ContainerState, MountSource};
use wharf_plan::inputs::writable_mounts;
use wharf_proto::backup::Proof;
use wharf_proto::database::DatabaseKind;
use wharf_proto::event::EventBody;
use wharf_proto::{BackupId, Failure, FailureKind, ReleaseId};
use wharf_state::BackupRecord;

/// What goes into a backup.
pub struct Sources<'a> {
    pub databases: &'a [Database],
    pub volumes: &'a [Volume],
    /// The stack's containers as they are.
    pub containers: &'a [ContainerFacts],
    /// What containers write below the app directory.
    pub data_folders: Vec<PathBuf>,
    /// Whether databases are stopped and copied, rather than dumped.
    pub cold: bool,
    /// What is live now.
    pub live: Option<ReleaseId>,
    pub tag: String,
    pub message: Option<String>,
}

/// Backs up everything that the deploy could harm, and reads it back. A stack that is taken over is recorded here too.
///
/// # Errors
/// [`FailureKind::Backup`]: nothing was changed, and the deploy must not go on.
pub async fn back_up(job: &Job, work: &Work, planned: &Planned) -> Result<Option<BackupId>, Failure> {
    let app_dir = PathBuf::from(&job.spec.path);
    let sources = Sources {
        databases: &planned.databases,
        volumes: &planned.data,
        containers: &planned.before,
        data_folders: data_folders(&planned.before, [&planned.model], &app_dir),
        cold: work.options.cold_backup,
        live: planned.live.as_ref().map(|live| live.release),
        tag: format!("before-{}", job.release),
        message: None,
    };
    let Some(report) = make(job, sources).await? else { return Ok(None) };
    if planned.adopts {
        adopt::record(job, planned, report.id.clone()).await?;
    }
    Ok(Some(report.id))
}

/// Makes a backup, reads it back and records it; `None` where there is nothing to back up.
///
/// # Errors
/// [`FailureKind::Backup`]: there is no backup.
pub async fn make(job: &Job, sources: Sources<'_>) -> Result<Option<BackupReport>, Failure> {
    let databases = outside::attach(job, sources.databases).await?;
    let sources = Sources { databases: &databases, ..sources };
    for database in sources.databases.iter().filter(|database| database.container.is_none()) {
        job.record.note(format!("{}: no database yet, so there is nothing to dump", database.service)).await;
    }
    let has_files = Path::new(&job.spec.path).is_dir();
    let running: Vec<&Database> =
        sources.databases.iter().filter(|database| database.container.is_some()).collect();
    for volume in sources.volumes.iter().filter(|volume| volume.path.is_none()) {
        job.record.note(format!("{}: there is nothing to copy", volume.describe())).await;
    }
    let no_data = sources.volumes.iter().all(|volume| volume.path.is_none());
    if !has_files && running.is_empty() && no_data {
        job.record.note("there is nothing on the server yet to back up").await;
        return Ok(None);
    }
    tell_what_is_left_out(job, &sources).await;
    let report = dump_or_copy(job, &sources, &running).await?;
    record(job, &sources, &report).await?;
    job.agent.new_backup.notify_one();
    Ok(Some(report))
}

fn request(job: &Job, sources: &Sources<'_>, recovery: Option<&PathBuf>) -> BackupRequest {
    let app_dir = PathBuf::from(&job.spec.path);
    BackupRequest {
        repo: job.agent.layout.repository(job.app()),
        key_file: job.agent.layout.repository_key(job.app()),
        docker_socket: job.agent.config.docker.clone(),
        project: app_dir.is_dir().then(|| ProjectTree { root: app_dir.clone(), exclude: exclude(sources) }),
        dumps: Vec::new(),
        cold: Vec::new(),
        volumes: sources.volumes.iter().filter_map(Volume::request).collect(),
        holds: volumes::holds(sources.volumes),
        recovery: recovery.cloned(),
        tags: vec![sources.tag.clone()],
        host: host_name(),
        time: job.agent.clock.now(),
    }
}

/// What is not the project's: mounted data, and what is backed up as a volume.
fn exclude(sources: &Sources<'_>) -> Vec<PathBuf> {
    let folders = sources.volumes.iter().filter(|volume| volume.volume.is_none());
    sources.data_folders.iter().cloned().chain(folders.filter_map(|volume| volume.path.clone())).collect()
}

/// The folders of the app directory that containers write: data, not project.
pub fn data_folders<'a>(
    containers: &[ContainerFacts],
    models: impl IntoIterator<Item = &'a Model>,
    app_dir: &Path,
) -> Vec<PathBuf> {
    let mounted = containers.iter().flat_map(|c| &c.mounts).filter(|mount| mount.writable);
    let now = mounted.filter_map(|mount| match &mount.source {
        MountSource::Bind(path) => Some(PathBuf::from(path)),
        MountSource::Volume(_) | MountSource::AnonymousVolume(_) | MountSource::Tmpfs => None,
    });
    let next = models
        .into_iter()
        .flat_map(|model| writable_mounts(model).into_iter().flatten())
        .map(|path| path.below(app_dir));
    let mut folders: Vec<PathBuf> =
        now.chain(next).filter(|path| path.starts_with(app_dir) && path != app_dir).collect();
    folders.sort();
    folders.dedup();
    folders
}

/// Dumps every database; with `--cold-backup`, one that does not run, or that cannot be dumped, is stopped and copied as it
/// lies on the disk.
async fn dump_or_copy(
    job: &Job,
    sources: &Sources<'_>,
    databases: &[&Database],
) -> Result<BackupReport, Failure> {
    let mut cold: BTreeSet<String> = BTreeSet::new();
    let recovery = RecoveryRecord::write(job).await?;
    loop {
        let mut request = request(job, sources, recovery.as_ref());
        let mut copied = BTreeSet::new();
        for database in databases {
            let Some(container) = &database.container else { continue };
            let service = &database.service;
            let runs = container.state == ContainerState::Running;
            // Its files are not here, whatever is asked.
            let cold_backup = sources.cold && !database.outside;
            if cold.contains(service) || (cold_backup && !runs) {
                // The files of a server are those of all its databases.
                if copied.insert(service) {
                    request.cold.extend(cold::stop_for_copy(job, service, container).await?);
                }
                continue;
            }
            if !runs {
                return Err(not_running(service));
            }
            request.dumps.push(database.request(container));
        }
        let held = !request.holds.is_empty();
        if held {
            hold::note(job, &request.holds).await?;
        }
        let stopped = !request.cold.is_empty();
        let within = Duration::from_secs(job.agent.config.backup_within_seconds.into());
        let result = tokio::time::timeout(within, carry_out(job, request)).await;
        if stopped || held {
            hold::release(job).await?;
        }
        // The child ended with its future; what it had written is named by no snapshot.
        let Ok(result) = result else { return Err(too_slow(within)) };
        match result {
            Err(BackupError::DumpFailed { label, .. })
                if sources.cold
                    && !databases.iter().any(|one| one.outside && one.label == label)
                    && cold.insert(service_of(&label).to_owned()) =>
            {
                job.record.warn(format!("{label} cannot be dumped, so its files are copied instead")).await;
            }
            result => return result.map_err(|e| e.failure()),
        }
    }
}

fn too_slow(within: Duration) -> Failure {
    Failure::new(FailureKind::Backup, format!("the backup was not done after {} s", within.as_secs()))
        .cause("it was given up, and nothing was changed")
        .hint("see what the server's disk and its databases do: a lock that a dump waits for, for instance")
        .hint("where a backup takes that long, raise backup_within_seconds in wharfd.toml")
}

fn not_running(service: &str) -> Failure {
    Failure::new(FailureKind::Backup, format!("{service} is not running, so its database cannot be dumped"))
        .cause("no checked backup, no deploy")
        .hint(format!("start it: docker compose start {service}"))
        .hint("or, where it is too broken to start, copy its files as they are: wharf deploy --cold-backup")
}

/// Data that this backup does not hold is named, so that nobody counts on it.
async fn tell_what_is_left_out(job: &Job, sources: &Sources<'_>) {
    let left_out = coverage::uncovered(sources.containers, sources.databases, sources.volumes);
    if !left_out.is_empty() {
        let names = left_out.join(", ");
        let text = format!(
            "not in the backup, and not touched by the job: {names}; [[volume]] in wharf.toml takes data in"
        );
        job.record.note(text).await;
    }
}

/// How the process that works on repositories is started.
pub fn child(agent: &Agent) -> Child {
    Child { program: agent.program.as_ref().clone(), arguments: vec!["internal".into(), "backup".into()] }
}

/// As [`child`], behind everything else that wants the processor, where the server has the programs for it.
pub fn quiet_child(agent: &Agent) -> Child {
    let plain = child(agent);
    let quietly = [("/usr/bin/ionice", ["-c", "3"]), ("/usr/bin/nice", ["-n", "15"])];
    quietly.into_iter().filter(|(program, _)| Path::new(program).is_file()).fold(
        plain,
        |child, (program, flags)| Child {
            program: program.into(),
            arguments: flags
                .into_iter()
                .map(Into::into)
                .chain([child.program.into_os_string()])
                .chain(child.arguments)
                .collect(),
        },
    )
}

async fn carry_out(job: &Job, request: BackupRequest) -> Result<BackupReport, BackupError> {
    let child = child(&job.agent);
    let init = InitRequest { repo: request.repo.clone(), key_file: request.key_file.clone() };
    wharf_backup::run(&child, init, |_| ()).await?;
    crate::crash::point("back_up.inside");
    let mut notes = Vec::new();
    let report = wharf_backup::run(&child, request, |update| match update {
        Update::Note { text } => notes.push(text),
        Update::Progress(_) => {}
    })
    .await;
    for note in notes {
        job.record.note(note).await;
    }
    report
}

async fn record(job: &Job, sources: &Sources<'_>, report: &BackupReport) -> Result<(), Failure> {
    let kept = BackupRecord {
        id: report.id.clone(),
        at: job.agent.clock.now(),
        job: Some(job.id),
        release: sources.live,
        report: serde_json::to_value(report).map_err(|e| Failure::from_error(FailureKind::Internal, &e))?,
        message: sources.message.clone(),
        proof: Proof::Unproven,
        pinned: false,
    };
    job.agent.state.record_backup(job.app(), kept).await.map_err(|e| failures::of_state(&e))?;
    job.record.say(EventBody::BackedUp { backup: report.id.clone(), summary: summary(report) }).await;
    Ok(())
}

/// What a backup holds, in a line.
pub fn summary(report: &BackupReport) -> String {
    let dumps = report.dumps.iter().map(|dump| {
        let rows: u64 = dump.tables.iter().map(|table| table.rows).sum();
        match dump.kind {
            DatabaseKind::Redis if dump.tables.is_empty() => format!("Redis {}", dump.database),
            DatabaseKind::Redis => format!("Redis {} ({rows} keys)", dump.database),
            DatabaseKind::Commands if dump.tables.is_empty() => format!("database {}", dump.database),
            _ => format!("database {} ({rows} rows in {} tables)", dump.database, dump.tables.len()),
        }
    });
    let volumes = report.volumes.iter().map(|volume| {
        let kind = if volume.volume.is_some() { "volume" } else { "folder" };
        format!("{kind} {} ({} files)", volume.label, volume.files)
    });
    let files = format!("{} files", report.files);
    std::iter::once(files).chain(dumps).chain(volumes).collect::<Vec<_>>().join(", ")
}

fn host_name() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
