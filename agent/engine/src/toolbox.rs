//! Containers of the agent's own that are there for their programs: what reaches a server that is in no container of the
//! app's.
//!
//! **Invariants**
//! - A toolbox publishes no port, has no volume, and writes to nothing but memory.
//! - What is secret is written to a file in its memory ([`Engine::put_in_memory`]): in its environment everybody who may
//!   inspect containers would read it, as an argument everybody who may list processes, on a disk whoever finds the disk.
//!   It is gone with the container.

use crate::contained::{COVER_BYTES, Contained, in_memory};
use crate::exec::ExecSpec;
use crate::{Engine, EngineError};
use bollard::models::HostConfig;
use bollard::query_parameters::InspectContainerOptions;
use std::collections::HashMap;
use std::time::Duration;

/// Where what is secret lies.
pub const TOOLBOX_FOLDER: &str = "/run/wharf";
const FOLDER_BYTES: u64 = 1024 * 1024;
const PROCESSES: i64 = 128;
/// It ends by itself then, whoever forgot it.
const LIVES_SECONDS: u32 = 7 * 24 * 60 * 60;
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// A container for its programs.
#[derive(Debug, Clone)]
pub struct Toolbox {
    /// By ID or name; it is never pulled.
    pub image: String,
    pub name: String,
    /// `KEY=VALUE`; nothing secret.
    pub env: Vec<String>,
    /// By which recovery finds it.
    pub labels: Vec<(String, String)>,
    /// `None`: the machine's own network.
    pub network: Option<String>,
    /// `NAME:ADDRESS`, beside what the network's name server knows.
    pub hosts: Vec<String>,
    pub memory_bytes: u64,
}

impl Engine {
    /// Makes and starts a toolbox; its ID. Whoever asks removes it; where he does not wait for it any more, it is removed at
    /// once.
    ///
    /// # Errors
    /// The engine does not answer, lacks the image or the network, or could not start it; then it is gone again.
    pub async fn start_toolbox(&self, spec: &Toolbox) -> Result<String, EngineError> {
        let toolbox = spec.clone();
        self.unless_forgotten(&spec.name, |engine| async move { engine.make_toolbox(&toolbox).await }).await
    }

    async fn make_toolbox(&self, spec: &Toolbox) -> Result<String, EngineError> {
        self.start_contained(Contained {
            image: &spec.image,
            name: Some(&spec.name),
            entrypoint: Some(vec!["sleep".to_owned()]),
            command: vec![LIVES_SECONDS.to_string()],
            env: &spec.env,
            user: None,
            labels: spec.labels.clone(),
            network: spec.network.as_deref().unwrap_or("host"),
            mounts: vec![in_memory(TOOLBOX_FOLDER, FOLDER_BYTES), in_memory("/tmp", COVER_BYTES)],
            memory_bytes: spec.memory_bytes,
            processes: PROCESSES,
            more: HostConfig {
                readonly_rootfs: Some(true),
                cap_drop: Some(vec!["ALL".to_owned()]),
                extra_hosts: Some(spec.hosts.clone()),
                ..Default::default()
            },
        })
        .await
    }

    /// The labels of a container; none where there is no such container.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn labels(&self, container: &str) -> Result<HashMap<String, String>, EngineError> {
        let action = format!("look at container {container}");
        let inspected = self
            .call(&action, self.docker.inspect_container(container, None::<InspectContainerOptions>))
            .await;
        match inspected {
            Ok(inspect) => Ok(inspect.config.and_then(|config| config.labels).unwrap_or_default()),
            Err(error) if error.is_not_found() => Ok(HashMap::new()),
            Err(error) => Err(error),
        }
    }

    /// Writes a secret to a file in the toolbox's memory, for its own user alone; where it is then.
    ///
    /// # Errors
    /// The container does not run, or has no shell.
    pub async fn put_in_memory(
        &self,
        container: &str,
        name: &str,
        content: &[u8],
    ) -> Result<String, EngineError> {
        let path = format!("{TOOLBOX_FOLDER}/{name}");
        let mut spec = ExecSpec::new(["sh", "-c", "umask 077 && exec cat > \"$1\"", "put", &path]);
        spec.stdin = true;
        let written = self.exec_to_end(container, &spec, content, WRITE_LIMIT, 4096).await?;
        if written.code != Some(0) {
            let said = String::from_utf8_lossy(&written.stderr).trim().to_owned();
            return Err(EngineError::malformed(&format!("write {path} in container {container}"), said));
        }
        Ok(path)
    }
}
