//! What a project is made of, seen without Docker: Compose files, front ends, databases, health checks, and what is wrong
//! with them before anything is shipped.
//!
//! The way through: [`Facts::gather`] reads what may matter, [`look()`] turns it into [`Findings`], [`config::write`] into a
//! commented `wharf.toml`.
//!
//! **Invariants**
//! - Only [`Facts::gather`] and [`Facts::of`] do I/O, and it is bounded: in depth, in files, in bytes.
//! - Compose files are read leniently: what is not understood is left out, never an error. Compose decides on the server.
//! - No secret's value is part of a finding, a warning or an error.

mod baked;
mod bump;
mod checks;
pub mod compose;

pub mod config;
mod copied;
mod env_file;
mod facts;
mod findings;
mod health;
mod image;
mod warn;
mod yaml;

pub use facts::Facts;
pub use findings::{Findings, LookError, look, look_at, warnings};

pub use baked::Baked;
pub use bump::FrontEnd;
pub use checks::Check;
pub use env_file::EnvFile;
pub use findings::{Data, Database};
pub use health::Health;
pub use image::Kind;
pub use warn::{Rule, Warning};
