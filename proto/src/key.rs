//! The keys that may connect to an agent's own SSH server.

use crate::{Apps, Role};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One line of the agent's `authorized_keys` that has a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    pub fingerprint: String,
    /// `ssh-ed25519`.
    pub kind: String,
    pub comment: String,
    /// The number of its line, from 1.
    pub line: u32,
    /// What it may do, and with which apps; `None`: nothing, see `problem`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apps: Option<Apps>,
    /// The addresses that it may come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Why it lets nobody in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A key to let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKey {
    /// A public key, as OpenSSH writes it: `ssh-ed25519 AAAA… comment`.
    pub public_key: String,
    pub role: Role,
    pub apps: Apps,
    /// What the audit calls it; `None`: the key's own comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// From then on it lets nobody in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// Whether a text is, or holds, a private key: it must not be sent, told or written anywhere.
pub fn is_private(text: &str) -> bool {
    text.contains("PRIVATE KEY") || text.contains("PuTTY-User-Key-File") || text.contains("AGE-SECRET-KEY-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_keys_are_known_by_their_forms() {
        for form in [
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl",
            "-----BEGIN RSA PRIVATE KEY-----",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----",
            "PuTTY-User-Key-File-3: ssh-ed25519",
        ] {
            assert!(is_private(form), "{form}");
        }
        assert!(!is_private("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 ann@laptop"));
    }
}
