//! What the containers of the agent's own have in common, whatever they are for: bounds on everything, and no volume.
//!
//! **Invariant**: such a container has no volume, an anonymous one neither: every path that its image declares as one is
//! covered by memory. What it writes does not fill the disk as a log.

use crate::{Engine, EngineError};
use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountTmpfsOptions, MountType, RestartPolicy,
    RestartPolicyNameEnum,
};
use bollard::query_parameters::CreateContainerOptions;
use std::collections::{BTreeSet, HashMap};
use tokio::sync::oneshot;

/// What covers a volume that the image declares and nobody is to write to.
pub(crate) const COVER_BYTES: u64 = 16 * 1024 * 1024;
/// The last that it wrote is enough to tell why it ended.
const LOG_SIZE: &str = "5m";
/// An engine adds options of its own that are not given here: with `compress`, one file alone would not let it start.
const LOG_FILES: &str = "2";

/// A container, in the words that all of them need.
pub(crate) struct Contained<'a> {
    /// By ID or name; it is never pulled.
    pub image: &'a str,
    /// `None`: the engine chooses one.
    pub name: Option<&'a str>,
    /// `None`: the image's own.
    pub entrypoint: Option<Vec<String>>,
    pub command: Vec<String>,
    pub env: &'a [String],
    /// As whom its program runs: `UID:GID`. `None`: the image's own.
    pub user: Option<&'a str>,
    /// By which recovery finds it.
    pub labels: Vec<(String, String)>,
    pub network: &'a str,
    /// Beside what covers the image's volumes.
    pub mounts: Vec<Mount>,
    pub memory_bytes: u64,
    pub processes: i64,
    /// What only this kind has. Everything above and below goes before it.
    pub more: HostConfig,
}

impl Engine {
    /// Makes it and starts it; its ID.
    ///
    /// # Errors
    /// The engine does not answer, lacks the image or the network, or could not start it; then it is gone again.
    pub(crate) async fn start_contained(&self, spec: Contained<'_>) -> Result<String, EngineError> {
        let id = self.make_contained(spec).await?;
        match self.start(&id).await {
            Ok(()) => Ok(id),
            Err(error) => {
                self.remove_container(&id).await?;
                Err(error)
            }
        }
    }

    /// What `start` gives; where nobody waits for that any more, the container is removed at once.
    ///
    /// # Errors
    /// As for `start`.
    pub(crate) async fn unless_forgotten<S>(
        &self,
        name: &str,
        start: impl FnOnce(Self) -> S,
    ) -> Result<String, EngineError>
    where
        S: Future<Output = Result<String, EngineError>> + Send + 'static,
    {
        let (sender, started) = oneshot::channel();
        let (engine, start) = (self.clone(), start(self.clone()));
        // A task of its own: dropped between two calls, nobody would know of the container.
        tokio::spawn(async move {
            if let Err(Ok(unwanted)) = sender.send(start.await)
                && let Err(error) = engine.remove_container(&unwanted).await
            {
                tracing::warn!(%error, "a container that nobody waits for is left");
            }
        });
        let ended = |_| EngineError::malformed(&format!("make container {name}"), "the task has ended");
        started.await.map_err(ended)?
    }

    /// Makes it, and does not start it; its ID.
    ///
    /// # Errors
    /// The engine does not answer, or lacks the image or the network.
    pub(crate) async fn make_contained(&self, spec: Contained<'_>) -> Result<String, EngineError> {
        let action = format!("make container {}", spec.name.unwrap_or(spec.image));
        let declared = self.image(spec.image).await?.map(|image| image.volumes).unwrap_or_default();
        let options = CreateContainerOptions { name: spec.name.map(str::to_owned), ..Default::default() };
        let made = self.docker.create_container(Some(options), body(spec, &declared));
        Ok(self.call(&action, made).await?.id)
    }
}

fn body(spec: Contained<'_>, declared: &[String]) -> ContainerCreateBody {
    let mut mounts = spec.mounts;
    mounts.extend(covers(&mounts, declared));
    let memory = whole(spec.memory_bytes);
    ContainerCreateBody {
        image: Some(spec.image.to_owned()),
        entrypoint: spec.entrypoint,
        cmd: Some(spec.command),
        env: Some(spec.env.to_vec()),
        user: spec.user.map(str::to_owned),
        labels: Some(spec.labels.into_iter().collect::<HashMap<_, _>>()),
        host_config: Some(HostConfig {
            network_mode: Some(spec.network.to_owned()),
            mounts: Some(mounts),
            memory: Some(memory),
            // No swap beside it: what is secret does not come to a disk that way either.
            memory_swap: Some(memory),
            pids_limit: Some(spec.processes),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            log_config: spec.more.log_config.or_else(|| Some(limited_log())),
            ..spec.more
        }),
        ..Default::default()
    }
}

/// What covers each path that the image declares and nothing else is mounted at. The engine takes `/data` and `/data/` for one.
fn covers(own: &[Mount], declared: &[String]) -> Vec<Mount> {
    let place = |path: &str| path.trim_end_matches('/').to_owned();
    let taken: BTreeSet<String> = own.iter().filter_map(|mount| mount.target.as_deref()).map(place).collect();
    let free: BTreeSet<String> =
        declared.iter().map(|path| place(path)).filter(|path| !taken.contains(path)).collect();
    free.iter().map(|path| in_memory(path, COVER_BYTES)).collect()
}

fn limited_log() -> HostConfigLogConfig {
    let options = [("max-size", LOG_SIZE), ("max-file", LOG_FILES)];
    HostConfigLogConfig {
        typ: Some("json-file".to_owned()),
        config: Some(options.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
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

fn whole(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_ends_with_a_slash_is_covered_once() {
        let declared = ["/data/db/", "/data/configdb/", "/data/configdb"].map(str::to_owned);
        let covered = covers(&[in_memory("/data/db", 1)], &declared);
        let targets: Vec<_> = covered.into_iter().filter_map(|mount| mount.target).collect();
        assert_eq!(targets, ["/data/configdb"]);
    }
}
