//! The env file's keys as they are told and changed. Values travel in one direction only: to the server.

use crate::{AppName, AppSpec, ReleaseId, message::JobOptions};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A value that does not print itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretValue(String);

impl SecretValue {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself; for whoever it is meant for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretValue(…)")
    }
}

/// A change of the env file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretChange {
    /// Where the app is and what its env file is called; before a first deploy nobody else knows.
    pub spec: AppSpec,
    #[serde(default)]
    pub set: BTreeMap<String, SecretValue>,
    #[serde(default)]
    pub unset: Vec<String>,
    /// A whole env file, as text, whose keys are all set.
    #[serde(default)]
    pub import: Option<SecretValue>,
    /// Make anew what uses the changed keys; else only the file changes.
    pub restart: bool,
    #[serde(default)]
    pub options: JobOptions,
}

/// A new password for a PostgreSQL of the stack's: for its role and in the env file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabasePassword {
    pub app: AppName,
    /// `None`: the one that there is.
    #[serde(default)]
    pub service: Option<String>,
    /// `None`: the agent makes one, which nobody is told.
    #[serde(default)]
    pub password: Option<SecretValue>,
    #[serde(default)]
    pub options: JobOptions,
}

/// One key of the env file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretInfo {
    pub key: String,
    /// The first digits of a digest under the server's own key: equal where values are equal, and nothing else.
    /// `None`: the key is required, and missing.
    pub digest: Option<String>,
    pub required: bool,
    /// The services that use it.
    pub services: Vec<String>,
    /// The listed releases that went live with this very value, newest first.
    pub releases: Vec<ReleaseId>,
}

/// What the env file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretList {
    pub app: AppName,
    /// Where it is on the server.
    pub file: String,
    pub secrets: Vec<SecretInfo>,
}

/// What became of a change that needed no job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretsChanged {
    pub app: AppName,
    pub file: String,
    /// The keys whose values are others now, or that are gone.
    pub changed: Vec<String>,
    /// Whether what runs still has the old values.
    pub stale: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_does_not_print_itself() {
        assert_eq!(format!("{:?}", SecretValue::new("hunter2")), "SecretValue(…)");
    }
}
