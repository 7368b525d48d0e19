//! Failures as they cross the wire: what happened, why, and what to do next.

use serde::{Deserialize, Serialize};

/// Whose fault a failure is and what it left behind, in one word. It decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The command line or a configuration file is wrong.
    Config,
    /// Wharf will not do this: it could lose data, or breaks a rule that the text names. Nothing was changed.
    Refused,
    /// It can be done, where a person says so: the text says what that means. Nothing was changed.
    Consent,
    /// The server cannot be reached.
    Unreachable,
    /// The server does not accept this person, or the person does not accept the server.
    Unauthorized,
    /// One side is too old for the other.
    Unsupported,
    /// Another job of the same app is running.
    Busy,
    /// What was asked for does not exist.
    NotFound,
    /// No checked backup could be made.
    Backup,
    Build,
    Migration,
    /// A command of the project's on the server itself.
    Hook,
    Start,
    /// The new release ran, but did not prove healthy.
    Verify,
    /// The laptop's or the server's disk, memory or engine failed.
    Environment,
    /// A bug of Wharf's.
    Internal,
    /// A kind that a newer agent knows and this client does not.
    #[serde(other)]
    Unknown,
}

/// A failure as a person is told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub kind: FailureKind,
    /// What happened, in one sentence without a full stop.
    pub message: String,
    /// Why, outermost cause first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What to do next: each an instruction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// A failure from an error and all its sources.
    pub fn from_error(kind: FailureKind, error: &dyn std::error::Error) -> Self {
        let mut failure = Self::new(kind, error.to_string());
        let mut source = error.source();
        while let Some(cause) = source {
            failure = failure.cause(cause.to_string());
            source = cause.source();
        }
        failure
    }

    /// Adds a cause, unless the text before it says the same already.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        let cause = cause.into();
        let said = self.causes.last().unwrap_or(&self.message);
        if !said.ends_with(&cause) {
            self.causes.push(cause);
        }
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The exit code of a client that ends with this failure; documented in `docs/EXIT-CODES.md`.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            FailureKind::Config | FailureKind::NotFound => 2,
            FailureKind::Refused | FailureKind::Consent | FailureKind::Busy => 3,
            FailureKind::Unreachable | FailureKind::Unauthorized | FailureKind::Unsupported => {
                EXIT_CANNOT_TALK
            }
            FailureKind::Backup
            | FailureKind::Build
            | FailureKind::Migration
            | FailureKind::Hook
            | FailureKind::Start
            | FailureKind::Verify
            | FailureKind::Environment
            | FailureKind::Internal
            | FailureKind::Unknown => 1,
        }
    }
}

/// The exit code when client and agent do not come to speak with each other.
pub const EXIT_CANNOT_TALK: u8 = 4;

/// The exit code when a release failed and what ran before could not be put back.
pub const EXIT_NOT_PUT_BACK: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_a_newer_agent_is_still_a_failure() {
        let failure: Failure = serde_json::from_str(r#"{"kind":"eclipse","message":"dark"}"#).unwrap();
        assert_eq!((failure.kind, failure.exit_code()), (FailureKind::Unknown, 1));
    }

    #[test]
    fn causes_follow_the_sources() {
        let error = crate::manifest::ManifestError::TooMany(9);
        assert_eq!(Failure::from_error(FailureKind::Config, &error).message, error.to_string());
    }
}
