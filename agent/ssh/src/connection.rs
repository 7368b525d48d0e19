//! One connection: its permits, its clock, its end.

use crate::{config::Limits, gate::Gated, load::Load, serve::Shared, session::Session};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long a connection that was told to go may take to do so.
const FAREWELL: Duration = Duration::from_secs(3);

/// What a connection's session, conversations and clock share. Its permit of the whole is given back when the last of
/// them is over, so that handlers that outlive their connections are bounded too.
#[derive(Debug)]
pub struct Connection {
    pub from: SocketAddr,
    pub load: Arc<Load>,
    /// Cancelled when the connection is over.
    pub over: CancellationToken,
    /// Conversations that are open.
    conversations: AtomicUsize,
    authenticated: AtomicBool,
    let_in: Notify,
    stranger: Mutex<Option<OwnedSemaphorePermit>>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    pub fn new(from: SocketAddr, stranger: OwnedSemaphorePermit, permit: OwnedSemaphorePermit) -> Self {
        Self {
            from,
            load: Arc::default(),
            over: CancellationToken::new(),
            conversations: AtomicUsize::new(0),
            authenticated: AtomicBool::new(false),
            let_in: Notify::new(),
            stranger: Mutex::new(Some(stranger)),
            _permit: permit,
        }
    }

    /// The peer has proved who it is.
    pub fn let_in(&self) {
        self.authenticated.store(true, Ordering::Release);
        self.stranger.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.load.touch();
        self.let_in.notify_one();
    }

    /// Counts a conversation until the guard is dropped; `None` at the limit.
    pub fn begin_conversation(self: &Arc<Self>, limits: &Limits) -> Option<OpenConversation> {
        let before = self.conversations.fetch_add(1, Ordering::AcqRel);
        let open = OpenConversation(self.clone());
        (before < limits.channels).then_some(open)
    }

    /// Completes when the connection has used up its time.
    async fn used_up(&self, limits: &Limits, deadline: Instant) -> &'static str {
        if timeout_at(deadline, self.let_in.notified()).await.is_err()
            && !self.authenticated.load(Ordering::Acquire)
        {
            return "not authenticated in time";
        }
        loop {
            let (bound, why) = match self.conversations.load(Ordering::Acquire) {
                0 => (limits.idle, "idle"),
                _ => (limits.quiet, "quiet for too long"),
            };
            match bound.checked_sub(self.load.still_for()) {
                None | Some(Duration::ZERO) => return why,
                // Conversations begin and end meanwhile, and then the other bound holds.
                Some(left) => sleep(left.min(limits.idle).min(limits.quiet)).await,
            }
        }
    }
}

/// See [`Connection::begin_conversation`].
#[derive(Debug)]
pub struct OpenConversation(Arc<Connection>);

impl Drop for OpenConversation {
    fn drop(&mut self) {
        self.0.conversations.fetch_sub(1, Ordering::AcqRel);
        self.0.load.touch();
    }
}

/// Serves one connection until it ends, its time is up, or `shutdown`.
pub async fn run(stream: TcpStream, connection: Arc<Connection>, shared: Arc<Shared>) {
    let from = connection.from;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%from, %error, "TCP_NODELAY could not be set");
    }
    let stream = Gated::new(stream, connection.load.clone());
    let session = Session::new(connection.clone(), shared.clone());
    let deadline = Instant::now() + shared.limits.authenticate_within;
    let greeting = timeout_at(deadline, russh::server::run_stream(shared.russh.clone(), stream, session));
    let mut running = tokio::select! {
        greeted = greeting => match greeted {
            Ok(Ok(running)) => running,
            Ok(Err(error)) => {
                tracing::debug!(%from, %error, "a connection did not begin as SSH");
                return;
            }
            Err(_) => return tracing::debug!(%from, "a connection said nothing"),
        },
        () = shared.shutdown.cancelled() => return,
    };
    let why = tokio::select! {
        ended = &mut running => {
            if let Err(error) = ended {
                tracing::debug!(%from, %error, "a connection ended");
            }
            connection.over.cancel();
            return;
        }
        why = connection.used_up(&shared.limits, deadline) => why,
        () = shared.shutdown.cancelled() => "the agent is stopping",
    };
    tracing::info!(%from, why, "ending a connection");
    let goodbye = async {
        let _ =
            running.handle().disconnect(russh::Disconnect::ByApplication, why.into(), String::new()).await;
        let _ = (&mut running).await;
    };
    if timeout(FAREWELL, goodbye).await.is_err() {
        connection.load.cut();
    }
    connection.over.cancel();
}
