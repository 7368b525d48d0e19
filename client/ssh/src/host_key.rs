//! Whether a server is the one it should be.

use crate::secret::Secret;
use async_trait::async_trait;
use std::path::Path;

/// What to do with a host whose key is not known yet. One that is known and has *changed* is refused always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// A person decides, by [`Prompt::confirm_host_key`].
    Ask,
    /// It is trusted, and remembered.
    AcceptNew,
    /// It is refused.
    Strict,
}

/// What only a person can answer. No connection waits meanwhile, so they may take their time.
#[async_trait]
pub trait Prompt: Send + Sync {
    /// Whether `host`, which shows a key of `key_type` with this fingerprint (`SHA256:…`), is to be trusted.
    async fn confirm_host_key(&self, host: &str, key_type: &str, fingerprint: &str) -> bool;

    /// The passphrase of the key in the file `key`; `None` to do without this key.
    async fn passphrase(&self, key: &Path) -> Option<Secret>;
}

/// Nobody there: no host is confirmed, no passphrase given.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPrompt;

#[async_trait]
impl Prompt for NoPrompt {
    async fn confirm_host_key(&self, _: &str, _: &str, _: &str) -> bool {
        false
    }

    async fn passphrase(&self, _: &Path) -> Option<Secret> {
        None
    }
}
