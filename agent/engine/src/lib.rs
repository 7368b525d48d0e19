//!
//! **Invariants**
//! - Nothing here can delete a volume: there is no call for it, and no option that would do it on the side.
//! - Every call has a limit of its own in time; every line and buffer has one in size.
//! - This is the only crate that names bollard for engine work.

pub mod archive;
pub mod build;
pub mod connection;
pub mod container;
pub mod content;
pub mod error;
pub mod exec;
pub mod image;
pub mod line;
pub mod logs;
mod registry;
pub mod volume;

pub use build::{BuildError, BuildLine, BuildSpec, Dockerfile, SecretSource};
pub use connection::{Engine, EngineInfo};
pub use error::EngineError;
pub use exec::{Exec, ExecOutput, ExecSpec};
pub use line::StreamKind;
pub use logs::LogOptions;
