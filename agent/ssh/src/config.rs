//! How the server is set up.

use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey};
use russh::{MethodKind, MethodSet, Preferred, SshId, cipher, compression, kex};
use std::{borrow::Cow, path::PathBuf, time::Duration};

/// What a server is made of.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// What proves to clients that this is the server they know.
    pub host_key: PrivateKey,
    /// Who may come in; read anew at each authentication.
    pub authorized_keys: PathBuf,
    pub limits: Limits,
}

/// What strangers and friends can use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections that have not proved who they are yet.
    pub unauthenticated: usize,
    /// Connections in all.
    pub connections: usize,
    /// Rejected attempts on one connection.
    pub tries: usize,
    /// How long a connection may take to prove who it is.
    pub authenticate_within: Duration,
    /// Channels open at once on one connection.
    pub channels: usize,
    /// How long a connection may stay without an open conversation.
    pub idle: Duration,
    /// How long a connection with open conversations may stay without a byte in either direction.
    pub quiet: Duration,
    /// How often a silent client is asked whether it is there; it is given up after three unanswered ones.
    pub keep_alive: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            unauthenticated: 20,
            connections: 100,
            tries: 6,
            authenticate_within: Duration::from_secs(20),
            channels: 8,
            idle: Duration::from_secs(5 * 60),
            quiet: Duration::from_secs(2 * 60 * 60),
            keep_alive: Duration::from_secs(15),
        }
    }
}

/// How many keep-alives may stay unanswered.
const KEEP_ALIVES: usize = 3;
/// For the upload of a link with 80 ms and 1 Gbit/s: about four bandwidth-delay products are needed.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// The most that SSH implementations take.
const PACKET_BYTES: u32 = 65_535;

impl ServerConfig {
    pub(crate) fn russh(&self) -> russh::server::Config {
        russh::server::Config {
            server_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-wharfd_", env!("CARGO_PKG_VERSION")))),
            methods: MethodSet::from(&[MethodKind::PublicKey][..]),
            // As long for a key that is unknown as for one whose line is refused.
            auth_rejection_time: Duration::from_millis(200),
            // Every client asks with `none` what it may try.
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: vec![self.host_key.clone()],
            window_size: WINDOW_BYTES,
            maximum_packet_size: PACKET_BYTES,
            preferred: preferred(),
            // The `none` that every client begins with is no try.
            max_auth_attempts: self.limits.tries.saturating_add(1),
            // Bounds a write that blocks; silence is bounded by `Limits::idle` and `Limits::quiet`.
            inactivity_timeout: Some(Duration::from_secs(300)),
            keepalive_interval: Some(self.limits.keep_alive),
            keepalive_max: KEEP_ALIVES,
            nodelay: true,
            ..russh::server::Config::default()
        }
    }
}

/// Modern algorithms only, the fast ciphers first, and RSA with SHA-2 alone.
fn preferred() -> Preferred {
    Preferred {
        kex: Cow::Borrowed(&[
            kex::MLKEM768X25519_SHA256,
            kex::CURVE25519,
            kex::CURVE25519_PRE_RFC_8731,
            kex::DH_G16_SHA512,
            kex::EXTENSION_SUPPORT_AS_SERVER,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
        ]),
        key: Cow::Borrowed(&[
            Algorithm::Ed25519,
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
            Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
            Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
        ]),
        cipher: Cow::Borrowed(&[cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305]),
        compression: Cow::Borrowed(&[compression::NONE]),
        ..Preferred::DEFAULT
    }
}
