//! The proxy: reads a request, has it judged, sends what the policy wrote, streams both bodies.
//!
//! **Invariants**
//! - The only requests that reach the engine on a client's behalf are [`Forward`]s of the policy.
//! - Nothing is held in memory whole except the bodies that the policy asks for (4 MiB) and the answer to a container's creation.
//! - No timeout on what may rightly take for ever (waits, logs, events, builds); one on everything else.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::{Body, Engine, full};
use crate::error::GuardError;
use crate::facts::Facts;
use crate::log_limits::LogLimits;
use crate::lookup::{self, Lookup};
use crate::policy::{self, Missing, Policy, Verdict};
use crate::removal::Removals;
use crate::request::{self, Afterwards, Forward, Refusal};
use crate::socket::Guarded;
use crate::{headers, hijack, reply};

const CONNECTIONS_MAX: usize = 1024;
const HEADERS_MAX_BYTES: usize = 256 << 10;
const BODY_MAX_BYTES: usize = 4 << 20;
const FACTS_MAX: usize = 128;
/// As the engine's own: connections that idle longer are closed.
const HEADERS_SECONDS: u64 = 300;
/// The bodies that are read whole are small and sent at once.
const BODY_SECONDS: u64 = 60;
const FAREWELL_SECONDS: u64 = 5;
/// Of what nobody will read: no image that somebody builds.
const SWALLOWED_BYTES: usize = 1 << 20;
const SWALLOW_SECONDS: u64 = 2;

/// Serves until `shutdown` is over; then no new request is taken, and what runs gets a moment to end.
pub async fn serve(listener: UnixListener, guarded: Guarded, shutdown: impl Future<Output = ()> + Send) {
    let engine = Engine::new(guarded.upstream, guarded.hidden);
    let guard = Arc::new(Guard::new(engine, guarded.policy, guarded.logs));
    guard.removals.resume();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, place)) => {
                let guard = Arc::clone(&guard);
                guard.clone().tasks.spawn(async move {
                    connection(guard, stream).await;
                    drop(place);
                });
            }
            Err(why) => {
                // Out of descriptors, most likely: wait for some to come back rather than spin.
                tracing::warn!(%why, "cannot take a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    guard.quiet.cancel();
    guard.tasks.close();
    if timeout(Duration::from_secs(FAREWELL_SECONDS), guard.tasks.wait()).await.is_err() {
        guard.stop.cancel();
        guard.tasks.wait().await;
    }
}

async fn accept(
    listener: &UnixListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(std::io::Error::other)?;
    Ok((listener.accept().await?.0, place))
}

struct Guard {
    engine: Engine,
    policy: Policy,
    logs: LogLimits,
    removals: Removals,
    tasks: TaskTracker,
    /// No new requests.
    quiet: CancellationToken,
    /// Nothing any more.
    stop: CancellationToken,
}

impl Guard {
    fn new(engine: Engine, policy: Policy, logs: LogLimits) -> Self {
        let (tasks, stop, quiet) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        // Watching for ends has nothing to finish: it stops at once, and the next guard takes over.
        let removals = Removals::new(engine.clone(), tasks.clone(), quiet.clone());
        Self { engine, policy, logs, removals, tasks, quiet, stop }
    }
}

async fn connection(guard: Arc<Guard>, stream: UnixStream) {
    let service = service_fn(|request| {
        let guard = Arc::clone(&guard);
        async move { Ok::<_, std::convert::Infallible>(answer(guard, request).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(HEADERS_SECONDS));
    builder.max_buf_size(HEADERS_MAX_BYTES).auto_date_header(false);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = guard.stop.cancelled() => return,
        () = guard.quiet.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = guard.stop.cancelled() => return,
            }
        }
    };
    if let Err(why) = ended {
        tracing::debug!(%why, "a connection ended");
    }
}

async fn answer(guard: Arc<Guard>, request: Request<Incoming>) -> Response<Body> {
    match handle(guard, request).await {
        Ok(response) => response,
        Err(Trouble::Refused(refusal)) => reply::refusal(&refusal),
        Err(Trouble::Failed(error)) => {
            tracing::warn!(%error, "a request failed");
            reply::failure(&error)
        }
    }
}

enum Trouble {
    Refused(Refusal),
    Failed(GuardError),
}

impl From<GuardError> for Trouble {
    fn from(error: GuardError) -> Self {
        Self::Failed(error)
    }
}

async fn handle(guard: Arc<Guard>, mut request: Request<Incoming>) -> Result<Response<Body>, Trouble> {
    let client = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let mut body = Some(body);
    let verdict = judge(&guard, read(&parts), &mut body).await?;
    let (mut forward, keep) = match verdict {
        Verdict::Refuse(refusal) => {
            tracing::info!(method = %parts.method, path = parts.uri.path(), reason = refusal.message, "refused");
            swallow(body.take()).await;
            return Err(Trouble::Refused(refusal));
        }
        Verdict::Forward(forward) => (forward, false),
        Verdict::ForwardKeepingVolumes(forward) => (forward, true),
    };
    guard.logs.write_into(&mut forward);
    let request = write(&forward, &parts, body)?;
    if keep || forward.afterwards == Afterwards::CheckVolumes {
        // On its own, so that a client who hangs up between creation and look does not leave a container unseen.
        let work = guard.tasks.spawn(create(Arc::clone(&guard), request, keep));
        return work
            .await
            .unwrap_or_else(|_| Ok(reply::message(StatusCode::BAD_GATEWAY, "the volume guard stopped")));
    }
    let restart = match forward.afterwards {
        Afterwards::Restart => Some(guard.removals.pause().await),
        _ => None,
    };
    let answer = guard.engine.send(request).await?;
    drop(restart);
    if forward.afterwards == Afterwards::CheckStart && answer.status().as_u16() >= 400 {
        let path = forward.target.split('?').next().unwrap_or_default();
        let id = path.trim_end_matches("/start").rsplit('/').next().unwrap_or_default();
        if let Err(why) = guard.removals.failed_to_start(id).await {
            tracing::warn!(container = id, %why, "cannot remove a container that did not start");
        }
    }
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        if forward.upgrade.is_none() {
            return Ok(reply::message(StatusCode::BAD_GATEWAY, "the engine switched protocols unasked"));
        }
        return Ok(hijack::join(client, answer, &guard.tasks, guard.stop.clone()));
    }
    Ok(stream(answer))
}

/// Takes what is left of a refused request, within limits: a client that still writes when the connection closes would see
/// a broken pipe instead of the reason.
async fn swallow(body: Option<Incoming>) {
    let Some(mut body) = body else { return };
    let rest = async {
        let mut left = SWALLOWED_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(1, bytes::Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    let _ = timeout(Duration::from_secs(SWALLOW_SECONDS), rest).await;
}

fn read(parts: &Parts) -> request::Request {
    let joined = |name: hyper::header::HeaderName| {
        let values =
            parts.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        values.reduce(|one, other| format!("{one}, {other}").into()).map(std::borrow::Cow::into_owned)
    };
    request::Request {
        method: parts.method.as_str().to_owned(),
        target: parts.uri.to_string(),
        upgrade: joined(UPGRADE),
        content_type: joined(CONTENT_TYPE),
        body: None,
    }
}

/// What a tight socket would refuse of a container, were it made: why it is as good as root. `host_config` is as in the API.
///
/// # Errors
/// A fact that the judgement needs could not be had.
pub async fn root_equivalent(
    guarded: &Guarded,
    host_config: &serde_json::Value,
) -> Result<Option<String>, GuardError> {
    let engine = Engine::new(guarded.upstream.clone(), guarded.hidden.clone());
    let mut facts = Facts::default();
    for _ in 0..FACTS_MAX {
        match policy::root_equivalent(host_config, &facts) {
            Ok(reason) => return Ok(reason),
            Err(fact) => engine.learn(&fact, &mut facts).await?,
        }
    }
    Ok(Some("more than can be looked at".to_owned()))
}

/// Judges, finding out one thing after the other that the judgement lacks.
async fn judge(
    guard: &Guard,
    mut request: request::Request,
    body: &mut Option<Incoming>,
) -> Result<Verdict, Trouble> {
    let mut facts = Facts::default();
    for _ in 0..FACTS_MAX {
        match policy::judge(&request, guard.policy, &facts) {
            Ok(verdict) => return Ok(verdict),
            Err(Missing::Body) => request.body = Some(read_body(body.take()).await?),
            Err(Missing::Fact(fact)) => guard.engine.learn(&fact, &mut facts).await?,
        }
    }
    Ok(policy::verdict(&request, guard.policy, &facts))
}

async fn read_body(body: Option<Incoming>) -> Result<Vec<u8>, Trouble> {
    let refuse =
        |status, message: &str| Trouble::Refused(Refusal { status, message: format!("refused: {message}") });
    let Some(body) = body else {
        return Err(refuse(400, "the request has no body"));
    };
    let reading = timeout(Duration::from_secs(BODY_SECONDS), Limited::new(body, BODY_MAX_BYTES).collect());
    match reading.await {
        Ok(Ok(collected)) => Ok(collected.to_bytes().into()),
        Ok(Err(_)) => Err(refuse(413, "the body is broken or larger than 4 MiB")),
        Err(_) => Err(refuse(408, "the body did not arrive within a minute")),
    }
}

/// The request that the engine gets.
fn write(forward: &Forward, parts: &Parts, body: Option<Incoming>) -> Result<Request<Body>, GuardError> {
    let (body, rewritten) = match (&forward.body, body) {
        (Some(bytes), _) => (full(bytes.clone()), true),
        (None, Some(body)) => (body.map_err(Into::into).boxed(), false),
        (None, None) => (full(Vec::new()), true),
    };
    let mut request = Request::builder().method(forward.method.as_str()).uri(&forward.target).body(body)?;
    *request.headers_mut() = headers::forwarded(&parts.headers);
    let headers = request.headers_mut();
    if rewritten && forward.body.as_ref().is_some_and(|bytes| !bytes.is_empty()) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(upgrade) = forward.upgrade {
        headers::ask_for_upgrade(headers, upgrade);
    }
    Ok(request)
}

/// Makes a container and sees to it that it cannot take volumes with it.
async fn create(guard: Arc<Guard>, request: Request<Body>, keep: bool) -> Result<Response<Body>, Trouble> {
    let answer = guard.engine.send(request).await?;
    let (mut parts, body) = answer.into_parts();
    headers::strip(&mut parts.headers);
    let body = timeout(Duration::from_secs(BODY_SECONDS), Limited::new(body, BODY_MAX_BYTES).collect()).await;
    let what = || "the creation of a container".to_owned();
    let body = body.map_err(|_| GuardError::Slow { what: what(), seconds: BODY_SECONDS })?;
    let body =
        body.map_err(|_| GuardError::Answer { what: what(), status: parts.status.as_u16() })?.to_bytes();
    if parts.status == StatusCode::CREATED {
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let id = value.get("Id").and_then(serde_json::Value::as_str);
        let id = id.ok_or_else(|| GuardError::Answer { what: what(), status: parts.status.as_u16() })?;
        let seen = if keep { guard.removals.attend(id).await } else { check_volumes(&guard, id).await };
        if let Err(why) = seen {
            // Never run, so there is nothing in it; without a watch it would stay for ever, or take volumes with it.
            guard.engine.remove_container(id, true).await?;
            return Err(why.into());
        }
    }
    Ok(Response::from_parts(parts, full(body.into())))
}

/// The image was looked at by its name, and the name can have moved since.
async fn check_volumes(guard: &Guard, id: &str) -> Result<(), GuardError> {
    match lookup::container(&guard.engine, id).await? {
        Some(fact) if !fact.anonymous_volumes.is_empty() => Err(GuardError::Moved),
        _ => Ok(()),
    }
}

fn stream(answer: Response<Incoming>) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    headers::strip(&mut parts.headers);
    Response::from_parts(parts, body.map_err(Into::into).boxed())
}
