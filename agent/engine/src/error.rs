//! What can go wrong between the agent and the engine.

use std::path::PathBuf;
use std::time::Duration;

/// A call to the engine that did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(
        "the Docker engine does not answer at {}; start it (for example `systemctl start docker`) and see that this user may open the socket",
        socket.display()
    )]
    Unreachable {
        socket: PathBuf,
        #[source]
        source: bollard::errors::Error,
    },
    #[error("the Docker engine took more than {} s to {action}; look at its log (`journalctl -u docker`) and try again", limit.as_secs())]
    Timeout { action: String, limit: Duration },
    #[error("the Docker engine has no {what}")]
    NotFound { what: String },
    #[error("the Docker engine could not {action}")]
    Refused {
        action: String,
        #[source]
        source: bollard::errors::Error,
    },
    #[error(
        "the Docker engine's answer to '{action}' cannot be used: {why}; is its version supported (`wharf doctor`)?"
    )]
    Malformed { action: String, why: String },
    #[error("'{0}' is not a name of an image; give it as NAME:TAG")]
    BadReference(String),
    #[error("{path} in container {container} is larger than {max_bytes} bytes")]
    FileTooLarge { container: String, path: String, max_bytes: u64 },
}

impl EngineError {
    /// The error of a call, by what the engine said. A missing object gets a kind of its own.
    pub(crate) fn of(action: impl Into<String>, source: bollard::errors::Error) -> Self {
        let action = action.into();
        match source {
            bollard::errors::Error::DockerResponseServerError { status_code: 404, message } => {
                Self::NotFound { what: format!("such object (it was asked to {action}): {message}") }
            }
            bollard::errors::Error::RequestTimeoutError => {
                Self::Timeout { action, limit: crate::connection::CALL_LIMIT }
            }
            source => Self::Refused { action, source },
        }
    }

    pub(crate) fn malformed(action: &str, why: impl Into<String>) -> Self {
        Self::Malformed { action: action.to_owned(), why: why.into() }
    }

    /// Whether the engine answered that the thing is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}
