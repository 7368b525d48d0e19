//! Operating what runs, without a release: restarts, how services are scaled, house-keeping.
//!
//! **Invariants**
//! - Nothing here builds, ships or removes data.
//! - What a job sets is put back where the services do not prove healthy with it, also after a crash.

pub mod house;
mod request;
mod restart;
mod scale;
mod task;

pub use request::requested;
pub use task::finish;
