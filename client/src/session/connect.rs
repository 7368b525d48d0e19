//! The way to the agent through SSH.

use super::{Dial, Receive, Send, SessionError};
use crate::config::ServerAddress;
use async_trait::async_trait;
use wharf_proto::{Failure, FailureKind};

/// What a person or a pipeline says about how to connect.
#[derive(Debug, Clone)]
pub struct SshOptions {
    pub accept_new_host_key: bool,
    pub ask: bool,
}

impl SshOptions {
    /// From the flags and the process's environment.
    pub fn of_process(accept_new_host_key: bool, yes: bool) -> Self {
        Self { accept_new_host_key, ask: !yes }
    }
}

/// Opens conversations over SSH.
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
    async fn dial(&self) -> Result<(Box<dyn Send>, Box<dyn Receive>), SessionError> {
        let text = format!("cannot reach {} {}", self.server, self.options.ask);
        Err(SessionError::Connect(Failure::new(FailureKind::Unreachable, text)))
    }
}
