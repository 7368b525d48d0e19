//! What can go wrong, and what is to be done then.

use super::unit;
use crate::context::ContextError;
use std::io;
use std::path::PathBuf;
use wharf_guard::plugin::{NAME, SOCKET};
use wharf_proto::{Failure, FailureKind};

#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    #[error("only root changes what Docker asks")]
    NotRoot,
    #[error("nobody said yes, and nothing was changed")]
    NotConfirmed,
    #[error("no dockerd was found to be running")]
    NoEngine,
    #[error("this Docker engine is rootless: it looks for its plugins elsewhere")]
    Rootless,
    #[error(
        "dockerd was started with --authorization-plugin, and would not start with the same in its configuration file"
    )]
    ByFlag,
    #[error(
        "this dockerd (process {pid}) was not started by {}, which the plugin's unit is tied to",
        unit::DOCKER
    )]
    OtherUnit { pid: i32 },
    #[error("{} is in a place that the plugin's unit cannot see", .0.display())]
    Hidden(PathBuf),
    #[error("there is no systemd here, and no plugin answers at {SOCKET}")]
    NobodyServes,
    #[error("{} was not written by Wharf", unit::PATH)]
    ForeignUnit,
    #[error("{} is not Docker's configuration: it holds no JSON object, or `authorization-plugins` is no list", .0.display())]
    Config(PathBuf),
    #[error("dockerd would not take the new configuration: {0}")]
    Invalid(String),
    #[error("{} or dockerd itself is not as it was looked at any more, and was left as it is now", .0.display())]
    Changed(PathBuf),
    #[error(transparent)]
    File(#[from] ContextError),
    #[error("cannot run {what}")]
    Run { what: String, source: io::Error },
    #[error("{what} failed: {said}")]
    Failed { what: String, said: String },
    #[error("the plugin does not answer at {SOCKET}")]
    Mute,
    #[error(
        "Docker was told to read its configuration again, and does not ask the plugin; the configuration is as it was before"
    )]
    NotAsked,
    #[error(
        "Docker was told to read its configuration again, and still asks the plugin, which therefore goes on"
    )]
    StillAsked,
    #[error(
        "Docker was told to read its configuration again, and does not answer: it most likely waits for the plugin still, which \
         {} does not name any more", .0.display()
    )]
    StillWaits(PathBuf),
}

impl PluginError {
    pub fn failure(&self) -> Failure {
        let (kind, hint) = match self {
            Self::File(error) => return error.failure(),
            Self::NotRoot => (FailureKind::Refused, format!("sudo wharfd guard plugin … (for {NAME})")),
            Self::NotConfirmed => (FailureKind::Refused, "at a terminal, type yes; in a script: --yes".into()),
            Self::NoEngine => (
                FailureKind::Environment,
                "start Docker first; where its pid file is elsewhere: --pidfile FILE".into(),
            ),
            Self::Rootless => (FailureKind::Refused, "use a guarded socket there: wharfd guard serve, wharfd guard install".into()),
            Self::ByFlag => (
                FailureKind::Refused,
                format!("move those plugins into `authorization-plugins` of daemon.json and restart Docker; or add --authorization-plugin={NAME} yourself"),
            ),
            Self::OtherUnit { .. } => (
                FailureKind::Refused,
                format!(
                    "let a unit of your own, of another name than {}, run `wharfd guard plugin serve`, ordered before what starts this dockerd; start it, then do this again (where {} is there: wharfd guard plugin remove, first)",
                    unit::NAME,
                    unit::PATH
                ),
            ),
            Self::Changed(_) => (FailureKind::Refused, "see who changes it, and do this again".into()),
            Self::Hidden(_) => (
                FailureKind::Config,
                "put wharfd into /usr/local/bin, as wharf setup does, and Docker's socket into /run".into(),
            ),
            Self::NobodyServes => (
                FailureKind::Environment,
                "let what starts your services run `wharfd guard plugin serve` before dockerd, and again whenever it ends; then do this again".into(),
            ),
            Self::ForeignUnit => (FailureKind::Refused, "rename or remove it; nothing was changed".into()),
            Self::Config(_) => (FailureKind::Config, "correct it by hand; nothing was changed".into()),
            Self::Invalid(_) => (FailureKind::Config, "correct daemon.json; it was not changed".into()),
            Self::Run { .. } | Self::Failed { .. } => (FailureKind::Environment, "see to that, and do it again".into()),
            Self::Mute => (FailureKind::Environment, format!("see: journalctl -u {}; Docker was not told to ask it", unit::NAME)),
            Self::NotAsked => (FailureKind::Environment, "see Docker's log: journalctl -u docker".into()),
            Self::StillAsked => (
                FailureKind::Environment,
                "restart Docker (systemctl restart docker), which stops containers unless live-restore is on; then do this again".into(),
            ),
            Self::StillWaits(json) => (
                FailureKind::Environment,
                format!(
                    "bring the plugin back (wharfd guard plugin serve) and do this again; where dockerd reads another file than {}, name that: \
                     --daemon-json FILE; or restart Docker, which stops containers unless live-restore is on",
                    json.display()
                ),
            ),
        };
        Failure::from_error(kind, self).hint(hint)
    }
}
