//! Who is at the other end, and who answers.

use crate::conversation::{Conversation, ConversationError};
use async_trait::async_trait;
use std::{net::SocketAddr, sync::Arc};
use tokio::io::{AsyncRead, AsyncWrite};

/// A person or program that proved to hold an authorized key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// `SHA256:…` of the public key.
    pub key_fingerprint: String,
    /// The comment of the key's line in `authorized_keys`.
    pub key_comment: String,
    /// The `command="…"` of the key's line. It is never run: what it names can only lower the peer's rights.
    pub key_command: Option<String>,
    /// The user name that the client gave. Not trusted for any decision.
    pub user: String,
    pub from: SocketAddr,
}

/// What answers conversations.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Holds one conversation. When this returns, what was sent is delivered and the conversation closed.
    ///
    /// It is not cancelled when the peer leaves: [`Conversation::recv`] and [`crate::FrameSender::send`] say so, and
    /// [`crate::FrameSender::gone`] can be awaited.
    async fn conversation(&self, peer: Peer, conversation: Conversation);
}

/// Holds one conversation over a stream that is no SSH channel, a Unix socket say, until all was delivered.
///
/// # Errors
/// The peer left before it had taken everything.
pub async fn serve_stream(
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
    peer: Peer,
    handler: Arc<dyn Handler>,
) -> Result<(), ConversationError> {
    let (conversation, ends) = Conversation::over(reader, writer);
    handler.conversation(peer, conversation).await;
    ends.finish().await
}
