//! The server's own configuration, `/etc/wharf/wharfd.toml`: what a ship cannot change.

mod house;
mod logs;
mod offsite;
mod socket;

use crate::layout::Layout;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use wharf_access::Grant;
use wharf_proto::AppName;
use wharf_proto::spec::KeepSpec;
use wharf_schedule::Floor;

pub use house::House;
pub use logs::Logs;
pub use offsite::Offsite;
pub use socket::SocketRule;

/// Where it is.
pub const PATH: &str = "/etc/wharf/wharfd.toml";

/// As `listen`: the agent has no port.
pub const NOWHERE: &str = "none";

/// Everything the agent is told from outside. Every key has a default, so that an empty or missing file is a good one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// State, content store, backups, host key. Mode 0700.
    pub state: PathBuf,
    /// Address and port of the agent's SSH server; [`NOWHERE`]: only the server's own sshd lets people in.
    pub listen: String,
    /// Public keys that may connect.
    pub authorized_keys: PathBuf,
    /// Docker's socket.
    pub docker: PathBuf,
    /// Where the agent listens to programs on its own server; in the state folder where none is named.
    pub socket_path: Option<PathBuf>,
    /// Who may connect there besides root and the agent's own user.
    pub socket: Vec<SocketRule>,
    /// What single apps may do: `[app.NAME]`.
    pub app: BTreeMap<AppName, AppRights>,
    /// How long one backup may take.
    pub backup_within_seconds: u32,
    /// Backups that stay whatever a project says.
    pub retention: Retention,
    /// What the agent keeps in bounds by itself.
    pub house: House,
    /// What the logs of apps' containers may take.
    pub logs: Logs,
    /// Where copies of backups are kept: `[[offsite]]`.
    pub offsite: Vec<Offsite>,
    /// Docker's socket, guarded, for people who work on the server.
    pub guard: GuardForPeople,
}

/// `[guard]`: a guarded socket outside the state folder. Nothing is served unless a socket is named.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardForPeople {
    pub socket: Option<PathBuf>,
}

/// Where `wharfd guard install` looks for a guard unless it is told.
pub const GUARD_SOCKET: &str = "/run/wharf/docker.sock";

/// Which backups stay by the server's own word: its floor, which a ship can only lengthen, or what a place elsewhere keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    pub last: u32,
    pub hourly: u32,
    pub daily: u32,
    pub weekly: u32,
    pub monthly: u32,
    pub yearly: u32,
    /// Everything younger than so many days.
    pub days: u32,
}

impl Retention {
    /// Whether nothing stays by it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn floor(&self) -> Floor {
        let Self { last, hourly, daily, weekly, monthly, yearly, days } = *self;
        Floor { keep: KeepSpec { last, hourly, daily, weekly, monthly, yearly }, days }
    }
}

/// What the server allows one app beyond the ordinary.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppRights {
    /// Compose features that are as good as root on the server: privileged containers, the Docker socket, `/`.
    pub root_equivalent: bool,
    /// The app directory that a key may deploy it to first, which may not place apps.
    pub path: Option<PathBuf>,
    /// Commands of the project's that run on the server itself, as root: `[[hook]]` of `wharf.toml`.
    pub hooks: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state: "/var/lib/wharf".into(),
            listen: "0.0.0.0:2222".into(),
            authorized_keys: "/etc/wharf/authorized_keys".into(),
            docker: "/var/run/docker.sock".into(),
            socket_path: None,
            socket: Vec::new(),
            app: BTreeMap::new(),
            backup_within_seconds: 6 * 60 * 60,
            retention: Retention::default(),
            house: House::default(),
            logs: Logs::default(),
            offsite: Vec::new(),
            guard: GuardForPeople::default(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} has two places under [[offsite]] called {name}; give one another name", path.display())]
    TwoOffsites { path: PathBuf, name: String },
    #[error(
        "{} has [[socket]] but no socket_path: name one outside of the state folder, which only the agent may enter, \
         for example /run/wharf/wharfd.sock",
        path.display()
    )]
    HiddenSocket { path: PathBuf },
    #[error(
        "{} gives backups no time: backup_within_seconds is 0, so that no deploy could come about; leave it out for 6 hours",
        path.display()
    )]
    NoTime { path: PathBuf },
    #[error("{} is not a configuration of wharfd; correct it and start again", path.display())]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
}

impl Config {
    /// Reads `path`; a file that does not exist means the defaults.
    ///
    /// # Errors
    /// A file that cannot be read, or has a key that the agent does not know.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str::<Self>(&text)
                .map_err(|source| ConfigError::Parse { path: path.into(), source: Box::new(source) })?
                .checked(path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read { path: path.into(), source }),
        }
    }

    fn checked(self, path: &Path) -> Result<Self, ConfigError> {
        if self.backup_within_seconds == 0 {
            return Err(ConfigError::NoTime { path: path.into() });
        }
        if !self.socket.is_empty() && self.socket_path.is_none() {
            return Err(ConfigError::HiddenSocket { path: path.into() });
        }
        let mut names = std::collections::BTreeSet::new();
        match self.offsite.iter().find(|offsite| !names.insert(offsite.name.clone())) {
            None => Ok(self),
            Some(twice) => Err(ConfigError::TwoOffsites { path: path.into(), name: twice.name.clone() }),
        }
    }

    /// Whether the server lets `app` use what is as good as root.
    pub fn allows_root(&self, app: &AppName) -> bool {
        self.app.get(app).is_some_and(|rights| rights.root_equivalent)
    }

    /// Where the agent listens to programs on its own server.
    pub fn socket(&self) -> PathBuf {
        self.socket_path.clone().unwrap_or_else(|| Layout::new(&self.state).socket())
    }

    /// Where the agent's SSH server listens, if it is to.
    pub fn address(&self) -> Option<&str> {
        (self.listen != NOWHERE).then_some(self.listen.as_str())
    }

    /// The most that programs of the user `uid` may do on the socket; of several rules the first holds.
    pub fn most_of(&self, uid: u32) -> Option<Grant> {
        if uid == 0 || uid == nix::unistd::geteuid().as_raw() {
            return Some(Grant::everything());
        }
        self.socket.iter().find(|rule| rule.is_for(uid)).map(SocketRule::grant)
    }

    /// Where the server says that `app` lies.
    pub fn place_of(&self, app: &AppName) -> Option<&Path> {
        self.app.get(app)?.path.as_deref()
    }

    /// Whether the server lets `app` run commands on the server itself.
    pub fn allows_hooks(&self, app: &AppName) -> bool {
        self.app.get(app).is_some_and(|rights| rights.hooks)
    }

    /// What the command line says goes before the file.
    #[must_use]
    pub fn overridden(
        mut self,
        state: Option<PathBuf>,
        listen: Option<String>,
        authorized_keys: Option<PathBuf>,
        docker: Option<PathBuf>,
    ) -> Self {
        self.state = state.unwrap_or(self.state);
        self.listen = listen.unwrap_or(self.listen);
        self.authorized_keys = authorized_keys.unwrap_or(self.authorized_keys);
        self.docker = docker.unwrap_or(self.docker);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_means_the_defaults_and_an_unknown_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wharfd.toml");
        assert_eq!(Config::load(&path).unwrap().listen, "0.0.0.0:2222");
        std::fs::write(&path, "[app.portainer]\nroot_equivalent = true\n").unwrap();
        let config = Config::load(&path).unwrap();
        assert!(
            config.allows_root(&"portainer".parse().unwrap())
                && !config.allows_root(&"other".parse().unwrap())
        );
        std::fs::write(&path, "lisen = \"127.0.0.1:1\"\n").unwrap();
        let error = Config::load(&path).unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("lisen"));
    }
}
