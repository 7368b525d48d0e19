//! Accepting connections.

use crate::{
    config::{Limits, ServerConfig},
    connection::{self, Connection},
    peer::Handler,
};
use std::{future::Future, io, path::PathBuf, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// After an `accept` that failed for want of descriptors or memory.
const BREATHER: Duration = Duration::from_millis(200);
/// How long connections may take to end when the server stops.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why a server stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the SSH server cannot accept connections any more")]
    Accept(#[source] io::Error),
}

/// What all connections share.
pub struct Shared {
    pub russh: Arc<russh::server::Config>,
    pub authorized_keys: PathBuf,
    pub limits: Limits,
    pub handler: Arc<dyn Handler>,
    pub shutdown: CancellationToken,
}

/// Serves SSH connections until `shutdown` completes. Conversations that are open then lose their peer; their handlers are
/// not cancelled.
///
/// # Errors
/// The listener broke.
pub async fn serve(
    listener: TcpListener,
    config: ServerConfig,
    handler: Arc<dyn Handler>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let shared = Arc::new(Shared {
        russh: Arc::new(config.russh()),
        authorized_keys: config.authorized_keys,
        limits: config.limits,
        handler,
        shutdown: CancellationToken::new(),
    });
    // Also when this future is dropped.
    let _stop = shared.shutdown.clone().drop_guard();
    let mut connections = JoinSet::new();
    let accepted = tokio::select! {
        accepted = accept(&listener, &shared, &mut connections) => accepted,
        () = shutdown => Ok(()),
    };
    drop(listener);
    shared.shutdown.cancel();
    let farewell = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
        connections.shutdown().await;
    }
    accepted
}

async fn accept(
    listener: &TcpListener,
    shared: &Arc<Shared>,
    connections: &mut JoinSet<()>,
) -> Result<(), ServeError> {
    let all = Arc::new(Semaphore::new(shared.limits.connections));
    let strangers = Arc::new(Semaphore::new(shared.limits.unauthenticated));
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if passes(&error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(BREATHER).await;
                continue;
            }
            Err(error) => return Err(ServeError::Accept(error)),
        };
        let Ok(permit) = all.clone().try_acquire_owned() else {
            tracing::warn!(%from, limit = shared.limits.connections, "too many connections: turned away");
            continue;
        };
        let Ok(stranger) = strangers.clone().try_acquire_owned() else {
            tracing::warn!(%from, limit = shared.limits.unauthenticated, "too many connections that are not authenticated: turned away");
            continue;
        };
        let connection = Arc::new(Connection::new(from, stranger, permit));
        connections.spawn(connection::run(stream, connection, shared.clone()));
    }
}

/// Whether `accept` may work again later.
fn passes(error: &io::Error) -> bool {
    use nix::libc::{EBADF, EFAULT, EINVAL, ENOTSOCK, EOPNOTSUPP};
    !matches!(error.raw_os_error(), Some(EBADF | EFAULT | EINVAL | ENOTSOCK | EOPNOTSUPP))
}
