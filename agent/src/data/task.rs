//! A job about data, from its beginning to its one last event.

use super::undo::Undo;
use super::{beside, drill, folder, over, prune, recover, volumes_over};
use crate::agent::Agent;
use crate::config::House;
use crate::conversation::Who;
use crate::failures;
use crate::jobs::backup::{self, Sources, data_folders};
use crate::jobs::compose;
use crate::jobs::database::{Database, databases_of};
use crate::jobs::queue::Seat;
use crate::jobs::run::{self, Job};
use crate::jobs::volumes::{self, Volume};
use crate::locks;
use crate::migrations;
use crate::operate::house::{self, Bounds};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::task::JoinHandle;
use wharf_plan::facts::ContainerFacts;
use wharf_proto::backup::RestoreWhat;
use wharf_proto::event::JobKind;
use wharf_proto::message::MigrateDown;
use wharf_proto::{BackupId, Failure, FailureKind, JobId, Outcome, ReleaseId, Step};
use wharf_state::AppRecord;

/// What a job is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    Backup {
        message: Option<String>,
    },
    /// A backup by the schedule, and retention after it.
    Scheduled,
    /// What Docker holds is brought back within the server's own limits.
    House,
    Prune,
    Drill {
        backup: BackupId,
    },
    Restore {
        backup: BackupId,
        what: RestoreWhat,
    },
    /// Pending migrations of the live release are applied.
    MigrateUp,
    MigrateDown(MigrateDown),
}

impl Task {
    fn kind(&self) -> JobKind {
        match self {
            Self::Backup { .. } | Self::Scheduled => JobKind::Backup,
            Self::Prune => JobKind::Prune,
            Self::House => JobKind::PruneDocker,
            Self::Drill { backup } => JobKind::Drill { backup: backup.clone() },
            Self::Restore { backup, .. } => JobKind::Restore { backup: backup.clone() },
            Self::MigrateUp => JobKind::MigrateUp,
            Self::MigrateDown(down) => JobKind::MigrateDown { names: down.names.clone() },
        }
    }

    /// Whether a lock keeps it back.
    fn changes_the_app(&self) -> bool {
        match self {
            Self::Restore { what, .. } => locks::restores_over(what),
            Self::MigrateUp | Self::MigrateDown(_) => true,
            Self::Backup { .. } | Self::Scheduled | Self::House | Self::Prune | Self::Drill { .. } => false,
        }
    }

    fn steps(&self) -> Vec<Step> {
        match self {
            Self::Backup { .. } => vec![Step::Backup],
            Self::Scheduled => vec![Step::Backup, Step::Prune],
            Self::Prune | Self::House => vec![Step::Prune],
            Self::Drill { .. } => vec![Step::Check, Step::Drill],
            Self::Restore { what: RestoreWhat::Beside { .. }, .. } => vec![Step::Restore, Step::Check],
            Self::Restore { what: RestoreWhat::Over { .. } | RestoreWhat::VolumesOver { .. }, .. } => {
                vec![Step::Backup, Step::Restore, Step::Check, Step::Swap]
            }
            Self::Restore { .. } => vec![Step::Restore],
            Self::MigrateUp | Self::MigrateDown(_) => vec![Step::Backup, Step::Migrate],
        }
    }
}

/// Begins a job, which goes on by itself; what is returned with its number ends when it does.
///
/// # Errors
/// It cannot be recorded; nothing has begun then.
pub async fn start(
    agent: &Agent,
    app: AppRecord,
    task: Task,
    seat: Seat,
    who: Arc<Who>,
) -> Result<(JobId, JoinHandle<()>), Failure> {
    let request = serde_json::to_value(&task).map_err(|e| Failure::from_error(FailureKind::Internal, &e))?;
    let job = Job::begin(agent, &app, task.kind(), task.changes_the_app(), request, seat, who).await?;
    let id = job.id;
    let steps = task.steps();
    let body = async move |job: Arc<Job>| carry_out(&job, &app, &task).await;
    let conducted =
        run::conduct(job, steps, body, async |job, failure| recover::after_failure(&job, failure).await);
    Ok((id, tokio::spawn(conducted)))
}

async fn carry_out(job: &Job, app: &AppRecord, task: &Task) -> Outcome {
    if let Task::Drill { backup } = task {
        return drill_unless_wanted(job, app, backup).await;
    }
    let outcome = ended(job, do_it(job, app, task).await).await;
    if *task == Task::House { job.seat.gave_way(outcome) } else { outcome }
}

async fn do_it(job: &Job, app: &AppRecord, task: &Task) -> Result<String, Failure> {
    match task {
        Task::Backup { message } => create(job, app, "on-demand", message.clone()).await,
        Task::Scheduled => scheduled(job, app).await,
        Task::Prune => job.record.step(Step::Prune, prune::prune(job)).await,
        Task::House => {
            let House { images, build_cache } = job.agent.config.house;
            let bounds = Bounds { images, cache_bytes: build_cache };
            job.record.step(Step::Prune, house::prune(job, &app.project, bounds)).await
        }
        Task::Drill { backup } => drill::drill(job, app, backup).await,
        Task::Restore { backup, what: RestoreWhat::ToFolder { folder, volume } } => {
            folder::restore(job, app, backup, volume.as_deref(), Path::new(folder)).await
        }
        Task::Restore { backup, what: RestoreWhat::Volume { volume, as_name } } => {
            folder::restore_volume(job, app, backup, volume, as_name).await
        }
        Task::Restore { backup, what: RestoreWhat::Beside { database, as_name } } => {
            beside::restore(job, app, backup, database, as_name).await
        }
        Task::Restore { backup, what: RestoreWhat::Over { .. } } => over::restore(job, app, backup).await,
        Task::Restore { backup, what: RestoreWhat::VolumesOver { volumes, .. } } => {
            volumes_over::restore(job, app, backup, volumes).await
        }
        Task::MigrateUp => migrations::up(job, app).await,
        Task::MigrateDown(down) => migrations::down(job, app, down).await,
        Task::Restore { what: RestoreWhat::Unknown, .. } => {
            Err(Failure::new(FailureKind::Unsupported, "this agent does not know that restore"))
        }
    }
}

async fn ended(job: &Job, result: Result<String, Failure>) -> Outcome {
    match result {
        Ok(summary) => {
            recover::clear(job).await;
            Outcome::Done { summary }
        }
        Err(failure) => recover::after_failure(job, failure).await,
    }
}

/// A drill is postponed when somebody wants to change the app: what it made for itself is cleared away as after a failure.
async fn drill_unless_wanted(job: &Job, app: &AppRecord, backup: &BackupId) -> Outcome {
    let wanted = job.seat.wanted();
    tokio::select! {
        biased;
        () = wanted.cancelled() => {
            let text = format!("the drill of backup {} gave way to another job", backup.short());
            let gave_way = Failure::new(FailureKind::Busy, text).hint("hold it again: wharf backup verify");
            job.seat.gave_way(recover::after_failure(job, gave_way).await)
        }
        result = drill::drill(job, app, backup) => ended(job, result).await,
    }
}

async fn scheduled(job: &Job, app: &AppRecord) -> Result<String, Failure> {
    let made = create(job, app, "scheduled", Some("scheduled".to_owned())).await?;
    match job.record.step(Step::Prune, prune::prune(job)).await {
        Ok(pruned) => Ok(format!("{made}; {pruned}")),
        Err(failure) => Err(failure.cause(format!("{made}, but older ones could not be forgotten"))),
    }
}

async fn create(job: &Job, app: &AppRecord, tag: &str, message: Option<String>) -> Result<String, Failure> {
    let made = async {
        let sources = sources(job, app, tag, message, &[]).await?;
        backup::make(job, sources.borrowed()).await
    };
    let report = job.record.step(Step::Backup, made).await?;
    Ok(match report {
        Some(report) => {
            format!("backup {} made and checked: {}", report.id.short(), backup::summary(&report))
        }
        None => "there is nothing on the server to back up yet".to_owned(),
    })
}

/// What a backup of the app as it stands would hold.
pub struct Found {
    databases: Vec<Database>,
    volumes: Vec<Volume>,
    containers: Vec<ContainerFacts>,
    folders: Vec<std::path::PathBuf>,
    live: Option<ReleaseId>,
    tag: String,
    message: Option<String>,
}

impl Found {
    /// The data that the live release's `wharf.toml` names.
    pub fn volumes(&self) -> &[Volume] {
        &self.volumes
    }

    pub fn borrowed(&self) -> Sources<'_> {
        Sources {
            databases: &self.databases,
            volumes: &self.volumes,
            containers: &self.containers,
            data_folders: self.folders.clone(),
            cold: false,
            live: self.live,
            tag: self.tag.clone(),
            message: self.message.clone(),
        }
    }
}

/// Looks at the app as it stands. The databases `without`, each a service and a name, are left out.
///
/// # Errors
/// The engine does not answer.
pub async fn sources(
    job: &Job,
    app: &AppRecord,
    tag: &str,
    message: Option<String>,
    without: &[(&str, &str)],
) -> Result<Found, Failure> {
    let containers = containers(job, app).await?;
    let mut databases = databases(job, &containers).await?;
    databases.retain(|database| !without.iter().any(|(service, name)| database.is(service, name)));
    let model = compose::in_place(job, &app.project).model().await;
    if let Err(failure) = &model {
        // What containers mount now is known without Compose, and a broken file must not stand in a backup's way.
        job.record
            .warn(format!("the Compose files cannot be read: {failure}; they are backed up as they are"))
            .await;
    }
    let app_dir = Path::new(&job.spec.path);
    let stack = volumes::Stack {
        spec: &job.spec,
        project: &app.project,
        containers: &containers,
        models: model.as_ref().ok().into_iter().collect(),
    };
    Ok(Found {
        volumes: volumes::find(&job.agent, &stack).await?,
        folders: data_folders(&containers, model.as_ref().ok(), app_dir),
        databases,
        containers,
        live: app.live,
        tag: tag.to_owned(),
        message,
    })
}

/// The app's containers, but for one-offs.
///
/// # Errors
/// The engine does not answer.
pub async fn containers(job: &Job, app: &AppRecord) -> Result<Vec<ContainerFacts>, Failure> {
    let containers = job.agent.engine.project_containers(&app.project).await;
    let containers = containers.map_err(|e| failures::of_engine(&e))?;
    Ok(containers.into_iter().filter(|container| !container.one_off).collect())
}

/// The app's databases.
///
/// # Errors
/// The engine does not answer.
pub async fn databases(job: &Job, containers: &[ContainerFacts]) -> Result<Vec<Database>, Failure> {
    let mut images = BTreeMap::new();
    for container in containers {
        let image = job.agent.engine.image(&container.image_id).await.map_err(|e| failures::of_engine(&e))?;
        images.extend(image.map(|image| (container.image_id.clone(), image)));
    }
    Ok(databases_of(&job.spec, containers, &images))
}

/// Writes down what the job is about to make.
///
/// # Errors
/// The state cannot be written; then it must not be made.
pub async fn note_undo(job: &Job, undo: Undo) -> Result<(), Failure> {
    job.agent.state.record_undo(job.id, [undo]).await.map_err(|e| failures::of_state(&e))
}
