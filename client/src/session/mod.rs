//! Conversations with an agent: opening one, asking, shipping, watching a job.
//!
//! **Invariants**: a conversation begins with [`Session::open`], which has both hellos said and a version agreed on before
//! anything else is read. Every wait has a bound, but for the next event of a job and the next line of a log: there the
//! connection's keep-alive notices when the server is gone. Nothing here prints but `prompt`, which asks.

mod begin;
mod connect;
pub mod deploy_key;
mod error;
mod images;
mod link;
mod local;
pub mod program;
mod prompt;
mod ship;
mod source;
mod start;
mod talk;
mod upload;
mod watch;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

pub use begin::begin;
pub use connect::{Ssh, SshOptions};
pub use error::SessionError;
pub use images::{Keeper, carry};
pub use link::{Dial, Receive, Send};
pub use local::Local;
pub use prompt::Asker;
pub use ship::{Offer, Shipped, ship};
pub use source::{source, source_packs};
pub use start::{Started, start};
pub use talk::{Session, Talk, Timed};
pub use upload::{Pack, Packs, Progress, Sent};
pub use watch::{Backoff, Watched, watch};
