//! The engine's stream to one program: an upgraded request on its socket.

use crate::{EngineError, StreamKind};
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::UnixStream;

/// How long the engine may take to start a program.
const OPEN_LIMIT: Duration = Duration::from_secs(60);
/// Read at once.
const READ_BYTES: usize = 64 * 1024;
/// How much of a refusal's text is read.
const REFUSAL_BYTES: usize = 4096;
/// `u8 stream, 3 zeros, u32 length` before each piece where there is no terminal.
const HEADER_BYTES: usize = 8;

/// What a program writes.
pub struct Output {
    reader: ReadHalf<TokioIo<Upgraded>>,
    buffer: BytesMut,
    /// With a terminal there is one stream, without headers.
    terminal: bool,
    /// Of the piece that is being read: its stream, and how much of it is to come.
    piece: Option<(StreamKind, usize)>,
}

/// What a program reads.
pub struct Input(WriteHalf<TokioIo<Upgraded>>);

pub(super) async fn open(
    socket: &Path,
    path: &str,
    body: &serde_json::Value,
    terminal: bool,
) -> Result<(Output, Input), EngineError> {
    let action = "start a program in a container";
    let upgraded = match tokio::time::timeout(OPEN_LIMIT, upgrade(socket, path, body)).await {
        Ok(upgraded) => upgraded?,
        Err(_) => return Err(EngineError::Timeout { action: action.to_owned(), limit: OPEN_LIMIT }),
    };
    let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
    Ok((Output { reader, buffer: BytesMut::new(), terminal, piece: None }, Input(writer)))
}

async fn upgrade(socket: &Path, path: &str, body: &serde_json::Value) -> Result<Upgraded, EngineError> {
    let stream = UnixStream::connect(socket).await.map_err(lost)?;
    let failed = |error: hyper::Error| lost(std::io::Error::other(error));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // It ends by itself: with the upgrade, or when the sender is dropped.
    tokio::spawn(connection.with_upgrades());
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, "docker")
        .header(CONTENT_TYPE, "application/json")
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "tcp")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|error| lost(std::io::Error::other(error)))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let body = Limited::new(response.into_body(), REFUSAL_BYTES).collect().await;
        let text = body.map(|body| body.to_bytes()).unwrap_or_default();
        let message = serde_json::from_slice::<serde_json::Value>(&text)
            .ok()
            .and_then(|answer| Some(answer.get("message")?.as_str()?.to_owned()))
            .unwrap_or_else(|| String::from_utf8_lossy(&text).trim().to_owned());
        return Err(EngineError::of(
            "start a program in a container",
            bollard::errors::Error::DockerResponseServerError { status_code: status.as_u16(), message },
        ));
    }
    hyper::upgrade::on(response).await.map_err(failed)
}

fn lost(source: std::io::Error) -> EngineError {
    EngineError::Refused { action: "talk to a program in a container".to_owned(), source: source.into() }
}

impl Output {
    /// The next piece; `None` at the end. Cancel safe.
    ///
    /// # Errors
    /// The engine broke off, or its stream cannot be read.
    pub async fn next(&mut self) -> Result<Option<(StreamKind, Bytes)>, EngineError> {
        loop {
            if let Some(piece) = self.take()? {
                return Ok(Some(piece));
            }
            self.buffer.reserve(READ_BYTES);
            if self.reader.read_buf(&mut self.buffer).await.map_err(lost)? == 0 {
                return Ok(None);
            }
        }
    }

    fn take(&mut self) -> Result<Option<(StreamKind, Bytes)>, EngineError> {
        if self.terminal {
            let some = !self.buffer.is_empty();
            return Ok(some.then(|| {
                let length = self.buffer.len().min(READ_BYTES);
                (StreamKind::Stdout, self.buffer.split_to(length).freeze())
            }));
        }
        loop {
            if let Some((kind, left)) = self.piece {
                if left == 0 {
                    self.piece = None;
                    continue;
                }
                let length = left.min(self.buffer.len()).min(READ_BYTES);
                self.piece = Some((kind, left - length));
                let piece = self.buffer.split_to(length).freeze();
                return Ok((length > 0).then_some((kind, piece)));
            }
            let Some([stream, _, _, _, a, b, c, d]) = self.buffer.first_chunk::<HEADER_BYTES>().copied()
            else {
                return Ok(None);
            };
            self.buffer.advance(HEADER_BYTES);
            let kind = match stream {
                0 | 1 => StreamKind::Stdout,
                2 => StreamKind::Stderr,
                _ => {
                    return Err(EngineError::malformed(
                        "talk to a program in a container",
                        "a piece of output is of no known stream",
                    ));
                }
            };
            self.piece = Some((kind, u32::from_be_bytes([a, b, c, d]) as usize));
        }
    }
}

impl Input {
    /// # Errors
    /// The program does not read any more.
    pub async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// Nothing more will come.
    pub async fn end(&mut self) {
        // A program that has ended needs no end of its input.
        let _ = self.0.shutdown().await;
    }
}
