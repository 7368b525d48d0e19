//! The connection to the engine.

use crate::EngineError;
use crate::registry::Logins;
use bollard::Docker;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the engine listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// The most that one ordinary call may take until its answer begins.
pub const CALL_LIMIT: Duration = Duration::from_secs(60);
/// Between two tries to reach an engine that is still starting.
const READY_POLL: Duration = Duration::from_millis(250);

/// A Docker engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) docker: Docker,
    pub(crate) socket: PathBuf,
    pub(crate) logins: Logins,
}

/// What the engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    pub version: String,
    pub api_version: String,
    /// Where it keeps volumes and images: `/var/lib/docker`.
    pub root_dir: PathBuf,
    /// Whether images are in containerd's store (Engine 29's default) rather than in the engine's own.
    pub containerd_store: bool,
    /// As the kernel names it: `x86_64`, `aarch64`.
    pub architecture: String,
}

impl Engine {
    /// Connects, and agrees on the version of the API.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn connect(socket: Option<&Path>) -> Result<Self, EngineError> {
        let socket = socket.unwrap_or(Path::new(DEFAULT_SOCKET)).to_path_buf();
        let unreachable = |source| EngineError::Unreachable { socket: socket.clone(), source };
        let path = socket.to_string_lossy();
        let docker = Docker::connect_with_unix(&path, CALL_LIMIT.as_secs(), bollard::API_DEFAULT_VERSION)
            .map_err(unreachable)?;
        // Newer engines accept nothing old, older ones nothing new: the version is always negotiated.
        let docker = docker.negotiate_version().await.map_err(unreachable)?;
        Ok(Self { docker, socket, logins: Logins::default() })
    }

    /// Connects to an engine that may still be starting, as after a reboot.
    ///
    /// # Errors
    /// It does not answer within `limit`; the last reason is told.
    pub async fn connect_when_ready(socket: Option<&Path>, limit: Duration) -> Result<Self, EngineError> {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            match Self::connect(socket).await {
                Ok(engine) => return Ok(engine),
                Err(error) if tokio::time::Instant::now() + READY_POLL >= deadline => return Err(error),
                Err(_) => tokio::time::sleep(READY_POLL).await,
            }
        }
    }

    /// Waits until the engine answers (again).
    ///
    /// # Errors
    /// It does not within `limit`.
    pub async fn wait_ready(&self, limit: Duration) -> Result<(), EngineError> {
        Self::connect_when_ready(Some(&self.socket), limit).await.map(drop)
    }

    /// # Errors
    /// The engine does not answer.
    pub async fn info(&self) -> Result<EngineInfo, EngineError> {
        let version = self.call("tell its version", self.docker.version()).await?;
        let info = self.call("tell about itself", self.docker.info()).await?;
        let store =
            |pair: &Vec<String>| pair.iter().any(|text| text.starts_with("io.containerd.snapshotter"));
        Ok(EngineInfo {
            version: version.version.unwrap_or_default(),
            api_version: version.api_version.unwrap_or_default(),
            root_dir: info.docker_root_dir.unwrap_or_else(|| "/var/lib/docker".to_owned()).into(),
            containerd_store: info.driver_status.unwrap_or_default().iter().any(store),
            architecture: info.architecture.unwrap_or_default(),
        })
    }

    /// The same engine, which pulls and builds with these logins too.
    #[must_use]
    pub fn with_logins(self, logins: Logins) -> Self {
        Self { logins, ..self }
    }

    /// What it pulls and builds with.
    pub fn logins(&self) -> &Logins {
        &self.logins
    }

    /// The engine's socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// One call, with the usual limit.
    pub(crate) async fn call<T>(
        &self,
        action: &str,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        within(action, CALL_LIMIT, call).await
    }
}

/// One call to the engine, with a limit of its own.
pub(crate) async fn within<T>(
    action: &str,
    limit: Duration,
    call: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result.map_err(|source| EngineError::of(action, source)),
        Err(_) => Err(EngineError::Timeout { action: action.to_owned(), limit }),
    }
}
