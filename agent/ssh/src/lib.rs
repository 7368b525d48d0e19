//! The agent's own SSH server, and conversations whatever carries them.
//!
//! A [`Conversation`] is one byte stream of frames with one peer. It comes from a channel of the SSH server ([`serve`]),
//! or from a Unix socket that `wharfd connect` joins ([`serve_stream`]); a [`Handler`] cannot tell which.
//!
//! **Invariants**
//! - Nothing but `exec` of exactly `wharf` is served: no shell, terminal, environment, subsystem or forwarding.
//! - Only public keys that `authorized_keys` lists *now* let anybody in; a line that is not understood lets nobody in.
//! - Everything is bounded: connections, tries, channels, bytes that wait in either direction, time.
//! - A peer or handler that is slow stops its own connection, and no other.

#![deny(clippy::indexing_slicing)]

mod address_pattern;
mod authorized_keys;
mod channel;
mod config;
mod connection;
mod conversation;
mod gate;
mod host_key;
pub mod key_list;
mod key_options;
mod load;
mod peer;
mod serve;
mod session;
mod stream;

pub use config::{Limits, ServerConfig};
pub use conversation::{Conversation, ConversationError, FrameSender};
pub use host_key::{HostKeyError, fingerprint, load_or_create_host_key};
pub use peer::{Handler, Peer, serve_stream};
pub use russh::keys::PrivateKey as HostKey;
pub use serve::{ServeError, serve};
pub use stream::Ends;
