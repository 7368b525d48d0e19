//! What a command is given: where it writes, where it runs, and the way to the server.

use crate::{
    cli::Common,
    config::{self, Config, ServerAddress},
    render::Console,
    session::{Dial, Local, Session, Ssh, SshOptions},
    sys,
};
use std::{path::PathBuf, sync::Arc};
use tokio::sync::watch;
use wharf_proto::Failure;

/// The exit code of the process; `docs/EXIT-CODES.md` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    pub const DONE: Self = Self(0);
    /// The person stopped the command. What runs on the server goes on.
    pub const INTERRUPTED: Self = Self(130);
}

/// What a command is given.
pub struct Context {
    pub console: Console,
    pub common: Common,
    /// The folder that the command was called in.
    pub folder: PathBuf,
    pub door: Box<dyn Door>,
    /// Turns true when the person asks to stop.
    pub stop: watch::Receiver<bool>,
    /// The ways that were taken, to be closed at the end.
    pub taken: Vec<Arc<dyn Dial>>,
}

/// Finds the way to a server.
pub trait Door: Send + Sync {
    fn dial(&self, server: &ServerAddress) -> Arc<dyn Dial>;
}

/// The way through SSH, or to the agent on this machine.
pub struct SshDoor {
    options: SshOptions,
}

impl SshDoor {
    pub fn new(common: &Common) -> Self {
        Self { options: SshOptions::of_process(common.accept_new_host_key, common.yes) }
    }
}

impl Door for SshDoor {
    fn dial(&self, server: &ServerAddress) -> Arc<dyn Dial> {
        if server.is_here {
            return Arc::new(Local::of_process());
        }
        Arc::new(Ssh::new(server.clone(), self.options.clone()))
    }
}

impl Context {
    /// The configuration that holds here.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn config(&self) -> Result<Config, Failure> {
        Ok(config::load(&self.folder, self.common.env.as_deref())?)
    }

    /// The configuration of an environment that a release of another one is shipped to or from.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn config_for_promotion(&self, environment: &str) -> Result<Config, Failure> {
        Ok(config::load_for_promotion(&self.folder, environment)?)
    }

    /// A session with the configuration's server.
    pub fn session(&mut self, config: &Config) -> Session {
        let dial = self.door.dial(&config.server);
        self.taken.push(dial.clone());
        Session::new(dial, sys::person())
    }

    /// Says goodbye to every server that was talked to.
    pub async fn close(&mut self) {
        for dial in self.taken.drain(..) {
            dial.close().await;
        }
    }

    /// What a person answers; `None` where they ask to stop instead (Ctrl-C at the question), which ends the command.
    pub async fn answered<T>(&self, question: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stopped() => None,
            answer = question => Some(answer),
        }
    }

    /// Comes back when the person asks to stop.
    pub fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let mut stop = self.stop.clone();
        async move {
            if stop.wait_for(|stop| *stop).await.is_err() {
                // Nobody can ask any more.
                std::future::pending::<()>().await;
            }
        }
    }
}
