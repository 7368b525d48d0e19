//! Containers of the agent's own, made from an image and thrown away: no network, no volume, bounds on everything.
//!
//! **Invariant**: such a container has no volume, an anonymous one neither: every path that its image declares as one is
//! covered by memory.

use crate::{Engine, EngineError};
use bollard::models::{
    ContainerCreateBody, HostConfig, Mount, MountTmpfsOptions, MountType, RestartPolicy,
    RestartPolicyNameEnum,
};
use bollard::query_parameters::CreateContainerOptions;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

/// What covers a volume that the image declares and nobody is to write to.
const COVER_BYTES: u64 = 16 * 1024 * 1024;
const PROCESSES: i64 = 512;
/// A sixteenth of what others get, where the processor is wanted by all.
const CPU_SHARES: i64 = 64;
/// The least that there is, where the disk is wanted by all.
const DISK_WEIGHT: u16 = 10;

/// A container to be thrown away.
#[derive(Debug, Clone)]
pub struct Throwaway {
    /// By ID.
    pub image: String,
    pub name: String,
    /// `None`: the image's own.
    pub entrypoint: Option<Vec<String>>,
    pub command: Vec<String>,
    /// `KEY=VALUE`; nothing secret that is worth anything outside the container.
    pub env: Vec<String>,
    /// As whom its program runs: `UID:GID`. `None`: the image's own.
    pub user: Option<String>,
    /// By which recovery finds it.
    pub labels: Vec<(String, String)>,
    /// The one place to write much to: the path in the container, and what is there.
    pub scratch: (String, Scratch),
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
    /// Makes and starts a container; its ID. Whoever asks removes it.
    ///
    /// # Errors
    /// The engine does not answer, lacks the image, or could not start it; then it is gone again.
    pub async fn start_throwaway(&self, spec: &Throwaway) -> Result<String, EngineError> {
        let action = format!("make container {}", spec.name);
        let declared = self.image(&spec.image).await?.map(|image| image.volumes).unwrap_or_default();
        let options = CreateContainerOptions { name: Some(spec.name.clone()), ..Default::default() };
        let created =
            self.call(&action, self.docker.create_container(Some(options), body(spec, &declared))).await?;
        match self.start(&created.id).await {
            Ok(()) => Ok(created.id),
            Err(error) => {
                self.remove_container(&created.id).await?;
                Err(error)
            }
        }
    }
}

fn body(spec: &Throwaway, declared: &[String]) -> ContainerCreateBody {
    let (target, scratch) = &spec.scratch;
    let mut mounts = vec![match scratch {
        Scratch::Memory { bytes } => in_memory(target, *bytes),
        Scratch::Folder(folder) => Mount {
            typ: Some(MountType::BIND),
            source: Some(folder.to_string_lossy().into_owned()),
            target: Some(target.clone()),
            ..Default::default()
        },
    }];
    let covered: BTreeSet<&String> =
        declared.iter().chain(&spec.small).filter(|path| *path != target).collect();
    mounts.extend(covered.into_iter().map(|path| in_memory(path, COVER_BYTES)));
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        entrypoint: spec.entrypoint.clone(),
        cmd: Some(spec.command.clone()),
        env: Some(spec.env.clone()),
        user: spec.user.clone(),
        labels: Some(spec.labels.iter().cloned().collect::<HashMap<_, _>>()),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            mounts: Some(mounts),
            memory: Some(whole(spec.memory_bytes)),
            // No swap beside it.
            memory_swap: Some(whole(spec.memory_bytes)),
            cpu_shares: Some(CPU_SHARES),
            blkio_weight: Some(DISK_WEIGHT),
            pids_limit: Some(PROCESSES),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn in_memory(target: &str, bytes: u64) -> Mount {
    Mount {
        typ: Some(MountType::TMPFS),
        target: Some(target.to_owned()),
        tmpfs_options: Some(MountTmpfsOptions { size_bytes: Some(whole(bytes)), ..Default::default() }),
        ..Default::default()
    }
}

pub(crate) fn whole(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
