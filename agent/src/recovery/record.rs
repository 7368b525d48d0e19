//! What each backup says of its app, so that a machine that has nothing can bring it back: `/recovery.json`.

use crate::agent::Agent;
use crate::failures;
use crate::jobs::run::Job;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use wharf_proto::release::PromotedFrom;
use wharf_proto::{AppName, AppSpec, Failure, FailureKind, RelPath, ReleaseId};

/// The form of the file that is written.
const VERSION: u32 = 1;

/// The app as it was live when the backup was made. Its secrets are in the env file, not here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryRecord {
    pub version: u32,
    /// Compose's project name.
    pub project: String,
    pub spec: AppSpec,
    pub release: ReleaseId,
    /// Whether the release is what ran before Wharf came.
    pub adopted: bool,
    /// No number below it is to be given out again.
    pub next_release: ReleaseId,
    /// The paths that the release shipped. What else is in the app directory is the server's own.
    pub shipped: Vec<RelPath>,
    /// The versions of its front ends, and the highest that were ever started, by file.
    pub versions: BTreeMap<String, String>,
    pub highest_versions: BTreeMap<String, String>,
    pub message: Option<String>,
    pub git_commit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<PromotedFrom>,
}

impl RecoveryRecord {
    /// Writes the record of what is live to where the backup takes it from; `None`: nothing is live yet.
    ///
    /// # Errors
    /// The state cannot be read, or the disk not written.
    pub async fn write(job: &Job) -> Result<Option<PathBuf>, Failure> {
        let Some(record) = Self::of(&job.agent, job.app()).await? else { return Ok(None) };
        let path = job.agent.layout.recovery_record(job.app());
        let at = path.clone();
        let written = failures::blocking(move || {
            serde_json::to_vec(&record)
                .map_err(std::io::Error::other)
                .and_then(|json| replace(&at, &json))
                .map_err(|e| {
                    Failure::from_error(FailureKind::Backup, &e)
                        .cause(format!("while writing {}", at.display()))
                })
        });
        written.await.map(|()| Some(path))
    }

    async fn of(agent: &Agent, app: &AppName) -> Result<Option<Self>, Failure> {
        let of_state = |e: wharf_state::StateError| failures::of_state(&e);
        let Some(known) = agent.state.app(app).await.map_err(of_state)? else { return Ok(None) };
        let Some(live) = known.live else { return Ok(None) };
        let Some(release) = agent.state.release(app, live).await.map_err(of_state)? else { return Ok(None) };
        Ok(Some(Self {
            version: VERSION,
            project: known.project,
            spec: release.spec,
            release: live,
            adopted: release.adopted,
            next_release: agent.state.peek_release(app).await.map_err(of_state)?,
            shipped: release.manifest.entries().iter().map(|entry| entry.path.clone()).collect(),
            versions: release.versions,
            highest_versions: agent.state.highest_versions(app).await.map_err(of_state)?,
            message: release.message,
            git_commit: release.git_commit,
            promoted: release.promoted,
        }))
    }

    /// Reads a record that came out of a backup.
    ///
    /// # Errors
    /// One that a newer agent wrote, or that is none.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |why: String| {
            Failure::new(FailureKind::Unsupported, "what the backup says of its app cannot be read")
                .cause(why)
                .hint("use a wharfd that is at least as new as the one that made the backup")
        };
        let json = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
        let record: Self = serde_json::from_slice(&json).map_err(|e| failed(e.to_string()))?;
        if record.version > VERSION {
            return Err(failed(format!(
                "it is of version {}, and this wharfd knows {VERSION}",
                record.version
            )));
        }
        Ok(record)
    }
}

/// Replaces a file of the agent's own, whole or not at all.
pub fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("json.new");
    let mut file = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(new, path)
}
