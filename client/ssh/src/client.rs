//! What russh asks of a client: is this the right server, and what was the end of it.

use crate::known_hosts::{KnownHost, Verdict};
use russh::client::DisconnectReason;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Preferred, SshId, cipher, compression};
use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
    time::Duration,
};

const KEEP_ALIVE: Duration = Duration::from_secs(15);
const KEEP_ALIVES: usize = 3;
/// Bounds a write that blocks and a handshake that stops; an answered keep-alive counts as activity.
const INACTIVITY: Duration = Duration::from_secs(300);
/// Larger ones let bulk data in both directions deadlock.
const WINDOW_BYTES: u32 = 256 * 1024;
const PACKET_BYTES: u32 = 32 * 1024;
/// Through a jump host many small packets may arrive while a write of the inner connection waits: what the inner window
/// allows must fit, or both stop.
const JUMP_BUFFER: usize = 4_096;

/// Host keys that are accepted, best first: no SHA-1, no DSA.
pub const HOST_KEYS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// The configuration for a host of which `known` is known.
pub fn config(known: &KnownHost, jump: bool) -> russh::client::Config {
    let defaults = russh::client::Config::default();
    russh::client::Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-wharf_", env!("CARGO_PKG_VERSION")))),
        window_size: WINDOW_BYTES,
        maximum_packet_size: PACKET_BYTES,
        channel_buffer_size: if jump { JUMP_BUFFER } else { defaults.channel_buffer_size },
        preferred: Preferred {
            key: Cow::Owned(known.algorithms(&HOST_KEYS)),
            cipher: Cow::Borrowed(&[
                cipher::AES_128_GCM,
                cipher::AES_256_GCM,
                cipher::CHACHA20_POLY1305,
                cipher::AES_256_CTR,
                cipher::AES_128_CTR,
            ]),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        inactivity_timeout: Some(INACTIVITY),
        keepalive_interval: Some(KEEP_ALIVE),
        keepalive_max: KEEP_ALIVES,
        nodelay: true,
        ..defaults
    }
}

/// One connection's handler.
pub struct Client {
    known: KnownHost,
    lost: Lost,
}

/// Why a connection ended, once it has.
#[derive(Debug, Clone, Default)]
pub struct Lost(Arc<OnceLock<String>>);

/// Why a connection did not come about or ended.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    Ssh(#[from] russh::Error),
    /// The host shows a key that is not [`Verdict::Known`].
    #[error("the host key is not accepted")]
    HostKey(Box<PublicKey>, Verdict),
}

impl Client {
    pub fn new(known: KnownHost, lost: Lost) -> Self {
        Self { known, lost }
    }
}

impl Lost {
    /// What is known of the end.
    pub fn why(&self) -> String {
        self.0.get().cloned().unwrap_or_else(|| "it was closed".into())
    }
}

impl russh::client::Handler for Client {
    type Error = ClientError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let key = shown.public_key();
        match self.known.judge(&key) {
            Verdict::Known => Ok(true),
            other => Err(ClientError::HostKey(Box::new(key), other)),
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Self::Error>) -> Result<(), Self::Error> {
        let why = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                format!("the server said: {}", printable(&info.message))
            }
            DisconnectReason::Error(ClientError::Ssh(russh::Error::KeepaliveTimeout)) => {
                format!("no answer for {} s", KEEP_ALIVE.as_secs() * (KEEP_ALIVES as u64 + 1))
            }
            DisconnectReason::Error(ClientError::Ssh(russh::Error::InactivityTimeout)) => {
                format!("nothing moved for {} s", INACTIVITY.as_secs())
            }
            DisconnectReason::Error(ClientError::Ssh(russh::Error::Disconnect | russh::Error::HUP)) => {
                "the server closed it".into()
            }
            DisconnectReason::Error(error) => error.to_string(),
        };
        let _ = self.lost.0.set(why);
        Ok(())
    }
}

/// What a stranger wrote, fit for a terminal.
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
