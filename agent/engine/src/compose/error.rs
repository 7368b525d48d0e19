//! What can go wrong with the `docker compose` command.

use crate::{EngineError, SuperviseError};
use std::time::Duration;

/// A `docker compose` command that did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    #[error(
        "Docker Compose {}.{} or newer is needed and was not found ({}); install the package docker-compose-plugin",
        super::locate::OLDEST.0, super::locate::OLDEST.1, tried_text(tried)
    )]
    NotFound {
        /// What was found instead, for people.
        tried: Vec<String>,
    },
    #[error("`docker compose {subcommand}` failed with exit code {code}: {}", last(lines))]
    Failed {
        subcommand: &'static str,
        code: i32,
        /// The last lines of its standard error.
        lines: Vec<String>,
    },
    #[error("`docker compose {subcommand}` took longer than {} s and was ended", limit.as_secs())]
    Timeout { subcommand: &'static str, limit: Duration },
    #[error("`docker compose {subcommand}` printed what cannot be used: {why}")]
    Malformed { subcommand: &'static str, why: String },
    #[error("the output of `docker compose {subcommand}` cannot be read")]
    Read {
        subcommand: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Child(#[from] SuperviseError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl ComposeError {
    /// The last lines of the command's standard error.
    pub fn lines(&self) -> &[String] {
        match self {
            Self::Failed { lines, .. } => lines,
            _ => &[],
        }
    }
}

fn tried_text(tried: &[String]) -> String {
    if tried.is_empty() { "there is no docker command on the PATH".to_owned() } else { tried.join(", ") }
}

fn last(lines: &[String]) -> &str {
    lines.iter().rev().map(|line| line.trim()).find(|line| !line.is_empty()).unwrap_or("it gave no reason")
}
