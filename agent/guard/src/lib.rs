//! The volume guard: a Docker socket that forwards everything except what deletes volumes; or, for the whole host, a plugin that
//! the engine asks ([`plugin`]).
//!
//! **Invariants**
//! - Nothing that comes through [`serve`] deletes a volume. What is not known to be harmless is refused.
//! - The policy ([`policy::verdict`]) is pure; the proxy finds the facts out, and passes on only what the policy wrote anew.
//! - No byte of a client's request line, query, framing or inspected body reaches the engine as it came.

mod engine;
mod error;
pub mod facts;
mod headers;
mod hijack;
pub mod json;
mod log_limits;
mod lookup;
pub mod plugin;
pub mod policy;
mod proxy;
mod removal;
mod reply;
pub mod request;
mod socket;
pub mod target;

pub use error::GuardError;
pub use log_limits::{LOG_LABEL, LogLimit, LogLimits};
pub use policy::{Policy, Verdict, verdict};
pub use proxy::root_equivalent;
pub use socket::{Guarded, Socket, run};
