//! What russh says, translated: each callback either refuses, or hands on to [`crate::channel`].
//!
//! **Invariant**: no callback waits for a handler. One that did would stop the whole connection, its writing included.

use crate::{
    authorized_keys::{self, Denial, Grant},
    channel::{self, Inlet},
    connection::Connection,
    peer::Peer,
    serve::Shared,
};
use russh::keys::{Algorithm, HashAlg, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Msg, PublicKeyOffer, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, Pty};
use std::{collections::HashMap, sync::Arc};

/// The one command that is served.
const COMMAND: &[u8] = b"wharf";

/// One connection's session.
pub struct Session {
    connection: Arc<Connection>,
    shared: Arc<Shared>,
    peer: Option<Peer>,
    channels: HashMap<ChannelId, Inlet>,
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error(transparent)]
    Ssh(#[from] russh::Error),
    #[error("the client sends more than is taken")]
    Overrun,
}

impl Session {
    pub fn new(connection: Arc<Connection>, shared: Arc<Shared>) -> Self {
        Self { connection, shared, peer: None, channels: HashMap::new() }
    }

    /// Whether the key may come in. The file is small, but on a disk: it is read elsewhere.
    async fn look_up(&self, key: &PublicKey, algorithm: &Algorithm) -> Result<Grant, Denial> {
        if *algorithm == (Algorithm::Rsa { hash: None }) {
            return Err(Denial::Kind);
        }
        let file = self.shared.authorized_keys.clone();
        let (key, from) = (key.clone(), self.connection.from.ip());
        let reading = tokio::task::spawn_blocking(move || {
            authorized_keys::look_up(&file, &key, from, jiff::Timestamp::now())
        });
        reading.await.unwrap_or_else(|_| Err(Denial::Unknown { file: self.shared.authorized_keys.clone() }))
    }

    fn denied(&self, key: &PublicKey, user: &str, denial: &Denial) -> Auth {
        let fingerprint = key.fingerprint(HashAlg::Sha256);
        let from = self.connection.from;
        match denial {
            Denial::Unknown { .. } => {
                tracing::info!(%from, user, %fingerprint, "a key was refused: {denial}")
            }
            _ => tracing::warn!(%from, user, %fingerprint, "a key was refused: {denial}"),
        }
        Auth::reject()
    }

    fn refuse(
        &self,
        what: &str,
        channel: ChannelId,
        session: &mut russh::server::Session,
    ) -> Result<(), SessionError> {
        tracing::warn!(from = %self.connection.from, what, "refused: only `wharf` is served");
        Ok(session.channel_failure(channel)?)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.over.cancel();
    }
}

impl russh::server::Handler for Session {
    type Error = SessionError;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        match self.look_up(offer.public_key, offer.algorithm).await {
            Ok(_) => Ok(Auth::Accept),
            Err(denial) => Ok(self.denied(offer.public_key, user, &denial)),
        }
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        match self.look_up(key.public_key, key.algorithm).await {
            Ok(grant) => {
                self.peer = Some(Peer {
                    key_fingerprint: key.public_key.fingerprint(HashAlg::Sha256).to_string(),
                    key_comment: grant.comment,
                    key_command: grant.command,
                    user: user.to_owned(),
                    from: self.connection.from,
                });
                Ok(Auth::Accept)
            }
            Err(denial) => Ok(self.denied(key.public_key, user, &denial)),
        }
    }

    async fn auth_succeeded(&mut self, _: &mut russh::server::Session) -> Result<(), Self::Error> {
        if let Some(peer) = &self.peer {
            tracing::info!(from = %peer.from, key = peer.key_fingerprint, comment = peer.key_comment, "let in");
            self.connection.let_in();
        }
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        self.channels.retain(|_, inlet| !inlet.is_over());
        match self.connection.begin_conversation(&self.shared.limits) {
            Some(open) => {
                self.channels.insert(channel.id(), Inlet::new(channel, open));
                reply.accept().await;
            }
            None => {
                tracing::warn!(from = %self.connection.from, limit = self.shared.limits.channels, "too many channels");
                reply.reject(ChannelOpenFailure::ResourceShortage).await;
            }
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        if command != COMMAND {
            return self.refuse("exec of another command", channel, session);
        }
        let (Some(peer), Some(inlet)) = (self.peer.clone(), self.channels.get_mut(&channel)) else {
            return self.refuse("exec", channel, session);
        };
        if !inlet.begin(peer, &self.connection, self.shared.handler.clone()) {
            return self.refuse("a second exec on a channel", channel, session);
        }
        Ok(session.channel_success(channel)?)
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        _: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        match self.channels.get(&channel).map(|inlet| inlet.take_in(data, &self.connection.load)) {
            Some(Err(channel::Overrun)) => Err(SessionError::Overrun),
            Some(Ok(())) | None => Ok(()),
        }
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        _: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        if let Some(inlet) = self.channels.get(&channel) {
            inlet.eof();
        }
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        // Dropping the inlet tells the conversation.
        self.channels.remove(&channel);
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        self.refuse("a terminal", channel, session)
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        self.refuse("X11 forwarding", channel, session)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: &str,
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        // Clients send their locale unasked; that is not worth a warning.
        Ok(session.channel_failure(channel)?)
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        self.refuse("a shell", channel, session)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        self.refuse("a subsystem", channel, session)
    }

    async fn agent_request(
        &mut self,
        channel: ChannelId,
        session: &mut russh::server::Session,
    ) -> Result<bool, Self::Error> {
        self.refuse("agent forwarding", channel, session)?;
        Ok(false)
    }
}
