//! `wharfd guard plugin`: the guard for the whole host, as an authorization plugin of Docker's.
//!
//! **Invariants**
//! - Docker is told to ask only what has just answered, and is seen to ask afterwards; where it does not, its configuration is put
//!   back. A `dockerd` that is told to ask something absent ends at once, and does not start any more.
//! - The plugin is taken away only after Docker was seen not to ask it any more.
//! - Of Docker's configuration nothing else is changed, to the byte.

mod daemon_json;
mod error;
mod execute;
mod look;
mod plan;
mod serve;
mod unit;

pub use error::PluginError;
pub use execute::{Install, Remove, install, remove};
pub use serve::{Serve, serve};
