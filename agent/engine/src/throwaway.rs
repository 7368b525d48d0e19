//! Containers of the agent's own, made from an image and thrown away: no network, no volume, bounds on everything.

use crate::contained::{COVER_BYTES, Contained, in_memory};
use crate::{Engine, EngineError};
use bollard::models::{HostConfig, Mount, MountType};
use std::path::PathBuf;

const PROCESSES: i64 = 512;
/// A sixteenth of what others get, where the processor is wanted by all.
const CPU_SHARES: i64 = 64;
/// The least that there is, where the disk is wanted by all.
const DISK_WEIGHT: u16 = 10;

/// A container to be thrown away. Not printed: the values of its environment may be secret.
#[derive(Clone)]
pub struct Throwaway {
    /// By ID.
    pub image: String,
    pub name: String,
    /// `None`: the image's own.
    pub entrypoint: Option<Vec<String>>,
    pub command: Vec<String>,
    /// `KEY=VALUE`; may be secret, where the container is to be like one of the app's.
    pub env: Vec<String>,
    /// As whom its program runs: `UID:GID`. `None`: the image's own.
    pub user: Option<String>,
    /// By which recovery finds it.
    pub labels: Vec<(String, String)>,
    /// The places to write much to: their paths in the container, and what is there.
    pub scratch: Vec<(String, Scratch)>,
    /// Paths in the container for a few small files, in memory; everybody may write there.
    pub small: Vec<String>,
    /// Memory of its processes, and of what they write to memory.
    pub memory_bytes: u64,
}

/// Where a container's scratch lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scratch {
    /// In memory, at most so much.
    Memory { bytes: u64 },
    /// A folder of the agent's.
    Folder(PathBuf),
}

impl Engine {
    /// Makes and starts a container; its ID. Whoever asks removes it; where he does not wait for it any more, it is removed at
    /// once.
    ///
    /// # Errors
    /// The engine does not answer, lacks the image, or could not start it; then it is gone again.
    pub async fn start_throwaway(&self, spec: &Throwaway) -> Result<String, EngineError> {
        let throwaway = spec.clone();
        self.unless_forgotten(&spec.name, |engine| async move { engine.make_throwaway(&throwaway).await })
            .await
    }

    async fn make_throwaway(&self, spec: &Throwaway) -> Result<String, EngineError> {
        let scratch = spec.scratch.iter().map(|(target, scratch)| match scratch {
            Scratch::Memory { bytes } => in_memory(target, *bytes),
            Scratch::Folder(folder) => Mount {
                typ: Some(MountType::BIND),
                source: Some(folder.to_string_lossy().into_owned()),
                target: Some(target.clone()),
                ..Default::default()
            },
        });
        let mut mounts: Vec<Mount> = scratch.collect();
        let small = spec.small.iter().filter(|path| spec.scratch.iter().all(|(target, _)| *path != target));
        mounts.extend(small.map(|path| in_memory(path, COVER_BYTES)));
        self.start_contained(Contained {
            image: &spec.image,
            name: Some(&spec.name),
            entrypoint: spec.entrypoint.clone(),
            command: spec.command.clone(),
            env: &spec.env,
            user: spec.user.as_deref(),
            labels: spec.labels.clone(),
            network: "none",
            mounts,
            memory_bytes: spec.memory_bytes,
            processes: PROCESSES,
            more: HostConfig {
                cpu_shares: Some(CPU_SHARES),
                blkio_weight: Some(DISK_WEIGHT),
                ..Default::default()
            },
        })
        .await
    }
}
