//! A stream that is read only as fast as what was read is taken.
//!
//! russh credits a channel's window as soon as data arrives, so the window bounds nothing; and a callback that waits
//! stops the whole session, its writing included. So the brake sits under russh: while too much waits, the stream has
//! nothing to read, and TCP slows the peer down. Writing goes on.

use crate::load::Load;
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// While the gate is shut one read is let through this often, so that answers to keep-alives get in and a peer whose
/// handler is merely slow is not taken for dead.
const DRIP: Duration = Duration::from_secs(10);

/// `S`, gated by a [`Load`].
pub struct Gated<S> {
    inner: S,
    load: Arc<Load>,
    drip: Pin<Box<Sleep>>,
    shut: bool,
}

impl<S> Gated<S> {
    pub fn new(inner: S, load: Arc<Load>) -> Self {
        Self { inner, load, drip: Box::pin(tokio::time::sleep(DRIP)), shut: false }
    }

    /// Whether a read may pass now; otherwise the task is woken when that may have changed.
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Registered before looking, or a change in between would be missed.
        self.load.register(context.waker());
        if self.load.is_cut() {
            return Poll::Ready(Err(severed()));
        }
        if self.load.admits() {
            self.shut = false;
            return Poll::Ready(Ok(()));
        }
        if !self.shut {
            self.shut = true;
            self.drip.as_mut().reset(Instant::now() + DRIP);
        }
        match self.drip.as_mut().poll(context) {
            Poll::Ready(()) => {
                self.drip.as_mut().reset(Instant::now() + DRIP);
                Poll::Ready(Ok(()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

fn severed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the agent ended the connection")
}

impl<S: AsyncRead + Unpin> AsyncRead for Gated<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.poll_open(context) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.inner).poll_read(context, buffer),
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gated<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.load.is_cut() {
            return Poll::Ready(Err(severed()));
        }
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.load.is_cut() {
            return Poll::Ready(Err(severed()));
        }
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
