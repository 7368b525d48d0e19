//! What can go wrong, and whose turn it is then.

use std::io;
use std::path::PathBuf;
use wharf_proto::{Failure, FailureKind};

#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    #[error("whose Docker context is meant?")]
    NoUser,
    #[error("there is no user {0} in /etc/passwd")]
    UnknownUser(String),
    #[error("only root may change the Docker context of {0}")]
    NotYours(String),
    #[error("{0:?} is no name for a Docker context")]
    Name(String),
    #[error("cannot act as {name}")]
    Become { name: String, source: nix::Error },
    #[error("there is a Docker context {name} that Wharf did not make")]
    NotOurs { name: String },
    #[error("nothing that guards Docker answers at {}", path.display())]
    NoSocket { path: PathBuf, source: io::Error },
    #[error("{user} may not use the guard at {}", path.display())]
    NotAllowed { user: String, path: PathBuf, source: io::Error },
    #[error("what answers at {} is no guard of Wharf's", path.display())]
    NoGuard { path: PathBuf },
    #[error("{} is no path of a socket: it must be absolute and UTF-8", path.display())]
    Socket { path: PathBuf },
    #[error("cannot use {}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is larger than any configuration of Docker's", path.display())]
    TooLong { path: PathBuf },
    #[error("{} is not Docker's configuration: it holds no JSON object", path.display())]
    Config { path: PathBuf, source: Option<jsonc_parser::errors::ParseError> },
}

impl ContextError {
    pub fn failure(&self) -> Failure {
        let (kind, hint) = match self {
            Self::NoUser => (
                FailureKind::Config,
                "name the user: --user NAME; for root's own commands: --user root".to_owned(),
            ),
            Self::UnknownUser(_) => {
                (FailureKind::Config, "name a user of this server: --user NAME".to_owned())
            }
            Self::NotYours(name) => (FailureKind::Config, format!("sudo wharfd guard … --user {name}")),
            Self::Name(_) => (
                FailureKind::Config,
                "use letters, digits, `.`, `_`, `+` and `-`, and not `default`".to_owned(),
            ),
            Self::Become { .. } => (FailureKind::Environment, "run it as that user instead".to_owned()),
            Self::NotOurs { name } => (
                FailureKind::Refused,
                format!(
                    "it stays as it is; choose another name for the guard's: --context NAME (see: docker context inspect {name})"
                ),
            ),
            Self::NoSocket { path, .. } => (FailureKind::Environment, serve_it(path)),
            Self::NotAllowed { user, path, .. } => (
                FailureKind::Environment,
                format!(
                    "let {user} use Docker (usermod -aG docker {user}), or name another socket than {}",
                    path.display()
                ),
            ),
            Self::NoGuard { path } => (FailureKind::Refused, serve_it(path)),
            Self::Socket { .. } => {
                (FailureKind::Config, "name it from the root on: --socket /run/…".to_owned())
            }
            Self::File { .. } => {
                (FailureKind::Environment, "see to the rights and the disk there, and do it again".to_owned())
            }
            Self::TooLong { .. } | Self::Config { .. } => {
                (FailureKind::Config, "correct it by hand; nothing was changed".to_owned())
            }
        };
        Failure::from_error(kind, self).hint(hint)
    }
}

fn serve_it(path: &std::path::Path) -> String {
    format!(
        "write [guard] socket = \"{}\" in wharfd.toml and restart wharfd; or run: wharfd guard serve --listen {0}",
        path.display()
    )
}
