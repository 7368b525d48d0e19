//! Conversations over a pair of streams that are no SSH channel.

use crate::{
    conversation::{Conversation, ConversationError, Outbound, Piece, STALL, Transport},
    load::Load,
};
use bytes::BytesMut;
use std::os::fd::AsFd;
use std::{future::poll_fn, io, sync::Arc, task::Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
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

    /// A conversation over a Unix socket. Unlike one over any streams, it notices a peer that leaves while there is nothing
    /// to say to it.
    ///
    /// # Errors
    /// The socket cannot be watched.
    pub fn over_socket(stream: UnixStream) -> io::Result<(Self, Ends)> {
        // A registration of its own, so that it takes no wake-up from the writer.
        let watched = std::os::unix::net::UnixStream::from(stream.as_fd().try_clone_to_owned()?);
        let watched = UnixStream::from_std(watched)?;
        let (reader, writer) = stream.into_split();
        let (conversation, ends) = Self::over(reader, writer);
        let gone = ends.gone.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = hung_up(&watched) => gone.cancel(),
                () = gone.cancelled() => {}
            }
        });
        Ok((conversation, ends))
    }
}

/// Completes when the peer can neither send nor receive any more. One that has only said all that it had to say still
/// listens.
async fn hung_up(socket: &UnixStream) {
    while let Ok(ready) = socket.ready(Interest::WRITABLE).await {
        if ready.is_write_closed() {
            return;
        }
        // That it can be written to is no news: this waits for the next change.
        let _ = socket.try_io(Interest::WRITABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_peer_that_leaves_is_noticed_and_one_that_only_listens_is_not() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (mut conversation, ends) = Conversation::over_socket(ours).unwrap();
        theirs.shutdown().await.unwrap();
        assert!(conversation.recv().await.unwrap().is_none());
        let sender = conversation.sender();
        assert!(!ends.gone.is_cancelled());
        // It still hears.
        sender.send_message(&"still here").await.unwrap();
        let mut heard = [0; 5];
        theirs.read_exact(&mut heard).await.unwrap();
        drop(theirs);
        sender.gone().await;
        let _ = ends.finish().await;
    }
}
