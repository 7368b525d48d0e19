//! The composition root: opens everything, finishes what a crash left, then serves.

use crate::agent::Agent;
use crate::answers::Certificates;
use crate::chores;
use crate::clock::Clock;
use crate::config::Config;
use crate::conversation::Doorman;
use crate::data;
use crate::guard::Guards;
use crate::jobs;
use crate::layout::Layout;
use crate::local;
use crate::outside;
use crate::programs;
use std::future::Future;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use wharf_agent_ssh::{Limits, ServerConfig};
use wharf_engine::registry::Logins;
use wharf_engine::{AppLock, ComposeCli, Engine};
use wharf_state::{BlobStore, EventLogs, State};

/// How long the agent waits for an engine that is still starting, as after a reboot.
const ENGINE_STARTS_WITHIN: Duration = Duration::from_secs(300);
/// How long the agent waits for its jobs when it is told to leave after them. Then it stays.
const IDLE_WITHIN: Duration = Duration::from_secs(600);

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
    #[error("cannot listen at {}, and there is no other way in: listen is none", path.display())]
    Socket { path: PathBuf, source: std::io::Error },
    #[error("the SSH server stopped")]
    Serve(#[source] wharf_agent_ssh::ServeError),
}

/// Runs the agent until `shutdown` completes, or until no job runs once `leave` was notified. Says `listening on ADDRESS`
/// on standard output once it serves.
///
/// # Errors
/// Something that the agent needs cannot be had.
pub async fn run(
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
    leave: Arc<Notify>,
) -> Result<(), DaemonError> {
    let (agent, _only_one) = open_alone(config).await?;
    programs::journal::clear_all(&agent).await;
    outside::clear_left(&agent).await;
    if !agent.config.offsite.is_empty() {
        tokio::spawn(data::keep_copies(agent.clone()));
    }
    let queue = Arc::clone(&agent.queue);
    let idle = async move {
        loop {
            leave.notified().await;
            tracing::info!("leaving as soon as no job runs");
            if queue.close_when_idle(IDLE_WITHIN).await {
                return;
            }
            tracing::warn!("a job still runs: staying");
        }
    };
    let shutdown = async {
        tokio::select! {
            () = shutdown => {}
            () = idle => {}
        }
    };
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
        engine: engine.map_err(DaemonError::Engine)?.with_logins(Logins::in_folder(&layout.docker_config())),
        compose: ComposeCli::locate().await.map_err(DaemonError::Compose)?,
        program: Arc::new(program),
        queue: Arc::default(),
        clock: Clock::from_environment(),
        new_backup: Arc::default(),
        certificates: Certificates::default(),
        turns: Arc::default(),
        config: Arc::new(config),
        layout,
    })
}

async fn serve(agent: Agent, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), DaemonError> {
    let doorman = Arc::new(Doorman { agent });
    let agent = doorman.agent.clone();
    let Some(address) = agent.config.address() else { return serve_socket(&doorman, shutdown).await };
    let address = address.to_owned();
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
    if let Err(error) = local::listen(&agent.config, Arc::clone(&doorman)) {
        let path = agent.config.socket();
        let path = path.display();
        tracing::warn!(%path, %error, "no local socket: `wharfd backup` and `wharfd connect` will not work");
    }
    announce(&agent.layout, &bound.to_string())?;
    let chores = tokio::spawn(chores::run(agent.clone()));
    let served = wharf_agent_ssh::serve(listener, config, doorman, shutdown).await;
    chores.abort();
    served.map_err(DaemonError::Serve)
}

/// Without a port of its own: the server's sshd lets people in.
async fn serve_socket(doorman: &Arc<Doorman>, shutdown: impl Future<Output = ()>) -> Result<(), DaemonError> {
    let agent = &doorman.agent;
    let path = agent.config.socket();
    local::listen(&agent.config, Arc::clone(doorman))
        .map_err(|source| DaemonError::Socket { path: path.clone(), source })?;
    announce(&agent.layout, &path.display().to_string())?;
    let chores = tokio::spawn(chores::run(agent.clone()));
    shutdown.await;
    chores.abort();
    Ok(())
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
