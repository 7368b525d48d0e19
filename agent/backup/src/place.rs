//! Where a repository may lie: a folder of this server, a folder behind SFTP, a bucket that speaks S3.
//!
//! **Invariants**
//! - A file appears under its name only when it is whole, and a file that is there is never written over.
//! - Every call has a limit in time, and a passing fault is tried again a few times.
//! - Secrets are read from files of mode 0600 or from the environment, and no error quotes them.

mod files;
mod remote;
mod s3;
mod sftp;

use crate::BackupError;
use crate::gate::Gate;
use remote::Remote;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// Where a repository lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Of this server: another disk, say.
    Folder(PathBuf),
    Sftp(SftpPlace),
    S3(S3Place),
}

/// A folder that an SSH server gives access to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SftpPlace {
    /// `user@host:port`, or an alias of the SSH configuration.
    pub host: String,
    /// Relative to where SFTP begins, unless it starts with a slash.
    pub path: String,
    /// The private key, and no other.
    pub identity: Option<PathBuf>,
    pub known_hosts: Option<PathBuf>,
}

/// A place in a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Place {
    /// `https://…`
    pub endpoint: String,
    pub bucket: String,
    #[serde(default)]
    pub prefix: String,
    #[serde(default = "default_region")]
    pub region: String,
    /// Files with the two halves of the credentials; without them `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
    #[serde(default)]
    pub access_key_file: Option<PathBuf>,
    #[serde(default)]
    pub secret_key_file: Option<PathBuf>,
    /// The bucket is part of the host's name, not of the path.
    #[serde(default)]
    pub virtual_host: bool,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

impl Place {
    /// The place of one app below this one.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        let joined = |path: &str| {
            let path = path.trim_end_matches('/');
            if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
        };
        match self {
            Self::Folder(path) => Self::Folder(path.join(name)),
            Self::Sftp(place) => {
                let path = if place.path == "/" { format!("/{name}") } else { joined(&place.path) };
                Self::Sftp(SftpPlace { path, ..place.clone() })
            }
            Self::S3(place) => Self::S3(S3Place { prefix: joined(&place.prefix), ..place.clone() }),
        }
    }

    /// Opens the place; must be called from a runtime's thread that may block.
    pub(crate) fn gate(&self) -> Result<Gate, BackupError> {
        let files: std::sync::Arc<dyn files::Files> = match self {
            Self::Folder(path) => return Gate::new(path),
            Self::Sftp(place) => std::sync::Arc::new(sftp::Sftp::new(place.clone())),
            Self::S3(place) => std::sync::Arc::new(s3::S3::new(place)?),
        };
        let name = self.to_string();
        Ok(Gate::over(Remote::new(files, name.clone()), PathBuf::from(name)))
    }

    /// The names of the folders in it that hold a repository.
    pub(crate) fn repositories(&self) -> Result<Vec<String>, BackupError> {
        let lost = |cause: String| BackupError::Elsewhere { place: self.to_string(), cause };
        let mut names = match self {
            Self::Folder(path) => {
                let entries = std::fs::read_dir(path).map_err(|e| lost(e.to_string()))?;
                let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
                names.collect()
            }
            Self::Sftp(place) => remote::folders(&sftp::Sftp::new(place.clone())).map_err(lost)?,
            Self::S3(place) => remote::folders(&s3::S3::new(place)?).map_err(lost)?,
        };
        names.sort();
        let mut found = Vec::new();
        for name in names {
            if crate::location::exists(&self.below(&name).gate()?)? {
                found.push(name);
            }
        }
        Ok(found)
    }

    /// A folder that others mount must be there before anything is written to it: else what should be on another disk
    /// would fill this one.
    pub(crate) fn ready(&self) -> Result<(), BackupError> {
        match self {
            Self::Folder(path) if !path.parent().is_some_and(std::path::Path::is_dir) => {
                let cause = "the folder above it is not there; is its disk mounted?".to_owned();
                Err(BackupError::Elsewhere { place: self.to_string(), cause })
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Sftp(place) => {
                let slash = if place.path.starts_with('/') { "" } else { "/~/" };
                write!(f, "sftp://{}{slash}{}", place.host, place.path)
            }
            Self::S3(place) => write!(f, "{}/{}/{}", place.endpoint, place.bucket, place.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_app_has_a_place_of_its_own() {
        let sftp = |path: &str| {
            Place::Sftp(SftpPlace {
                host: "u@h:22".into(),
                path: path.into(),
                identity: None,
                known_hosts: None,
            })
        };
        assert_eq!(Place::Folder("/mnt/x".into()).below("app"), Place::Folder("/mnt/x/app".into()));
        for (path, shown) in [
            ("/srv/w", "sftp://u@h:22/srv/w/app"),
            ("/", "sftp://u@h:22/app"),
            ("w/", "sftp://u@h:22/~/w/app"),
            ("", "sftp://u@h:22/~/app"),
        ] {
            assert_eq!(sftp(path).below("app").to_string(), shown);
        }
    }
}
