//! The way to the agent through SSH.

use super::deploy_key;
use super::{Asker, Dial, Receive, Send, SessionError};
use crate::config::ServerAddress;
use async_trait::async_trait;
use std::{env, path::PathBuf};
use tokio::sync::Mutex;
use wharf_proto::frame::Frame;
use wharf_ssh::{Link, Options, Receiver, Secret, Sender, SshError, Target, Timeouts};

/// What a person or a pipeline says about how to connect.
#[derive(Debug, Clone)]
pub struct SshOptions {
    pub asker: Asker,
    /// Trust a server whose key is not known yet, and remember it.
    pub accept_new_host_key: bool,
    /// Instead of `~/.ssh/known_hosts`: `WHARF_KNOWN_HOSTS`.
    pub known_hosts: Option<PathBuf>,
    /// Instead of `~/.ssh/config`: `WHARF_SSH_CONFIG`.
    pub config: Option<PathBuf>,
    /// A private key's text, for pipelines: `WHARF_SSH_KEY`.
    pub key_pem: Option<Secret>,
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
            key_pem: env::var("WHARF_SSH_KEY").ok().filter(|pem| !pem.trim().is_empty()).map(Secret::new),
        }
    }
}

/// Opens conversations over SSH, all on one connection as long as that stands.
#[derive(Debug)]
pub struct Ssh {
    server: ServerAddress,
    options: SshOptions,
    link: Mutex<Option<Link>>,
}

impl Ssh {
    pub fn new(server: ServerAddress, options: SshOptions) -> Self {
        Self { server, options, link: Mutex::new(None) }
    }

    /// A connection as the person's own `ssh` would make it, for commands of the server's own: no key that `wharf setup`
    /// made is shown.
    ///
    /// # Errors
    /// The server cannot be reached, is not who it should be, or does not accept us.
    pub async fn shell(&self) -> Result<Link, SessionError> {
        let target = self.target().await?;
        self.go(&target).await
    }

    /// `user@host:port`, as the SSH configuration has it.
    ///
    /// # Errors
    /// That configuration is wrong.
    pub async fn place(&self) -> Result<String, SessionError> {
        Ok(self.target().await?.place())
    }

    async fn target(&self) -> Result<Target, SessionError> {
        let options = Options {
            identity: self.server.identity.clone(),
            key_pem: self.options.key_pem.clone(),
            known_hosts: self.options.known_hosts.clone(),
            ssh_config: self.options.config.clone(),
            ..Options::default()
        };
        Target::resolve(&self.server.to_string(), &options).await.map_err(|e| self.refused(&e))
    }

    async fn connect(&self) -> Result<Link, SessionError> {
        let target = self.target().await?;
        // The key that `wharf setup` made for this way in, unless somebody says otherwise.
        let target = match deploy_key::of(&target.place()) {
            Some(file) if self.server.identity.is_none() && self.options.key_pem.is_none() => {
                target.showing_only(file)
            }
            _ => target,
        };
        self.go(&target).await
    }

    async fn go(&self, target: &Target) -> Result<Link, SessionError> {
        let asker = self.options.asker;
        let policy = asker.policy(self.options.accept_new_host_key);
        let connecting = wharf_ssh::connect(target, policy, asker.prompt(), Timeouts::default());
        connecting.await.map_err(|e| self.refused(&e))
    }

    /// Why there is no connection, with what helps where nobody can be asked for a passphrase.
    fn refused(&self, error: &SshError) -> SessionError {
        let failure = error.failure();
        let asked_nobody = self.options.asker == Asker::Nobody && self.options.key_pem.is_none();
        let failure = match error {
            SshError::NotAuthenticated { .. } if asked_nobody => failure.hint(
                "where nobody can be asked: load the key with `ssh-add`, or give its text in WHARF_SSH_KEY",
            ),
            _ => failure,
        };
        SessionError::Connect { stage: error.stage(), failure }
    }
}

#[async_trait]
impl Dial for Ssh {
    async fn dial(&self) -> Result<(Box<dyn Send>, Box<dyn Receive>), SessionError> {
        let mut link = self.link.lock().await;
        let conversation = match &*link {
            Some(open) if !open.is_closed() => open.open().await.ok(),
            _ => None,
        };
        let conversation = match conversation {
            Some(conversation) => conversation,
            None => {
                // What is left of the old connection must not be waited for.
                *link = None;
                let new = self.connect().await?;
                let conversation = new.open().await.map_err(broken)?;
                *link = Some(new);
                conversation
            }
        };
        let (tx, rx) = conversation.split();
        Ok((Box::new(Tx(tx)), Box::new(Rx(rx))))
    }

    async fn close(&self) {
        if let Some(link) = self.link.lock().await.take() {
            link.disconnect().await;
        }
    }
}

struct Tx(Sender);
struct Rx(Receiver);

#[async_trait]
impl Send for Tx {
    async fn send(&mut self, frame: Frame) -> Result<(), SessionError> {
        self.0.send(frame).await.map_err(broken)
    }
}

#[async_trait]
impl Receive for Rx {
    async fn receive(&mut self) -> Result<Option<Frame>, SessionError> {
        self.0.recv().await.map_err(broken)
    }
}

/// A conversation that broke: the line's fault may be mended by another connection, the rest is told as it is.
fn broken(error: SshError) -> SessionError {
    match error {
        SshError::Frame(frame) => SessionError::Frame(frame),
        SshError::Lost { .. } | SshError::CutShort { .. } | SshError::TimedOut { .. } => {
            SessionError::Broken { source: Some(Box::new(error)) }
        }
        other => SessionError::Connect { stage: other.stage(), failure: other.failure() },
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
            key_pem: Some(Secret::new("-----BEGIN SECRET")),
        };
        assert!(!format!("{options:?}").contains("SECRET"));
    }
}
