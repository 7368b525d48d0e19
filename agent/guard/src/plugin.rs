//! The guard for the whole host: an authorization plugin, which the engine asks before it serves any request.
//!
//! **Invariants**
//! - Whatever goes wrong is a refusal: a question that cannot be read, a fact that cannot be found out, more at once than there is
//!   room for.
//! - Facts are found out by reading from the engine, which asks about those reads as well while the first question is still open.
//!   They are answered at once and without a fact, and there is always a connection left for them, so nothing waits for itself.
//! - Being made known to the engine needs no engine: it starts only when this answers.

mod permits;
mod wire;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::{Body, Engine, full};
use crate::error::GuardError;
use crate::facts::{Fact, Facts};
use crate::lookup::Lookup;
use crate::policy::Missing;
use crate::policy::whole_host::{self, Answer};
use crate::request;
use crate::socket::Socket;

pub use permits::{FOLDER as PERMITS, Permit};

/// What the engine calls it: `--authorization-plugin=wharf-guard`.
pub const NAME: &str = "wharf-guard";
/// Where the engine finds it by that name.
pub const SOCKET: &str = "/run/docker/plugins/wharf-guard.sock";

/// The engine runs as root.
const MODE: u32 = 0o600;
/// Questions that wait for facts. Each needs one more connection at a time, for its own reading.
const JUDGED_AT_ONCE: usize = 512;
const CONNECTIONS_MAX: usize = 2 * JUDGED_AT_ONCE + 1024;
/// More than the engine shows of a body (1 MiB; some 4), in base64.
const QUESTION_MAX_BYTES: usize = 16 << 20;
const QUESTION_SECONDS: u64 = 20;
/// One for each thing that a container's creation or end depends on.
const FACTS_MAX: usize = 8;
const FAREWELL_SECONDS: u64 = 5;

/// Where the plugin is, whom it asks, and what lets a deletion through.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// The socket that the engine asks at.
    pub listen: PathBuf,
    /// The engine's own socket.
    pub upstream: PathBuf,
    /// The folder of [`Permit`]s.
    pub permits: PathBuf,
}

/// Serves until `shutdown` is over, and takes the socket away again. `ready` is called once the engine may ask.
pub async fn serve(
    plugin: Plugin,
    ready: impl FnOnce(),
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), GuardError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| GuardError::Listen { path, source }
    };
    permits::prepare(&plugin.permits).map_err(failed(&plugin.permits))?;
    let socket = Socket::bind(&plugin.listen, MODE).await?;
    ready();
    let desk = Arc::new(Desk {
        engine: Engine::new(plugin.upstream, Vec::new()),
        permits: plugin.permits,
        judged: Semaphore::new(JUDGED_AT_ONCE),
    });
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut shutdown = pin!(shutdown);
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok(stream) => {
                let (desk, stop) = (Arc::clone(&desk), stop.clone());
                tasks.spawn(async move {
                    connection(desk, stream, stop).await;
                    drop(place);
                });
            }
            Err(why) => {
                // As in the proxy: out of descriptors, most likely, and nobody tells when some come back.
                tracing::warn!(%why, "cannot take a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    stop.cancel();
    tasks.close();
    let _ = timeout(Duration::from_secs(FAREWELL_SECONDS), tasks.wait()).await;
    socket.remove();
    Ok(())
}

struct Desk {
    engine: Engine,
    permits: PathBuf,
    judged: Semaphore,
}

/// One of the engine's connections, which it keeps for later questions.
async fn connection(desk: Arc<Desk>, stream: UnixStream, stop: CancellationToken) {
    let service = service_fn(|request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(desk.receive(request).await) }
    });
    let builder = hyper::server::conn::http1::Builder::new();
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(why) = ended {
        tracing::debug!(%why, "a connection ended");
    }
}

impl Desk {
    async fn receive(&self, asked: Request<Incoming>) -> Response<Body> {
        let (parts, body) = asked.into_parts();
        let body = Limited::new(body, QUESTION_MAX_BYTES).collect();
        let body = timeout(Duration::from_secs(QUESTION_SECONDS), body).await;
        let told = match parts.uri.path() {
            wire::ACTIVATE => wire::IMPLEMENTS.as_bytes().to_vec(),
            wire::RESPONSE => wire::write(&Answer::Allow),
            wire::REQUEST => {
                let answer = match body {
                    Ok(Ok(body)) => self.answer(&body.to_bytes()).await,
                    _ => Answer::Deny(
                        "refused: the guard could not read what the engine asked; try again".into(),
                    ),
                };
                wire::write(&answer)
            }
            _ => return reply(StatusCode::NOT_FOUND, Vec::new()),
        };
        reply(StatusCode::OK, told)
    }

    async fn answer(&self, question: &[u8]) -> Answer {
        let request = match wire::read(question) {
            Ok(request) => request,
            Err(why) => {
                tracing::warn!(%why, "refused");
                return Answer::Deny(format!("refused: {why}"));
            }
        };
        let answer = self.judge(&request).await;
        if let Answer::Deny(reason) = &answer {
            let path = request.target.split('?').next().unwrap_or_default();
            tracing::info!(method = request.method, path, reason, "refused");
        }
        answer
    }

    async fn judge(&self, request: &request::Request) -> Answer {
        let mut facts = Facts::default();
        let first = match whole_host::judge(request, &facts) {
            Ok(answer) => return answer,
            Err(missing) => missing,
        };
        let Ok(_place) = self.judged.try_acquire() else {
            return Answer::Deny("refused: too many requests at once for the guard; try again".into());
        };
        let mut missing = first;
        for _ in 0..FACTS_MAX {
            let Missing::Fact(fact) = &missing else {
                break;
            };
            if let Err(error) = self.learn(fact, &mut facts).await {
                tracing::warn!(%error, "a fact could not be found out");
                break;
            }
            match whole_host::judge(request, &facts) {
                Ok(answer) => return answer,
                Err(next) => missing = next,
            }
        }
        whole_host::unknown(&missing)
    }

    async fn learn(&self, fact: &Fact, facts: &mut Facts) -> Result<(), GuardError> {
        let Fact::Permit(volume) = fact else {
            return self.engine.learn(fact, facts).await;
        };
        let taken = permits::take(&self.permits, volume)
            .map_err(|source| GuardError::Path { path: self.permits.display().to_string(), source })?;
        if taken {
            tracing::info!(volume, "the deletion of a volume was permitted, once");
        }
        facts.know_permit(volume, taken);
        Ok(())
    }
}

fn reply(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/vnd.docker.plugins.v1.2+json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
