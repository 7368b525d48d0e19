//! A lock: somebody's word that an app is not to be changed for now.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The longest reason, in characters.
pub const REASON_CHARACTERS: usize = 500;

/// A lock that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployLock {
    /// The key's comment and the login name on the laptop, as in the audit.
    pub by: String,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
