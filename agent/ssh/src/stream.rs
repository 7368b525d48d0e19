//! Conversations over a pair of streams that are no SSH channel.

use crate::{
    conversation::{Conversation, ConversationError, Outbound, Piece, STALL, Transport},
    load::Load,
};
use bytes::BytesMut;
use std::{future::poll_fn, sync::Arc, task::Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const READ_BYTES: usize = 64 * 1024;

impl Conversation {
    /// A conversation over any pair of streams, and its transport's ends. The tasks that carry it stop when the streams
    /// fail, or with [`Ends::finish`].
    pub fn over(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> (Self, Ends) {
        let (conversation, transport) = Self::new(Arc::default());
        let Transport { pieces, load, outbound, gone } = transport;
        let finish = CancellationToken::new();
        let reading = tokio::spawn(take_in(reader, pieces, load, gone.clone()));
        let writing = tokio::spawn(put_out(writer, outbound, finish.clone(), gone.clone()));
        (conversation, Ends { finish, gone, reading, writing })
    }
}

/// The tasks that carry a conversation made by [`Conversation::over`].
#[derive(Debug)]
pub struct Ends {
    finish: CancellationToken,
    gone: CancellationToken,
    reading: JoinHandle<()>,
    writing: JoinHandle<Result<(), ConversationError>>,
}

impl Ends {
    /// Delivers what was sent, and closes the stream.
    ///
    /// # Errors
    /// The peer left before it had taken everything.
    pub async fn finish(self) -> Result<(), ConversationError> {
        self.finish.cancel();
        let delivered = self.writing.await.unwrap_or(Err(ConversationError::Gone));
        self.reading.abort();
        self.gone.cancel();
        delivered
    }
}

async fn take_in(
    mut reader: impl AsyncRead + Unpin,
    pieces: mpsc::Sender<Piece>,
    load: Arc<Load>,
    gone: CancellationToken,
) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(READ_BYTES);
        match reader.read_buf(&mut buffer).await {
            Ok(0) => {
                let _ = pieces.send(Piece::Eof).await;
                return;
            }
            Ok(count) => {
                load.add(count);
                if pieces.send(Piece::Data(buffer.split().freeze())).await.is_err() {
                    load.remove(count);
                    return;
                }
                let room = poll_fn(|context| {
                    load.register(context.waker());
                    if load.admits() { Poll::Ready(()) } else { Poll::Pending }
                });
                tokio::select! {
                    () = room => {}
                    () = gone.cancelled() => return,
                }
            }
            Err(_) => {
                gone.cancel();
                return;
            }
        }
    }
}

async fn put_out(
    mut writer: impl AsyncWrite + Unpin,
    mut outbound: Outbound,
    finish: CancellationToken,
    gone: CancellationToken,
) -> Result<(), ConversationError> {
    while let Some(queued) = outbound.next(&finish).await {
        let written = tokio::select! {
            written = tokio::time::timeout(STALL, writer.write_all(&queued.bytes)) => written,
            () = gone.cancelled() => return Err(ConversationError::Gone),
        };
        match written {
            Ok(Ok(())) => {}
            Ok(Err(_)) => {
                gone.cancel();
                return Err(ConversationError::Gone);
            }
            Err(_) => {
                gone.cancel();
                return Err(ConversationError::Stalled);
            }
        }
    }
    match tokio::time::timeout(STALL, writer.shutdown()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(ConversationError::Gone),
        Err(_) => Err(ConversationError::Stalled),
    }
}
