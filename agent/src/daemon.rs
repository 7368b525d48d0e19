//! The composition root: opens everything, finishes what a crash left, then serves.

use crate::agent::Agent;
use crate::chores;
use crate::clock::Clock;
use crate::config::Config;
use crate::conversation::Doorman;
use crate::data;
use crate::guard::Guards;
use crate::jobs;
use crate::layout::Layout;
use crate::local;
use crate::programs;
use std::future::Future;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use wharf_agent_ssh::{Limits, ServerConfig};
use wharf_engine::{AppLock, ComposeCli, Engine};
use wharf_state::{BlobStore, EventLogs, State};

/// How long the agent waits for an engine that is still starting, as after a reboot.
const ENGINE_STARTS_WITHIN: Duration = Duration::from_secs(300);

#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error("cannot use the state folder {}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("cannot have {} alone: stop the other wharfd, or give this one another --state", path.display())]
    Taken { path: PathBuf, source: wharf_engine::LockError },
    #[error("cannot open the agent's state")]
    State(#[source] wharf_state::StateError),
    #[error("cannot open the jobs' logs")]
    Events(#[source] wharf_state::EventError),
    #[error("cannot open the content store")]
    Blobs(#[source] wharf_state::BlobError),
    #[error("cannot use Docker; is it installed, running, and may this user use it? (docker info)")]
    Engine(#[source] wharf_engine::EngineError),
    #[error("cannot use docker compose")]
    Compose(#[source] wharf_engine::ComposeError),
    #[error("cannot guard Docker's socket")]
    Guard(#[source] wharf_guard::GuardError),
    #[error("cannot use the host key")]
    HostKey(#[source] wharf_agent_ssh::HostKeyError),
    #[error("cannot listen on {address}: choose another with --listen")]
    Listen { address: String, source: std::io::Error },
    #[error("the SSH server stopped")]
    Serve(#[source] wharf_agent_ssh::ServeError),
}

/// Runs the agent until `shutdown` completes. Says `listening on ADDRESS` on standard output once it serves.
///
/// # Errors
/// Something that the agent needs cannot be had.
pub async fn run(
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), DaemonError> {
    let (agent, _only_one) = open_alone(config).await?;
    programs::journal::clear_all(&agent).await;
    if !agent.config.offsite.is_empty() {
        tokio::spawn(data::keep_copies(agent.clone()));
    }
    serve(agent, shutdown).await
}

/// Opens everything, and finishes what a crash left. There is no other agent of this state while the lock is held.
///
/// # Errors
/// Another agent runs; something that the agent needs cannot be had.
pub async fn open_alone(config: Config) -> Result<(Agent, AppLock), DaemonError> {
    let layout = Layout::new(&config.state);
    make_folders(&layout)?;
    let path = layout.agent_lock();
    let only_one = AppLock::try_acquire(&path)
        .map_err(|source| DaemonError::Taken { path: config.state.clone(), source })?;
    let agent = open(config, layout).await?;
    jobs::recover::finish_all(&agent).await;
    Ok((agent, only_one))
}

fn make_folders(layout: &Layout) -> Result<(), DaemonError> {
    let make = |path: &Path| {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| DaemonError::Folder { path: path.to_owned(), source })
    };
    make(layout.state())
}

async fn open(config: Config, layout: Layout) -> Result<Agent, DaemonError> {
    let program = std::env::current_exe()
        .map_err(|source| DaemonError::Folder { path: "/proc/self/exe".into(), source })?;
    let engine = Engine::connect_when_ready(Some(&config.docker), ENGINE_STARTS_WITHIN).await;
    let guards = Guards::serve(&layout, &config.docker, config.guard.socket.as_deref())
        .await
        .map_err(DaemonError::Guard)?;
    Ok(Agent {
        guards,
        state: State::open(layout.state()).map_err(DaemonError::State)?,
        events: EventLogs::open(&layout.jobs()).map_err(DaemonError::Events)?,
        blobs: BlobStore::open(&layout.blobs()).map_err(DaemonError::Blobs)?,
        engine: engine.map_err(DaemonError::Engine)?,
        compose: ComposeCli::locate().await.map_err(DaemonError::Compose)?,
        program: Arc::new(program),
        queue: Arc::default(),
        clock: Clock::from_environment(),
        new_backup: Arc::default(),
        config: Arc::new(config),
        layout,
    })
}

async fn serve(agent: Agent, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), DaemonError> {
    let address = agent.config.listen.clone();
    let cannot_listen = |source| DaemonError::Listen { address: address.clone(), source };
    let listener = TcpListener::bind(&address).await.map_err(cannot_listen)?;
    let bound = listener.local_addr().map_err(cannot_listen)?;
    let host_key =
        wharf_agent_ssh::load_or_create_host_key(&agent.layout.host_key()).map_err(DaemonError::HostKey)?;
    let config = ServerConfig {
        host_key,
        authorized_keys: agent.config.authorized_keys.clone(),
        limits: Limits::default(),
    };
    let doorman = Arc::new(Doorman { agent });
    local::listen(&doorman.agent.config, Arc::clone(&doorman));
    announce(&doorman.agent.layout, &bound.to_string())?;
    let chores = tokio::spawn(chores::run(doorman.agent.clone()));
    let served = wharf_agent_ssh::serve(listener, config, doorman, shutdown).await;
    chores.abort();
    served.map_err(DaemonError::Serve)
}

fn announce(layout: &Layout, address: &str) -> Result<(), DaemonError> {
    let path = layout.address_file();
    std::fs::write(&path, address).map_err(|source| DaemonError::Folder { path, source })?;
    tracing::info!(address, "serving");
    // Whoever started the agent may have closed its end by now, which is no reason to stop.
    let mut out = std::io::stdout();
    let _ = writeln!(out, "listening on {address}").and_then(|()| out.flush());
    Ok(())
}
