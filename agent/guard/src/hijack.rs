//! Connections that became a raw stream: attach, exec, session, grpc.

use std::io;

use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::{Body, full};

/// Joins both sides once both have switched, and passes the engine's 101 on. The end of one direction is passed on as such: `exec -i`
/// goes on reading after its input has ended.
pub fn join(
    client: OnUpgrade,
    mut answer: Response<Incoming>,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> Response<Body> {
    let engine = hyper::upgrade::on(&mut answer);
    tasks.spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            piped = pipe(client, engine) => if let Err(why) = piped {
                // Ordinary: the engine closes an attach whose container ended while the client still types.
                tracing::debug!(%why, "a raw stream ended");
            },
        }
    });
    let (parts, _) = answer.into_parts();
    let mut response = Response::new(full(Vec::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = parts.headers;
    response
}

async fn pipe(client: OnUpgrade, engine: OnUpgrade) -> io::Result<()> {
    let (client, engine) = tokio::try_join!(client, engine).map_err(io::Error::other)?;
    copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(engine)).await?;
    Ok(())
}
