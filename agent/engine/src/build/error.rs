//! Why a build did not give an image.

use crate::EngineError;
use std::path::PathBuf;
use std::time::Duration;

/// A build that did not give an image. Production is untouched by any of these.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{}", failed(instruction.as_deref(), why))]
    Failed {
        /// As BuildKit names the step: `[web 3/7] RUN npm ci`; `None` where the Dockerfile itself is at fault.
        instruction: Option<String>,
        why: String,
        /// The last lines that the step wrote.
        lines: Vec<String>,
    },
    #[error("the build needs {} and it cannot be read; is it shipped, or left out by an ignore rule?", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} changed while the build read it; build again once nothing writes to it", .0.display())]
    Changed(PathBuf),
    #[error("{} is larger than {max_bytes} bytes, which is too much for a Dockerfile or secret", path.display())]
    TooLarge { path: PathBuf, max_bytes: u64 },
    #[error("{} is not named in UTF-8, which BuildKit cannot send; rename it or add it to .dockerignore", .0.display())]
    NotUtf8(PathBuf),
    #[error("the build was stopped")]
    Cancelled,
    #[error("the build took longer than {} s and was stopped", limit.as_secs())]
    Timeout { limit: Duration },
    #[error("BuildKit ended without an image; look at the engine's log (`journalctl -u docker`)")]
    NoImage,
    #[error("the engine's BuildKit cannot be reached ({what}); see that the engine is version 23 or newer")]
    Connection {
        what: String,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl BuildError {
    pub(crate) fn connection(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Connection { what: what.into(), source: Some(source.into()) }
    }

    /// The last lines of the step that failed.
    pub fn lines(&self) -> &[String] {
        match self {
            Self::Failed { lines, .. } => lines,
            _ => &[],
        }
    }
}

fn failed(instruction: Option<&str>, why: &str) -> String {
    match instruction {
        Some(instruction) => format!("the build failed at '{instruction}': {why}"),
        None => format!("the build failed: {why}"),
    }
}
