//! `wharf.toml`: finding it, laying an environment over it, checking it.
//!
//! **Invariants**: a key that Wharf does not know is an error, never ignored. Every error names the file and, where there
//! is one, the line, and says what to write instead. A [`Config`] that exists has passed every check that can be made
//! without the server.

mod backup;
mod check;
mod error;
mod here;
mod keys;
mod load;
mod local;
mod overlay;
mod raw;
mod server;
#[cfg(test)]
mod tests;

pub use error::{ConfigError, Place, UnknownKey};
pub use here::{ENVIRONMENT as LOCAL_ENVIRONMENT, agent_state};
pub use load::{FILE_NAME, check, find, load, load_for_promotion, read};
pub use local::{Check, GitRules};
pub use server::ServerAddress;

use std::path::PathBuf;
use wharf_proto::AppSpec;

/// A project's configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder that holds `wharf.toml`: what is packed.
    pub root: PathBuf,
    /// The environment that was laid over the base, by `--env`.
    pub environment: Option<String>,
    /// What travels with a deploy.
    pub spec: AppSpec,
    pub server: ServerAddress,
    /// Paths that are packed although a rule would leave them out.
    pub include: Vec<String>,
    /// Commands that must pass before a ship.
    pub checks: Vec<Check>,
    pub git: GitRules,
}
