//! Why a server is not set up.

use crate::doctor::OLDEST_API;
use std::{io, path::PathBuf};
use wharf_proto::failure::EXIT_NOT_PUT_BACK;
use wharf_proto::{Failure, FailureKind};
use wharf_ssh::SshError;

/// Why a server is not set up. Unless the text says otherwise, what was done until then stays, and running it again goes on.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Ssh(#[from] SshError),
    #[error("{user} is not root on the server, and sudo does not make it so")]
    NotRoot { user: String, why: String },
    #[error("the server is {found}; the agent runs on Linux alone")]
    System { found: String },
    #[error("the server lacks {tool}")]
    Tool { tool: String },
    #[error("Docker does not answer on the server")]
    Docker { said: String },
    #[error("the server has Docker {found}, which speaks API {api}, and {}.{} is needed", OLDEST_API.0, OLDEST_API.1)]
    OldDocker { found: String, api: String },
    #[error("the server has {found}")]
    Compose { found: String },
    #[error("the server has {free_mb} MB free, and the agent needs {needed_mb}")]
    Disk { free_mb: u64, needed_mb: u64 },
    #[error("there is no wharfd for {arch} on this machine")]
    NoAgent { arch: String, looked: Vec<PathBuf> },
    #[error("cannot read {}", path.display())]
    Agent { path: PathBuf, source: io::Error },
    #[error("{} is no program for {arch}", path.display())]
    WrongAgent { path: PathBuf, arch: String },
    #[error("cannot keep a key in {}", path.display())]
    Key { path: PathBuf, source: io::Error },
    #[error("the server's /etc/wharf/wharfd.toml is not TOML")]
    Config(#[source] Box<toml_edit::TomlError>),
    #[error("an agent runs on the server that was not started by setup")]
    Foreign,
    #[error("there is no agent on the server")]
    NoneThere,
    #[error("{what} failed on the server")]
    Command { what: &'static str, status: Option<u32>, said: String },
    #[error("a job still runs on the server after ten minutes; the agent was left alone")]
    Busy,
    #[error("the agent does not answer; what setup had installed stays")]
    Silent { log: Vec<String> },
    #[error("the new agent did not answer, and the one before it serves again, with its state as it was")]
    PutBack { log: Vec<String> },
    #[error("the new agent did not answer, and the one before it does not either")]
    NotPutBack { log: Vec<String> },
    #[error("the state could not be copied; the agent was left as it was")]
    NotCopied { log: Vec<String> },
}

impl SetupError {
    /// The failure as people are told it.
    pub fn failure(&self) -> Failure {
        if let Self::Ssh(error) = self {
            return error.failure();
        }
        let failure = Failure::from_error(self.kind(), self);
        match self {
            Self::Ssh(_) => failure,
            Self::NotRoot { why, .. } => told(failure, why)
                .hint("log in as root, or as a user who may use sudo")
                .hint("where sudo asks for a password, run this on a terminal"),
            Self::System { .. } => failure.hint("choose another server"),
            Self::Tool { .. } => failure.hint("install it there, and run this again"),
            Self::Docker { said } => told(failure, said).hint(
                "install Docker there (https://docs.docker.com/engine/install/), see that `sudo docker info` answers, and run this again",
            ),
            Self::OldDocker { .. } => failure.hint("install Docker Engine 25 or newer there, and run this again"),
            Self::Compose { .. } => {
                failure.hint("install the Compose plugin, version 2.20 or newer, and run this again")
            }
            Self::Disk { .. } => failure.hint("make room there, for example with `docker builder prune`"),
            Self::NoAgent { arch, looked } => looked
                .iter()
                .fold(failure, |failure, path| failure.cause(format!("{} is not there", path.display())))
                .hint(format!("build it in a checkout of Wharf's: scripts/release (for {arch})"))
                .hint("or name the file: --agent PATH"),
            Self::Agent { .. } => failure.hint("name the right file: --agent PATH"),
            Self::WrongAgent { arch, .. } => {
                failure.hint(format!("give a wharfd that was built for Linux on {arch}: --agent PATH"))
            }
            Self::Key { .. } => failure.hint("look at that file and its folder; it must be yours alone"),
            Self::Config(_) => failure.hint("mend the file there by hand; setup changes nothing of it meanwhile"),
            Self::Foreign => failure
                .hint("end that wharfd on the server, then run this again: its state and its apps stay as they are"),
            Self::NoneThere => failure.hint("install one: wharf setup USER@HOST"),
            Self::Command { status, said, .. } => {
                let status = status.map_or_else(|| "a signal".to_owned(), |code| format!("exit status {code}"));
                told(failure.cause(format!("it ended with {status}")), said)
                    .hint("mend that on the server, and run this again: it goes on where it was")
            }
            Self::Busy => failure.hint("watch the job with `wharf jobs`, then run this again"),
            Self::Silent { log } => logged(failure, log).hint("mend what the agent's log says, and run this again"),
            Self::PutBack { log } => logged(failure, log).hint("nothing was lost: report it, or try another version"),
            Self::NotPutBack { log } => logged(failure, log)
                .hint("look at the agent's log on the server; the binary and the state from before are in `before-upgrade` of the state folder"),
            Self::NotCopied { log } => logged(failure, log).hint("make room on the server, and run this again"),
        }
    }

    /// How the program ends: an upgrade after which no agent serves is one that could not be put back.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotPutBack { .. } => EXIT_NOT_PUT_BACK,
            _ => self.failure().exit_code(),
        }
    }

    fn kind(&self) -> FailureKind {
        match self {
            Self::NotRoot { .. } => FailureKind::Unauthorized,
            Self::NoAgent { .. } | Self::Agent { .. } | Self::WrongAgent { .. } | Self::Config(_) => {
                FailureKind::Config
            }
            Self::NoneThere => FailureKind::NotFound,
            Self::Foreign => FailureKind::Refused,
            Self::Busy => FailureKind::Busy,
            _ => FailureKind::Environment,
        }
    }
}

fn told(failure: Failure, said: &str) -> Failure {
    match said.trim() {
        "" => failure,
        said => failure.cause(said.to_owned()),
    }
}

/// The end of the agent's log.
fn logged(failure: Failure, log: &[String]) -> Failure {
    log.iter().fold(failure, |failure, line| failure.cause(format!("its log: {line}")))
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        error.failure()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_upgrade_that_could_not_be_put_back_ends_with_five() {
        let log = Vec::new;
        for (error, code) in [
            (SetupError::NotPutBack { log: log() }, 5),
            (SetupError::PutBack { log: log() }, 1),
            (SetupError::Silent { log: log() }, 1),
            (SetupError::Busy, 3),
            (SetupError::OldDocker { found: "24.0.7".into(), api: "1.43".into() }, 1),
        ] {
            assert_eq!(error.exit_code(), code, "{error}");
        }
    }
}
