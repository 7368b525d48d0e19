//! Frames to and from an agent, over one SSH channel.
//!
//! **Invariant**: one task drains the channel and another writes to it, never one both: russh stops when a session's
//! reader waits for its own writer.

use crate::{
    client::Lost,
    client::printable,
    ending::{End, Ending},
    error::SshError,
};
use bytes::Bytes;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use wharf_proto::frame::{Assembler, Frame};

/// Frames that wait to be sent: 1 MiB of bulk.
const OUTBOUND_FRAMES: usize = 4;
/// Pieces that wait to be received: 2 MiB at most.
const INBOUND_PIECES: usize = 64;
/// How long the exit status may take after the end of the data.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// What is kept to show, where the server does not speak the protocol.
const BEGAN_BYTES: usize = 80;

/// One conversation with an agent.
#[derive(Debug)]
pub struct Conversation {
    sender: Sender,
    receiver: Receiver,
}

/// The sending half. Dropping it tells the agent that nothing more will come.
#[derive(Debug)]
pub struct Sender {
    queue: mpsc::Sender<Bytes>,
    ending: Arc<Ending>,
}

/// The receiving half. Dropping it, when the other half is gone too, closes the channel.
#[derive(Debug)]
pub struct Receiver {
    pieces: mpsc::Receiver<Bytes>,
    assembler: Assembler,
    ending: Arc<Ending>,
    began: Vec<u8>,
    /// Whether a frame was received.
    understood: bool,
    _listening: DropGuard,
}

impl Conversation {
    /// See [`Sender::send`].
    ///
    /// # Errors
    /// As there.
    pub async fn send(&mut self, frame: Frame) -> Result<(), SshError> {
        self.sender.send(frame).await
    }

    /// See [`Receiver::recv`].
    ///
    /// # Errors
    /// As there.
    pub async fn recv(&mut self) -> Result<Option<Frame>, SshError> {
        self.receiver.recv().await
    }

    /// Both halves, for two tasks.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// What is known of the end so far.
    pub fn end(&self) -> End {
        self.receiver.end()
    }
}

impl Sender {
    /// Queues a frame; waits while the connection is slow.
    ///
    /// # Errors
    /// The conversation is over, with the reason; a frame above its limit.
    pub async fn send(&self, frame: Frame) -> Result<(), SshError> {
        let bytes = frame.encode()?;
        match self.queue.send(bytes).await {
            Ok(()) => Ok(()),
            Err(_) => {
                self.ending.judge()?;
                Err(SshError::Lost {
                    place: self.ending.place(),
                    why: "the agent ended the conversation".into(),
                })
            }
        }
    }
}

impl Receiver {
    /// The next frame; `None` at an orderly end. Cancel safe.
    ///
    /// # Errors
    /// The server does not start `wharf`, what it starts fails or does not speak the protocol, the connection breaks.
    pub async fn recv(&mut self) -> Result<Option<Frame>, SshError> {
        loop {
            match self.assembler.next_frame() {
                Ok(Some(frame)) => {
                    self.understood = true;
                    return Ok(Some(frame));
                }
                Ok(None) => {}
                Err(source) if self.understood => return Err(source.into()),
                Err(source) => {
                    let began = String::from_utf8_lossy(&self.began);
                    let began = printable(began.lines().next().unwrap_or_default());
                    return Err(SshError::NotWharf { place: self.ending.place(), source, began });
                }
            }
            match self.pieces.recv().await {
                Some(piece) => {
                    if !self.understood {
                        let room = BEGAN_BYTES.saturating_sub(self.began.len());
                        self.began.extend(piece.iter().take(room));
                    }
                    self.assembler.push(&piece);
                }
                None => return self.over(),
            }
        }
    }

    /// What is known of the end so far.
    pub fn end(&self) -> End {
        self.ending.end()
    }

    fn over(&self) -> Result<Option<Frame>, SshError> {
        self.ending.judge()?;
        if self.assembler.is_empty() {
            Ok(None)
        } else {
            Err(SshError::CutShort { place: self.ending.place() })
        }
    }
}

/// Makes a channel on which `wharf` was asked for a conversation.
pub fn start(channel: Channel<Msg>, lost: Lost, place: String) -> Conversation {
    let (read, write) = channel.split();
    let ending = Arc::new(Ending::new(place, lost));
    let (queue, queued) = mpsc::channel(OUTBOUND_FRAMES);
    let (pieces_in, pieces) = mpsc::channel(INBOUND_PIECES);
    let (over, unheard) = (CancellationToken::new(), CancellationToken::new());
    tokio::spawn(take_in(read, pieces_in, ending.clone(), over.clone().drop_guard()));
    tokio::spawn(put_out(write, queued, over, unheard.clone()));
    let receiver = Receiver {
        pieces,
        assembler: Assembler::default(),
        ending: ending.clone(),
        began: Vec::new(),
        understood: false,
        _listening: unheard.drop_guard(),
    };
    Conversation { sender: Sender { queue, ending }, receiver }
}

async fn take_in(
    mut read: ChannelReadHalf,
    pieces: mpsc::Sender<Bytes>,
    ending: Arc<Ending>,
    _over: DropGuard,
) {
    let mut last_words = None;
    loop {
        let message = match last_words {
            None => read.wait().await,
            Some(until) => match tokio::time::timeout_at(until, read.wait()).await {
                Ok(message) => message,
                // It said that no more data will come, and then nothing.
                Err(_) => return ending.closed(),
            },
        };
        match message {
            Some(ChannelMsg::Data { data }) => {
                // Nobody receives any more, but what the command says of its end is still wanted.
                let _ = pieces.send(data).await;
            }
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => ending.stderr(&data),
            Some(ChannelMsg::ExitStatus { exit_status }) => ending.status(exit_status),
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                ending.signal(printable(&format!("{signal_name:?}")));
            }
            Some(ChannelMsg::Failure) => return ending.refused(),
            Some(ChannelMsg::Eof) => last_words = Some(tokio::time::Instant::now() + LAST_WORDS),
            Some(ChannelMsg::Close) => return ending.closed(),
            None => return,
            Some(_) => {}
        }
    }
}

async fn put_out(
    write: ChannelWriteHalf<Msg>,
    mut queued: mpsc::Receiver<Bytes>,
    over: CancellationToken,
    unheard: CancellationToken,
) {
    let sending = async {
        while let Some(bytes) = queued.recv().await {
            if write.data_bytes(bytes).await.is_err() {
                return;
            }
        }
        let _ = write.eof().await;
        unheard.cancelled().await;
    };
    tokio::select! {
        () = sending => {}
        () = over.cancelled() => {}
    }
    // From here on a send fails, and says why.
    queued.close();
    let _ = write.close().await;
}
