//! The client's way to an agent: SSH, as people have it set up already.
//!
//! [`Target::resolve`] turns `host` into somewhere to go, as `ssh` would; [`connect`] goes there, through jump hosts where
//! needed, and makes a [`Link`]; [`Link::open`] starts a [`Conversation`] of frames. Whether the agent's own SSH server
//! answers or the server's OpenSSH with a forced command cannot be told from here, and need not.
//!
//! **Invariants**
//! - Nothing is authenticated to a host whose key was not known, or accepted by a person or by policy.
//! - A host key that changed is refused whatever the policy.
//! - A passphrase is asked for only when the server has said that it would accept the key.
//! - While a person is asked, no connection is expected to wait: it is made anew if need be.
//! - Every step has a timeout, every queue a bound.

#![deny(clippy::indexing_slicing)]

mod authenticate;
mod client;
mod command;
mod config_file;
mod connect;
mod conversation;
pub mod deploy_key;
mod ending;
mod error;
mod expand;
mod host_key;
mod host_text;
mod identity;
mod key_agent;
mod known_hosts;
mod link;
mod openssh_config;
mod private_file;
mod secret;
mod settings;
mod showing;
mod target;
mod tried;

pub use command::Output;
pub use connect::{Timeouts, connect};
pub use conversation::{Conversation, Receiver, Sender};
pub use ending::End;
pub use error::{ChangedHostKey, SshError, Stage};
pub use host_key::{HostKeyPolicy, NoPrompt, Prompt};
pub use link::{Link, SubsystemStream};
pub use secret::Secret;
pub use target::{Options, Resolver, Target};
pub use tried::{Tried, TriedOutcome};
