//! Notes of the programs that run, one small file each: what is still noted when the agent starts was left by its death.

use crate::agent::Agent;
use crate::failures;
use crate::layout::Layout;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use wharf_engine::interactive::Program;
use wharf_proto::{Failure, FailureKind};

/// What to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "program", rename_all = "snake_case")]
pub enum Entry {
    Exec {
        id: String,
    },
    /// By name, since it is noted before it is made.
    Container {
        name: String,
    },
}

impl Entry {
    pub fn of(program: &Program) -> Self {
        match program {
            Program::Exec { id } => Self::Exec { id: id.clone() },
            Program::Container { id } => Self::Container { name: id.clone() },
        }
    }
}

/// A note on the disk, until it is cleared.
#[derive(Debug)]
pub struct Note(PathBuf);

impl Note {
    /// The program is gone.
    pub fn clear(self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a note of a program stays");
        }
    }
}

/// Notes a program, durably, before it runs.
///
/// # Errors
/// The state folder cannot be written; then it must not run.
pub async fn note(layout: &Layout, entry: &Entry) -> Result<Note, Failure> {
    let folder = layout.programs();
    let path = folder.join(format!("{}.json", unique()));
    let json = serde_json::to_vec(entry).map_err(|e| Failure::from_error(FailureKind::Internal, &e))?;
    let note = Note(path.clone());
    failures::blocking(move || {
        write(&folder, &path, &json).map_err(|e| {
            Failure::from_error(FailureKind::Environment, &e)
                .cause(format!("while writing {}", path.display()))
                .hint("make room on the disk of the agent's state folder")
        })
    })
    .await?;
    Ok(note)
}

fn write(folder: &Path, path: &Path, json: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = std::fs::File::create_new(path)?;
    file.write_all(json)?;
    file.sync_all()?;
    std::fs::File::open(folder)?.sync_all()
}

/// Ends what an agent's death left. What cannot be ended is told of, and stays noted.
pub async fn clear_all(agent: &Agent) {
    let Ok(folder) = std::fs::read_dir(agent.layout.programs()) else { return };
    for path in folder.flatten().map(|entry| entry.path()) {
        let entry = std::fs::read(&path).ok().and_then(|json| serde_json::from_slice::<Entry>(&json).ok());
        let ended = match entry {
            Some(Entry::Exec { id }) => agent.engine.hang_up(&Program::Exec { id }).await,
            Some(Entry::Container { name }) => agent.engine.remove_container(&name).await,
            // Cut short by the crash, so nothing had begun.
            None => Ok(()),
        };
        match ended {
            Ok(()) => Note(path).clear(),
            Err(error) => tracing::warn!(%error, "a program that a crash left could not be ended"),
        }
    }
}

/// A name for a one-off container that nothing else has.
pub fn container_name(project: &str, service: &str) -> String {
    format!("{project}-{service}-run-{}", unique())
}

fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = jiff::Timestamp::now().as_nanosecond();
    format!("{now:x}-{}-{count}", std::process::id())
}
