//! The way to the agent through SSH.

use super::{Asker, Dial, Receive, Send, SessionError};
use crate::config::ServerAddress;
use async_trait::async_trait;
use std::{env, fmt, path::PathBuf};
use wharf_proto::{Failure, FailureKind};

/// What a person or a pipeline says about how to connect.
#[derive(Clone)]
pub struct SshOptions {
    pub asker: Asker,
    /// Trust a server whose key is not known yet, and remember it.
    pub accept_new_host_key: bool,
    /// Instead of `~/.ssh/known_hosts`: `WHARF_KNOWN_HOSTS`.
    pub known_hosts: Option<PathBuf>,
    /// Instead of `~/.ssh/config`: `WHARF_SSH_CONFIG`.
    pub config: Option<PathBuf>,
    /// A private key's text, for pipelines: `WHARF_SSH_KEY`.
    pub key_pem: Option<String>,
}

impl SshOptions {
    /// From the flags and the process's environment. An empty variable counts as none.
    pub fn of_process(accept_new_host_key: bool, yes: bool) -> Self {
        let path = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            asker: Asker::of_process(yes),
            accept_new_host_key,
            known_hosts: path("WHARF_KNOWN_HOSTS"),
            config: path("WHARF_SSH_CONFIG"),
            key_pem: env::var("WHARF_SSH_KEY").ok().filter(|pem| !pem.trim().is_empty()),
        }
    }
}

/// Without the key's text: what is shown for debugging ends up in logs.
impl fmt::Debug for SshOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshOptions")
            .field("asker", &self.asker)
            .field("accept_new_host_key", &self.accept_new_host_key)
            .field("known_hosts", &self.known_hosts)
            .field("config", &self.config)
            .field("key_pem", &self.key_pem.as_ref().map(|_| "…"))
            .finish()
    }
}

/// Opens conversations over SSH.
#[derive(Debug)]
pub struct Ssh {
    server: ServerAddress,
    options: SshOptions,
}

impl Ssh {
    pub fn new(server: ServerAddress, options: SshOptions) -> Self {
        Self { server, options }
    }
}

#[async_trait]
impl Dial for Ssh {
    /// Not wired to `wharf-ssh` yet. It fails as what it is, rather than as a server that does not answer.
    async fn dial(&self) -> Result<(Box<dyn Send>, Box<dyn Receive>), SessionError> {
        tracing::debug!(server = %self.server, options = ?self.options, "no SSH client");
        let text = format!("this build of wharf has no SSH client, so it cannot reach {}", self.server);
        Err(SessionError::Connect(Failure::new(FailureKind::Internal, text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keys_text_is_not_shown() {
        let options = SshOptions {
            asker: Asker::Nobody,
            accept_new_host_key: false,
            known_hosts: None,
            config: None,
            key_pem: Some("-----BEGIN SECRET".into()),
        };
        assert!(!format!("{options:?}").contains("SECRET"));
    }
}
