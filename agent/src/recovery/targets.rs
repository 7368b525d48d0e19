//! Files and volumes, to where they lay.
//!
//! **Invariants**
//! - Nothing that is there is written over: what a backup goes to was absent or empty before anything was written.
//! - Each target is filled by renaming something whole, so that one that holds anything is done. A recovery that was
//!   interrupted goes on by that, and by the note of what it began with.

use super::copy::is_free;
use super::record::{RecoveryRecord, replace};
use crate::agent::Agent;
use crate::failures;
use crate::jobs::backup::child;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use wharf_backup::{RestoreRequest, VolumeReport};
use wharf_proto::{BackupId, Failure, FailureKind};

/// Compose's own label of a project's volumes.
const LABEL_PROJECT: &str = "com.docker.compose.project";

/// What a recovery began with.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Begun {
    backup: BackupId,
}

/// Checks that everything that is to be restored has a free place, and notes that it is being filled.
///
/// # Errors
/// All that is in the way, by name; nothing was changed then.
pub async fn begin(
    agent: &Agent,
    record: &RecoveryRecord,
    backup: &BackupId,
    volumes: &[VolumeReport],
) -> Result<(), Failure> {
    let note = agent.layout.recovering(&record.spec.app);
    let begun: Option<Begun> = std::fs::read(&note).ok().and_then(|json| serde_json::from_slice(&json).ok());
    match begun {
        Some(begun) if begun.backup == *backup => return Ok(()),
        Some(begun) => {
            let text = format!("a recovery from backup {} has begun here", begun.backup.short());
            return Err(Failure::new(FailureKind::Refused, text)
                .hint(format!("go on with it: --backup {}", begun.backup.short()))
                .hint(format!("or remove what it has restored, and {}", note.display())));
        }
        None => {}
    }
    let taken = in_the_way(agent, record, volumes).await?;
    if !taken.is_empty() {
        let failure = Failure::new(FailureKind::Refused, "something is where the backup is to be restored");
        let failure = taken.into_iter().fold(failure, Failure::cause);
        return Err(failure.hint("move it away: a recovery writes over nothing that is there"));
    }
    let json = serde_json::to_vec(&Begun { backup: backup.clone() });
    json.map_err(std::io::Error::other).and_then(|json| replace(&note, &json)).map_err(|e| cannot(&note, &e))
}

async fn in_the_way(
    agent: &Agent,
    record: &RecoveryRecord,
    volumes: &[VolumeReport],
) -> Result<Vec<String>, Failure> {
    let app_dir = Path::new(&record.spec.path);
    let mut taken = Vec::new();
    if !is_free(app_dir) {
        taken.push(format!("the app directory {} is not empty", app_dir.display()));
    }
    let containers = agent.engine.project_containers(&record.project).await;
    if !containers.map_err(|e| failures::of_engine(&e))?.is_empty() {
        taken.push(format!("there are containers of the Compose project {}", record.project));
    }
    for volume in volumes {
        match &volume.volume {
            Some(name) => {
                let place =
                    agent.engine.volume_mountpoint(name).await.map_err(|e| failures::of_engine(&e))?;
                if place.is_some_and(|place| !is_free(&place)) {
                    taken.push(format!("there is a volume {name}, and it is not empty"));
                }
            }
            None if !volume.path.starts_with(app_dir) && !is_free(&volume.path) => {
                taken.push(format!("the folder {} is not empty", volume.path.display()));
            }
            None => {}
        }
    }
    Ok(taken)
}

/// Restores the project's files, the env file among them, and the volumes.
///
/// # Errors
/// Something cannot be written. What is whole by then is found so the next time.
pub async fn fill(
    agent: &Agent,
    record: &RecoveryRecord,
    backup: &BackupId,
    volumes: &[VolumeReport],
) -> Result<(), Failure> {
    let app_dir = Path::new(&record.spec.path);
    restore(agent, record, backup, "/project".to_owned(), app_dir).await?;
    crate::crash::point("recover.files");
    for volume in volumes {
        let place = match &volume.volume {
            Some(name) => volume_place(agent, &record.project, name).await?,
            None => volume.path.clone(),
        };
        restore(agent, record, backup, format!("/volumes/{}", volume.label), &place).await?;
    }
    Ok(())
}

async fn volume_place(agent: &Agent, project: &str, name: &str) -> Result<PathBuf, Failure> {
    let of_engine = |e: wharf_engine::EngineError| failures::of_engine(&e);
    agent.engine.create_volume(name, (LABEL_PROJECT, project)).await.map_err(of_engine)?;
    let place = agent.engine.volume_mountpoint(name).await.map_err(of_engine)?;
    place.filter(|place| place.is_dir()).ok_or_else(|| {
        Failure::new(FailureKind::Environment, format!("the files of the volume {name} cannot be reached"))
            .hint("run wharfd as root; Wharf fills volumes of Docker's own driver alone")
    })
}

async fn restore(
    agent: &Agent,
    record: &RecoveryRecord,
    backup: &BackupId,
    path: String,
    to: &Path,
) -> Result<(), Failure> {
    if !is_free(to) {
        // Of a try before this one: see the module's invariants.
        return Ok(());
    }
    let app = &record.spec.app;
    let parent = to.parent().unwrap_or(to);
    let beside = parent.join(format!(".wharf-{app}-recovery"));
    std::fs::create_dir_all(parent).map_err(|e| cannot(parent, &e))?;
    match std::fs::remove_dir_all(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(cannot(&beside, &error)),
        _ => {}
    }
    let request = RestoreRequest {
        repo: agent.layout.repository(app),
        key_file: agent.layout.repository_key(app),
        snapshot: backup.clone(),
        path,
        to: beside.clone(),
    };
    wharf_backup::run(&child(agent), request, |_| ()).await.map_err(|e| e.failure())?;
    crate::crash::point("recover.inside");
    std::fs::rename(&beside, to)
        .and_then(|()| std::fs::File::open(parent)?.sync_all())
        .map_err(|e| cannot(to, &e))
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(FailureKind::Environment, format!("cannot write {}", path.display()))
        .cause(error.to_string())
        .hint("see the free space and the rights there, then run the same command again: it goes on")
}
