//! The engine's own socket: one connection a request, so that nothing of one request can leak into another.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::error::GuardError;

/// Any body, streamed.
pub type Body = BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Opening a Unix socket is at once, unless the engine hangs with a full backlog.
const CONNECT_SECONDS: u64 = 10;

/// Look-ups are small and quick; an engine under load takes its time.
const LOOKUP_SECONDS: u64 = 30;

/// An inspection of anything is far below this.
const ANSWER_MAX_BYTES: usize = 4 << 20;

/// The engine behind the guard.
#[derive(Debug, Clone)]
pub struct Engine {
    socket: PathBuf,
    hidden: Vec<PathBuf>,
}

impl Engine {
    /// The engine that listens at a socket, and what else commands the host.
    pub fn new(socket: PathBuf, hidden: Vec<PathBuf>) -> Self {
        Self { socket, hidden }
    }

    /// Paths that no container gets, besides the engine's own.
    pub fn hidden(&self) -> &[PathBuf] {
        &self.hidden
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends one request. There is no limit on how long the answer takes: waiting for a container may take weeks.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, GuardError> {
        let connecting = timeout(Duration::from_secs(CONNECT_SECONDS), UnixStream::connect(&self.socket));
        let stream = connecting
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
            .map_err(|source| GuardError::Connect { path: self.socket.clone(), source })?;
        let (mut sender, connection) = http1::Builder::new().handshake(TokioIo::new(stream)).await?;
        // Ends by itself: with the answer's last byte, when the answer is dropped, or when it is upgraded.
        tokio::spawn(connection.with_upgrades());
        Ok(sender.send_request(request).await?)
    }

    /// Asks for an object: `None` when there is no such.
    pub async fn get(&self, path: &str) -> Result<Option<Value>, GuardError> {
        let (status, body) = self.ask("GET", path).await?;
        match status {
            StatusCode::OK => {
                let unclear = || GuardError::Answer { what: path.to_owned(), status: status.as_u16() };
                serde_json::from_slice(&body).map(Some).map_err(|_| unclear())
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(GuardError::Answer { what: path.to_owned(), status: status.as_u16() }),
        }
    }

    /// Removes a container, and nothing but the container.
    pub async fn remove_container(&self, id: &str, force: bool) -> Result<StatusCode, GuardError> {
        let (status, _) =
            self.ask("DELETE", &format!("/containers/{id}?v=0&force={}", u8::from(force))).await?;
        Ok(status)
    }

    /// Opens a wait for the next end of a container; the answer's body ends when the container has.
    pub async fn wait_next_exit(&self, id: &str) -> Result<Response<Incoming>, GuardError> {
        let path = format!("/containers/{id}/wait?condition=next-exit");
        let opening = timeout(Duration::from_secs(LOOKUP_SECONDS), self.send(plain("POST", &path)?));
        opening
            .await
            .unwrap_or_else(|_| Err(GuardError::Slow { what: path.clone(), seconds: LOOKUP_SECONDS }))
    }

    async fn ask(&self, method: &str, path: &str) -> Result<(StatusCode, Bytes), GuardError> {
        let asking = async {
            let response = self.send(plain(method, path)?).await?;
            let status = response.status();
            let unclear = || GuardError::Answer { what: path.to_owned(), status: status.as_u16() };
            let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES)
                .collect()
                .await
                .map_err(|_| unclear())?;
            Ok((status, body.to_bytes()))
        };
        let slow = || Err(GuardError::Slow { what: path.to_owned(), seconds: LOOKUP_SECONDS });
        timeout(Duration::from_secs(LOOKUP_SECONDS), asking).await.unwrap_or_else(|_| slow())
    }
}

/// A body that is known whole.
pub fn full(bytes: Vec<u8>) -> Body {
    Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed()
}

fn plain(method: &str, path: &str) -> Result<Request<Body>, GuardError> {
    let body = Empty::new().map_err(|never| match never {}).boxed();
    Ok(Request::builder().method(method).uri(path).header("host", "docker").body(body)?)
}
