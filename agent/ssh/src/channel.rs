//! One SSH channel, made a [`Conversation`].
//!
//! Received data goes straight from russh's callback into the conversation's queue. Sending has a task of its own: it waits
//! for the client's window, which a callback must never do.

use crate::{
    connection::{Connection, OpenConversation},
    conversation::{Conversation, Outbound, Piece, STALL},
    load::Load,
    peer::{Handler, Peer},
};
use bytes::Bytes;
use russh::server::Msg;
use russh::{Channel, ChannelWriteHalf};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long the goodbye of a channel may take.
const GOODBYE: Duration = Duration::from_secs(10);
/// What is handed to russh at once.
const PIECE_BYTES: usize = 256 * 1024;
/// The exit status of a conversation whose handler panicked (`EX_SOFTWARE`).
const BROKEN: u32 = 70;

/// More waits than may.
#[derive(Debug)]
pub struct Overrun;

/// A channel as its session sees it. Dropping it means that the peer closed the channel or is gone.
pub struct Inlet {
    state: State,
    gone: CancellationToken,
    /// Cancelled when the conversation is over and the channel closed.
    finished: CancellationToken,
}

enum State {
    /// Open, with nothing running yet.
    Idle(Channel<Msg>, OpenConversation),
    Running(mpsc::Sender<Piece>),
    /// Only while `begin` moves from one to the other.
    Moving,
}

impl Inlet {
    pub fn new(channel: Channel<Msg>, open: OpenConversation) -> Self {
        Self {
            state: State::Idle(channel, open),
            gone: CancellationToken::new(),
            finished: CancellationToken::new(),
        }
    }

    /// Whether the conversation was held and its channel closed by us; russh does not report the client's answer.
    pub fn is_over(&self) -> bool {
        self.finished.is_cancelled()
    }

    /// Starts the conversation; `false` where one was started before.
    pub fn begin(&mut self, peer: Peer, connection: &Arc<Connection>, handler: Arc<dyn Handler>) -> bool {
        match std::mem::replace(&mut self.state, State::Moving) {
            State::Idle(channel, open) => {
                let (conversation, transport) = Conversation::new(connection.load.clone());
                self.gone = transport.gone.clone();
                self.state = State::Running(transport.pieces);
                // The reading half is dropped: data arrives by the session's callback.
                let (_, write) = channel.split();
                let running = Running {
                    write,
                    outbound: transport.outbound,
                    gone: transport.gone,
                    connection: connection.clone(),
                    _finished: self.finished.clone().drop_guard(),
                    _open: open,
                };
                tokio::spawn(running.run(handler, peer, conversation));
                true
            }
            other => {
                self.state = other;
                false
            }
        }
    }

    /// Data that arrived. What arrives for no conversation is dropped.
    pub fn take_in(&self, data: &[u8], load: &Load) -> Result<(), Overrun> {
        let State::Running(pieces) = &self.state else {
            return Ok(());
        };
        load.add(data.len());
        match pieces.try_send(Piece::Data(Bytes::copy_from_slice(data))) {
            Ok(()) => Ok(()),
            Err(error) => {
                load.remove(data.len());
                match error {
                    mpsc::error::TrySendError::Closed(_) => Ok(()),
                    mpsc::error::TrySendError::Full(_) => Err(Overrun),
                }
            }
        }
    }

    /// The peer will send no more.
    pub fn eof(&self) {
        if let State::Running(pieces) = &self.state {
            // Full only when the connection is about to be ended for it.
            let _ = pieces.try_send(Piece::Eof);
        }
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.gone.cancel();
    }
}

/// A conversation that is being held.
struct Running {
    write: ChannelWriteHalf<Msg>,
    outbound: Outbound,
    gone: CancellationToken,
    connection: Arc<Connection>,
    _finished: DropGuard,
    _open: OpenConversation,
}

impl Running {
    async fn run(self, handler: Arc<dyn Handler>, peer: Peer, conversation: Conversation) {
        let Self { write, outbound, gone, connection, _finished, _open } = self;
        let finish = CancellationToken::new();
        let over = connection.over.clone();
        let talking = tokio::spawn({
            let finish = finish.clone();
            async move {
                let _finish = finish.drop_guard();
                handler.conversation(peer, conversation).await;
            }
        });
        let delivered = tokio::select! {
            delivered = deliver(&write, outbound, &finish, &connection.load) => delivered,
            () = gone.cancelled() => false,
            () = over.cancelled() => false,
        };
        if !delivered {
            gone.cancel();
        }
        let status = match talking.await {
            Ok(()) => 0,
            Err(error) => {
                tracing::error!(%error, "a conversation's handler broke");
                BROKEN
            }
        };
        if delivered {
            let goodbye = async {
                let _ = write.exit_status(status).await;
                let _ = write.eof().await;
                let _ = write.close().await;
            };
            let _ = tokio::time::timeout(GOODBYE, goodbye).await;
        }
    }
}

/// Sends what is queued until `finish` and the end of the queue; `false` where the peer stopped taking it.
async fn deliver(
    write: &ChannelWriteHalf<Msg>,
    mut outbound: Outbound,
    finish: &CancellationToken,
    load: &Load,
) -> bool {
    while let Some(queued) = outbound.next(finish).await {
        let mut rest = queued.bytes.clone();
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(PIECE_BYTES));
            match tokio::time::timeout(STALL, write.data_bytes(piece)).await {
                Ok(Ok(())) => load.touch(),
                Ok(Err(_)) | Err(_) => return false,
            }
        }
    }
    true
}
