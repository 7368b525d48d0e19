//! One byte stream of frames with one peer, whatever carries it.
//!
//! **Invariants**: what waits to be sent is at most [`OUTBOUND_BYTES`] (or one larger frame); a sender that waits longer
//! than [`STALL`] is told so rather than kept; after the end of a conversation every send fails.

use crate::load::{HARD_PIECES, Load};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use wharf_proto::frame::{Assembler, Frame, FrameError};

/// What may wait to be sent: a few times the client's window of 256 KiB.
const OUTBOUND_BYTES: usize = 1024 * 1024;
/// Frames that may wait to be sent.
const OUTBOUND_FRAMES: usize = 256;
/// How long a peer may take nothing at all before a send gives up.
pub(crate) const STALL: Duration = Duration::from_secs(120);

/// Why a conversation cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ConversationError {
    #[error("the peer is gone")]
    Gone,
    #[error("the peer has taken nothing for {} seconds", STALL.as_secs())]
    Stalled,
    #[error("the peer ended the conversation in the middle of a frame")]
    CutShort,
    #[error("the peer sent what is not a frame")]
    Frame(#[from] FrameError),
}

/// One conversation. Dropping it, and every sender, ends it.
#[derive(Debug)]
pub struct Conversation {
    pieces: mpsc::Receiver<Piece>,
    assembler: Assembler,
    over: bool,
    load: Arc<Load>,
    sender: FrameSender,
}

/// What the transport says.
#[derive(Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    /// The peer will send no more, but still listens.
    Eof,
}

impl Conversation {
    /// The next frame; `None` when the peer has said that no more will come.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// The peer vanished, stopped in the middle of a frame, or sent what is not one.
    pub async fn recv(&mut self) -> Result<Option<Frame>, ConversationError> {
        loop {
            if let Some(frame) = self.assembler.next_frame()? {
                return Ok(Some(frame));
            }
            if self.over {
                return if self.assembler.is_empty() { Ok(None) } else { Err(ConversationError::CutShort) };
            }
            match self.pieces.recv().await {
                Some(Piece::Data(bytes)) => {
                    self.assembler.push(&bytes);
                    self.load.remove(bytes.len());
                }
                Some(Piece::Eof) => self.over = true,
                None => return Err(ConversationError::Gone),
            }
        }
    }

    /// What sends to the peer. It can be cloned, and used while another task receives.
    pub fn sender(&self) -> FrameSender {
        self.sender.clone()
    }

    /// A conversation and what its transport needs.
    pub(crate) fn new(load: Arc<Load>) -> (Self, Transport) {
        let (pieces_in, pieces) = mpsc::channel(HARD_PIECES);
        let (queue, queued) = mpsc::channel(OUTBOUND_FRAMES);
        let budget = Arc::new(Semaphore::new(OUTBOUND_BYTES));
        let gone = CancellationToken::new();
        let sender = FrameSender { queue, budget: budget.clone(), load: load.clone(), gone: gone.clone() };
        let outbound = Outbound { queued, budget };
        let transport = Transport { pieces: pieces_in, load: load.clone(), outbound, gone };
        (Self { pieces, assembler: Assembler::default(), over: false, load, sender }, transport)
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // What nobody will read any more must not keep the gate shut.
        self.pieces.close();
        while let Ok(piece) = self.pieces.try_recv() {
            if let Piece::Data(bytes) = piece {
                self.load.remove(bytes.len());
            }
        }
    }
}

/// Sends frames to a peer; clones share one queue.
#[derive(Debug, Clone)]
pub struct FrameSender {
    queue: mpsc::Sender<Queued>,
    budget: Arc<Semaphore>,
    load: Arc<Load>,
    gone: CancellationToken,
}

impl FrameSender {
    /// Queues a frame; waits while the peer is slow.
    ///
    /// # Errors
    /// The peer is gone or takes nothing; a frame above its limit.
    pub async fn send(&self, frame: Frame) -> Result<(), ConversationError> {
        let bytes = frame.encode()?;
        let cost = u32::try_from(bytes.len().min(OUTBOUND_BYTES)).unwrap_or(u32::MAX);
        let Ok(permit) = self.budget.clone().try_acquire_many_owned(cost) else {
            return self.send_when_there_is_room(bytes, cost).await;
        };
        match self.queue.try_send(Queued { bytes, _permit: permit }) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(ConversationError::Gone),
            Err(mpsc::error::TrySendError::Full(queued)) => {
                let Queued { bytes, _permit: permit } = queued;
                drop(permit);
                self.send_when_there_is_room(bytes, cost).await
            }
        }
    }

    /// Queues a control frame with `message` as JSON.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_message(&self, message: &impl serde::Serialize) -> Result<(), ConversationError> {
        self.send(Frame::control(message)?).await
    }

    /// Completes when the peer is gone.
    pub async fn gone(&self) {
        self.gone.cancelled().await;
    }

    async fn send_when_there_is_room(&self, bytes: Bytes, cost: u32) -> Result<(), ConversationError> {
        let _stuck = self.load.stuck_sender();
        let wait = async {
            let permit = self.budget.clone().acquire_many_owned(cost).await.ok()?;
            self.queue.send(Queued { bytes, _permit: permit }).await.ok()
        };
        match tokio::time::timeout(STALL, wait).await {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(ConversationError::Gone),
            Err(_) => Err(ConversationError::Stalled),
        }
    }
}

/// A frame that waits to be sent, and its share of the budget.
#[derive(Debug)]
pub(crate) struct Queued {
    pub bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

/// The transport's side of a conversation.
#[derive(Debug)]
pub(crate) struct Transport {
    pub pieces: mpsc::Sender<Piece>,
    pub load: Arc<Load>,
    pub outbound: Outbound,
    /// To be cancelled when the peer is gone.
    pub gone: CancellationToken,
}

/// What is to be sent.
#[derive(Debug)]
pub(crate) struct Outbound {
    queued: mpsc::Receiver<Queued>,
    budget: Arc<Semaphore>,
}

impl Outbound {
    /// The next frame; `None` when all was sent and nothing more can come.
    pub async fn next(&mut self, finish: &CancellationToken) -> Option<Queued> {
        loop {
            if finish.is_cancelled() {
                self.close();
                return self.queued.recv().await;
            }
            tokio::select! {
                queued = self.queued.recv() => return queued,
                () = finish.cancelled() => {}
            }
        }
    }

    /// Takes no more; who waits to send is told.
    pub fn close(&mut self) {
        self.queued.close();
        self.budget.close();
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.close();
    }
}
