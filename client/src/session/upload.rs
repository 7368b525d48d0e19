//! Sending the packs: one task writes, one reads the receipts, at most [`WINDOW_PACKS`] under way.
//!
//! **Invariant**: what the agent acknowledged is on its disk; what it did not is sent again by the next deploy.

use super::{Receive, Send, SessionError, talk};
use bytes::Bytes;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, mpsc};
use wharf_proto::{
    Failure,
    frame::{Frame, Kind},
    limits,
    message::{ClientMessage, PackEncoding, ServerMessage},
};

/// Packs that were sent and not yet acknowledged: two keep the line full while one is written to the server's disk.
const WINDOW_PACKS: usize = 2;
/// How long the agent may take to check and keep one pack.
const STORED_WITHIN: Duration = Duration::from_secs(300);

/// A pack, ready to be sent.
#[derive(Debug, Clone)]
pub struct Pack {
    pub encoding: PackEncoding,
    pub bytes: Bytes,
    /// How many bytes of the project it holds.
    pub content_bytes: u64,
}

/// Packs as they are made.
pub type Packs = mpsc::Receiver<Result<Pack, Failure>>;

/// Is told how far the upload is, in bytes of the project.
pub trait Progress: std::marker::Send {
    fn start(&mut self, total_bytes: u64, chunks: u64);
    fn sent(&mut self, bytes: u64);
    fn finish(&mut self, sent: &Sent);
}

/// What an upload came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    pub chunks: u64,
    /// On the wire, compressed.
    pub bytes: u64,
    /// Of the project.
    pub content_bytes: u64,
    pub duration: Duration,
}

/// Sends every pack and waits for its receipt.
pub(super) async fn upload(
    tx: &mut dyn Send,
    rx: &mut dyn Receive,
    packs: Packs,
    progress: &mut dyn Progress,
) -> Result<Sent, SessionError> {
    let started = Instant::now();
    let window = Arc::new(Semaphore::new(WINDOW_PACKS));
    let (announce, announced) = mpsc::channel(WINDOW_PACKS);
    let sending = send_all(tx, packs, window.clone(), announce, progress);
    let receiving = receive_all(rx, announced, &window);
    tokio::pin!(sending, receiving);
    let mut totals = None;
    let chunks = loop {
        tokio::select! {
            // First, so that the agent's reason is told rather than that the line broke.
            biased;
            chunks = &mut receiving => break chunks?,
            sent = &mut sending, if totals.is_none() => match sent {
                Ok(sent) => totals = Some(sent),
                Err(error) if !error.is_connection() => return Err(error),
                // Whoever hung up may have said why: the receiver will read it, or that the line is broken.
                Err(error) => return Err(receiving.await.err().unwrap_or(error)),
            }
        }
    };
    let (bytes, content_bytes) = totals.unwrap_or_default();
    Ok(Sent { chunks, bytes, content_bytes, duration: started.elapsed() })
}

/// Sends packs as the window allows; comes back with the bytes on the wire and of the project.
async fn send_all(
    tx: &mut dyn Send,
    mut packs: Packs,
    window: Arc<Semaphore>,
    announce: mpsc::Sender<()>,
    progress: &mut dyn Progress,
) -> Result<(u64, u64), SessionError> {
    let (mut bytes, mut content_bytes) = (0, 0);
    while let Some(pack) = packs.recv().await {
        let pack = pack.map_err(SessionError::Local)?;
        match window.acquire().await {
            Ok(permit) => permit.forget(),
            Err(_closed) => return Err(SessionError::Broken { source: None }),
        }
        let _ = announce.send(()).await;
        send_pack(tx, &pack, progress).await?;
        bytes += pack.bytes.len() as u64;
        content_bytes += pack.content_bytes;
    }
    Ok((bytes, content_bytes))
}

async fn send_pack(tx: &mut dyn Send, pack: &Pack, progress: &mut dyn Progress) -> Result<(), SessionError> {
    let size_bytes = pack.bytes.len() as u64;
    let head = ClientMessage::Pack { encoding: pack.encoding, size_bytes };
    talk::send_frame(tx, Frame::control(&head)?, talk::SEND_WITHIN).await?;
    let (mut on_wire, mut told) = (0, 0);
    for at in (0..pack.bytes.len()).step_by(limits::BULK_FRAME_BYTES as usize) {
        let end = pack.bytes.len().min(at + limits::BULK_FRAME_BYTES as usize);
        talk::send_frame(
            tx,
            Frame { kind: Kind::Bulk, payload: pack.bytes.slice(at..end) },
            talk::SEND_WITHIN,
        )
        .await?;
        on_wire += (end - at) as u64;
        // Progress is in the project's bytes, as they are what a person knows.
        let reached = pack.content_bytes * on_wire / size_bytes.max(1);
        progress.sent(reached - told);
        told = reached;
    }
    Ok(())
}

/// Reads a receipt for every announced pack, until no more are announced.
async fn receive_all(
    rx: &mut dyn Receive,
    mut announced: mpsc::Receiver<()>,
    window: &Semaphore,
) -> Result<u64, SessionError> {
    let mut chunks = 0;
    loop {
        tokio::select! {
            // A pack is announced here before it is sent: no receipt can come before its announcement.
            biased;
            due = announced.recv() => match due {
                None => return Ok(chunks),
                Some(()) => {
                    chunks += receipt(&talk::next_message(rx, "a receipt", Some(STORED_WITHIN)).await?)?;
                    window.add_permits(1);
                }
            },
            early = talk::next_message(rx, "nothing", None) => return Err(talk::unexpected("nothing", &early?)),
        }
    }
}

fn receipt(message: &ServerMessage) -> Result<u64, SessionError> {
    match message {
        ServerMessage::Stored { chunks } => Ok(*chunks),
        other => Err(talk::unexpected("a receipt", other)),
    }
}
