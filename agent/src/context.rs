//! The Docker context that leads a user of the server to the guard: `wharfd guard install` and `remove`.
//!
//! **Invariants**
//! - What is written is written with the user's own rights, so that no link of theirs leads root astray.
//! - A context that Wharf did not make is neither changed nor removed. What was there before is noted in our own context,
//!   and `remove` puts exactly that back.
//! - A user is led only to a socket that proved to be a guard, and that this user may use.

mod command;
pub(crate) mod config_file;
mod error;
pub(crate) mod files;
mod overrides;
mod plan;
pub(crate) mod probe;
mod store;
mod user;

pub use command::{Chosen, Install, Remove, install, remove};
pub use error::ContextError;
