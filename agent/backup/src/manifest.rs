//! What a snapshot says of itself: `/wharf.json`, for people with nothing but restic, too.

use crate::repository::Indexed;
use crate::{DumpReport, VolumeReport};
use rustic_core::repofile::SnapshotFile;
use serde::{Deserialize, Serialize};

pub(crate) const MANIFEST_PATH: &str = "/wharf.json";
/// What another machine needs to bring the app back, as the agent wrote it.
pub(crate) const RECOVERY_PATH: &str = "/recovery.json";
/// The largest manifest that is read.
const MANIFEST_BYTES: u64 = 16 * 1024 * 1024;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct BackupManifest {
    pub(crate) version: u32,
    pub(crate) dumps: Vec<DumpReport>,
    #[serde(default)]
    pub(crate) volumes: Vec<VolumeReport>,
    /// The labels of folders that were copied as they lay on the disk.
    #[serde(default)]
    pub(crate) cold: Vec<String>,
}

impl BackupManifest {
    pub(crate) fn new(dumps: Vec<DumpReport>, volumes: Vec<VolumeReport>, cold: Vec<String>) -> Self {
        Self { version: 1, dumps, volumes, cold }
    }

    /// The manifest of a snapshot. One that Wharf did not write has none.
    pub(crate) fn of(repository: &Indexed, snapshot: &SnapshotFile) -> Option<Self> {
        let node = repository.node_from_snapshot_and_path(snapshot, MANIFEST_PATH).ok()?;
        if node.meta.size > MANIFEST_BYTES {
            return None;
        }
        let mut json = Vec::new();
        repository.dump(&node, &mut json).ok()?;
        serde_json::from_slice(&json).ok()
    }
}
