//! The backup before any change: the project's files and every database, as one checked snapshot. No backup, no deploy.

use super::plan::Planned;
use super::run::Job;
use super::survey::Survey;
use super::{Work, adopt};
use crate::agent::Agent;
use crate::failures;
use jiff::Timestamp;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wharf_backup::{BackupReport, BackupRequest, Child, ColdRequest, DumpRequest, InitRequest, ProjectTree};
use wharf_plan::facts::{ContainerFacts, ContainerState, MountSource};
use wharf_plan::inputs::writable_mounts;
use wharf_proto::event::EventBody;
use wharf_proto::spec::PostgresSpec;
use wharf_proto::{BackupId, Failure, FailureKind};
use wharf_state::BackupRecord;

/// How long a database may take to stop before it is copied cold.
const DATABASE_STOPS_WITHIN: Duration = Duration::from_secs(60);

/// A PostgreSQL database of the stack.
#[derive(Debug, Clone)]
pub struct Database {
    pub spec: PostgresSpec,
    /// `None`: the service has never run, so there is nothing to dump.
    pub container: Option<ContainerFacts>,
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.spec.database, &self.container) {
            (_, None) => write!(f, "{} (no database yet)", self.spec.service),
            (Some(database), Some(_)) => write!(f, "{}/{database}", self.spec.service),
            (None, Some(_)) => f.write_str(&self.spec.service),
        }
    }
}

/// The databases to dump: those that the project names, and those that are plainly PostgreSQL.
pub fn databases(work: &Work, survey: &Survey) -> Vec<Database> {
    let containers: Vec<&ContainerFacts> = survey.stack.containers.iter().filter(|c| !c.one_off).collect();
    let of = |service: &str| containers.iter().find(|c| c.service == service).map(|c| (*c).clone());
    let mut found: Vec<Database> = work
        .spec
        .postgres
        .iter()
        .map(|spec| Database { spec: spec.clone(), container: of(&spec.service) })
        .collect();
    for container in containers {
        let is_postgres =
            survey.images.get(&container.image_id).is_some_and(|image| image.env.contains_key("PG_MAJOR"));
        if is_postgres && !found.iter().any(|database| database.spec.service == container.service) {
            let spec = PostgresSpec { service: container.service.clone(), user: None, database: None };
            found.push(Database { spec, container: Some(container.clone()) });
        }
    }
    found
}

/// Backs up everything that the deploy could harm, and reads it back. A stack that is taken over is recorded here too.
///
/// # Errors
/// [`FailureKind::Backup`]: nothing was changed, and the deploy must not go on.
pub async fn back_up(job: &Job, work: &Work, planned: &Planned) -> Result<Option<BackupId>, Failure> {
    for database in planned.databases.iter().filter(|database| database.container.is_none()) {
        job.record
            .note(format!("{}: no database yet, so there is nothing to dump", database.spec.service))
            .await;
    }
    let has_files = Path::new(&job.spec.path).is_dir();
    let running: Vec<&Database> =
        planned.databases.iter().filter(|database| database.container.is_some()).collect();
    if !has_files && running.is_empty() {
        job.record.note("there is nothing on the server yet to back up").await;
        return Ok(None);
    }
    let mut request = request(job, planned);
    let stopped = choose_ways(job, work, &running, &mut request).await?;
    let report = carry_out(job, request).await;
    for container in stopped {
        job.agent.engine.start(&container).await.map_err(|e| failures::of_engine(&e))?;
    }
    let report = report?;
    record(job, planned, &report).await?;
    if planned.adopts {
        adopt::record(job, planned, report.id.clone()).await?;
    }
    Ok(Some(report.id))
}

fn request(job: &Job, planned: &Planned) -> BackupRequest {
    let app_dir = PathBuf::from(&job.spec.path);
    BackupRequest {
        repo: job.agent.layout.repository(job.app()),
        key_file: job.agent.layout.repository_key(job.app()),
        docker_socket: job.agent.config.docker.clone(),
        project: app_dir
            .is_dir()
            .then(|| ProjectTree { root: app_dir.clone(), exclude: data_folders(planned, &app_dir) }),
        dumps: Vec::new(),
        cold: Vec::new(),
        tags: vec![format!("before-{}", job.release)],
        host: host_name(),
        time: Timestamp::now(),
    }
}

/// The folders of the app directory that containers write: data, not project.
pub fn data_folders(planned: &Planned, app_dir: &Path) -> Vec<PathBuf> {
    let mounted = planned.before.iter().flat_map(|c| &c.mounts).filter(|mount| mount.writable);
    let now = mounted.filter_map(|mount| match &mount.source {
        MountSource::Bind(path) => Some(PathBuf::from(path)),
        MountSource::Volume(_) | MountSource::AnonymousVolume(_) | MountSource::Tmpfs => None,
    });
    let next = writable_mounts(&planned.model).into_iter().flatten().map(|path| path.below(app_dir));
    let mut folders: Vec<PathBuf> =
        now.chain(next).filter(|path| path.starts_with(app_dir) && path != app_dir).collect();
    folders.sort();
    folders.dedup();
    folders
}

/// How each database is backed up: dumped, or, where asked for, stopped and copied. Gives the containers that were stopped.
async fn choose_ways(
    job: &Job,
    work: &Work,
    databases: &[&Database],
    request: &mut BackupRequest,
) -> Result<Vec<String>, Failure> {
    let mut stopped = Vec::new();
    for database in databases {
        let Some(container) = &database.container else { continue };
        let label = database.spec.service.clone();
        if !work.options.cold_backup {
            if container.state != ContainerState::Running {
                return Err(not_running(&label));
            }
            request.dumps.push(DumpRequest {
                label,
                container: container.id.clone(),
                user: database.spec.user.clone(),
                database: database.spec.database.clone(),
            });
            continue;
        }
        job.record
            .warn(format!("{label} is stopped and its data directory copied, as --cold-backup asks"))
            .await;
        if container.state == ContainerState::Running {
            stopped.push(container.id.clone());
        }
        job.agent
            .engine
            .stop(&container.id, DATABASE_STOPS_WITHIN)
            .await
            .map_err(|e| failures::of_engine(&e))?;
        request.cold.extend(cold_copies(&job.agent, &label, container).await?);
    }
    Ok(stopped)
}

fn not_running(service: &str) -> Failure {
    Failure::new(FailureKind::Backup, format!("{service} is not running, so its database cannot be dumped"))
        .cause("no checked backup, no deploy")
        .hint(format!("start it: docker compose start {service}"))
        .hint("or, where it is too broken to start, copy its files as they are: wharf deploy --cold-backup")
}

async fn cold_copies(
    agent: &Agent,
    label: &str,
    container: &ContainerFacts,
) -> Result<Vec<ColdRequest>, Failure> {
    let mut copies = Vec::new();
    for (number, mount) in container.mounts.iter().filter(|mount| mount.writable).enumerate() {
        let path = match &mount.source {
            MountSource::Volume(name) | MountSource::AnonymousVolume(name) => {
                agent.engine.volume_mountpoint(name).await.map_err(|e| failures::of_engine(&e))?
            }
            MountSource::Bind(path) => Some(PathBuf::from(path)),
            MountSource::Tmpfs => None,
        };
        if let Some(path) = path {
            copies.push(ColdRequest { label: format!("{label}/{number}"), path });
        }
    }
    if copies.is_empty() {
        return Err(Failure::new(
            FailureKind::Backup,
            format!("{label} keeps its data in no volume that can be copied"),
        ));
    }
    Ok(copies)
}

async fn carry_out(job: &Job, request: BackupRequest) -> Result<BackupReport, Failure> {
    let child = Child {
        program: job.agent.program.as_ref().clone(),
        arguments: vec!["internal".into(), "backup".into()],
    };
    let init = InitRequest { repo: request.repo.clone(), key_file: request.key_file.clone() };
    wharf_backup::run(&child, init, |_| ()).await.map_err(|e| e.failure())?;
    crate::crash::point("backup.inside");
    wharf_backup::run(&child, request, |_| ()).await.map_err(|e| e.failure())
}

async fn record(job: &Job, planned: &Planned, report: &BackupReport) -> Result<(), Failure> {
    let kept = BackupRecord {
        id: report.id.clone(),
        at: Timestamp::now(),
        job: Some(job.id),
        release: planned.live.as_ref().map(|live| live.release),
        report: serde_json::to_value(report).map_err(|e| Failure::from_error(FailureKind::Internal, &e))?,
    };
    job.agent.state.record_backup(job.app(), kept).await.map_err(|e| failures::of_state(&e))?;
    job.record.say(EventBody::BackedUp { backup: report.id.clone(), summary: summary(report) }).await;
    Ok(())
}

fn summary(report: &BackupReport) -> String {
    let dumps = report.dumps.iter().map(|dump| {
        let rows: u64 = dump.tables.iter().map(|table| table.rows).sum();
        format!("database {} ({rows} rows in {} tables)", dump.database, dump.tables.len())
    });
    let files = format!("{} files", report.files);
    std::iter::once(files).chain(dumps).collect::<Vec<_>>().join(", ")
}

fn host_name() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
