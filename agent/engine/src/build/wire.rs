//! The engine's two HTTP/2 streams, each made of an upgraded HTTP/1 request on its socket.

use super::BuildError;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{CONNECTION, HOST, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

/// How long the engine may take to agree to a stream.
const UPGRADE_LIMIT: Duration = Duration::from_secs(20);
/// How much of a refusal's text is read.
const REFUSAL_BYTES: usize = 4096;

/// The channel on which builds are asked for.
pub(super) async fn channel(socket: &Path) -> Result<Channel, BuildError> {
    let socket: PathBuf = socket.to_path_buf();
    let connect = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { upgrade(&socket, "/grpc", &[]).await }
    });
    Endpoint::from_static("http://docker")
        .connect_with_connector(connect)
        .await
        .map_err(|error| BuildError::connection("no stream for requests", error))
}

/// Opens a stream.
pub(super) async fn upgrade(
    socket: &Path,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Upgraded, BuildError> {
    match tokio::time::timeout(UPGRADE_LIMIT, try_upgrade(socket, path, headers)).await {
        Ok(result) => result,
        Err(_) => Err(BuildError::Connection {
            what: format!("no answer on {path} within {} s", UPGRADE_LIMIT.as_secs()),
            source: None,
        }),
    }
}

async fn try_upgrade(socket: &Path, path: &str, headers: &[(&str, &str)]) -> Result<Upgraded, BuildError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| BuildError::connection(socket.display().to_string(), error))?;
    let failed = |error: hyper::Error| BuildError::connection(path, error);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // It ends by itself: with the upgrade, or when the sender is dropped.
    tokio::spawn(connection.with_upgrades());
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, "docker")
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "h2c");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| BuildError::connection(path, error))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let body = Limited::new(response.into_body(), REFUSAL_BYTES).collect().await;
        let text = body.map(|body| body.to_bytes()).unwrap_or_default();
        let what = format!("{path} answered {status}: {}", String::from_utf8_lossy(&text).trim());
        return Err(BuildError::Connection { what, source: None });
    }
    hyper::upgrade::on(response).await.map_err(failed)
}

/// Names sessions and builds: 32 hexadecimal digits that nothing on the engine has.
pub(super) fn new_id() -> String {
    use sha2::{Digest, Sha256};
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seed = format!("{} {} {count}", std::process::id(), now.as_nanos());
    hex::encode(Sha256::digest(seed).get(..16).unwrap_or_default())
}

/// The stream on which the engine asks us; tonic wants to know such streams by a trait.
pub(super) struct SessionIo(pub(super) TokioIo<Upgraded>);

impl tonic::transport::server::Connected for SessionIo {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for SessionIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for SessionIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
