//! What a program says on an agent's own socket before the conversation: for whom it speaks.
//!
//! **Invariant**: it comes from the program that connected, before the first byte of whoever is behind it; and it can only
//! lower what the kernel's word for that program allows.

use crate::{Apps, Role};
use serde::{Deserialize, Serialize};

/// The longest preamble: far above what a line of `authorized_keys` can say.
pub const PREAMBLE_BYTES: u32 = 64 * 1024;

/// The limits, and what the audit is to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preamble {
    pub role: Role,
    pub apps: Apps,
    /// The key that was used, as its line names it.
    pub key_name: Option<String>,
    /// Where the connection came from, as sshd says.
    pub from: Option<String>,
}

/// One that is longer than any line of `authorized_keys`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what is to be said on the agent's socket is longer than {PREAMBLE_BYTES} bytes")]
pub struct PreambleTooLong;

impl Preamble {
    /// Of a program that was not started for somebody else.
    pub fn own() -> Self {
        Self { role: Role::Admin, apps: Apps::All, key_name: None, from: None }
    }

    /// As it is sent: its length in four bytes, big endian, and JSON.
    ///
    /// # Errors
    /// One that is too long.
    pub fn encode(&self) -> Result<Vec<u8>, PreambleTooLong> {
        let json = serde_json::to_vec(self).map_err(|_| PreambleTooLong)?;
        let length = u32::try_from(json.len()).ok().filter(|length| *length <= PREAMBLE_BYTES);
        Ok([length.ok_or(PreambleTooLong)?.to_be_bytes().as_slice(), &json].concat())
    }
}
