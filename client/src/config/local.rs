//! What holds on this laptop before a ship, and never travels.

use serde::Deserialize;
use std::path::PathBuf;

/// A command of the project's that must end with 0 before anything is packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub command: Vec<String>,
    /// Where it runs.
    pub folder: PathBuf,
    pub timeout_seconds: u32,
}

/// What git must say before a ship.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct GitRules {
    /// Nothing may be uncommitted.
    #[serde(default)]
    pub clean: bool,
    /// The one branch to ship from.
    #[serde(default)]
    pub branch: Option<String>,
}
