//! Who may do what: decided here, by a table, and nowhere else.
//!
//! **Invariants**
//! - No I/O: the decision knows the grant and the request, and not what exists on the server. So an app that is there and
//!   one that is not are answered alike.
//! - A [`Permit`] is made by [`authorise`] alone, for one target. The agent's handlers demand it, and look up an app only
//!   through it.
//! - What a forced command names only lowers a grant; one that is not understood grants nothing.

#![deny(clippy::indexing_slicing)]

mod authorise;
mod forced_command;
mod grant;

pub use authorise::{Denied, Permit, authorise};
pub use forced_command::{ForcedCommand, ForcedCommandError};
pub use grant::Grant;
