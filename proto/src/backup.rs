//! What an agent tells of an app's backups, and what can be asked of one.

use crate::database::DatabaseKind;
use crate::spec::VolumeMode;
use crate::{BackupId, ReleaseId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One backup of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupInfo {
    pub id: BackupId,
    pub time: Timestamp,
    /// What was live when it was made.
    pub release: Option<ReleaseId>,
    /// The release that it was made before; `None`: it was asked for.
    pub before: Option<ReleaseId>,
    pub files: u64,
    pub size_bytes: u64,
    pub databases: Vec<DatabaseInfo>,
    #[serde(default)]
    pub volumes: Vec<VolumeInfo>,
    pub message: Option<String>,
    /// Whether its owner wants it to stay, whatever retention says.
    #[serde(default)]
    pub pinned: bool,
    /// Whether it was read back and compared when it was made. `false`: the agent's state does not know it.
    pub checked: bool,
    pub proof: Proof,
    /// The places elsewhere that have a copy, by the names that the server's configuration gives them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<String>,
}

/// One database in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseInfo {
    pub service: String,
    #[serde(default)]
    pub kind: DatabaseKind,
    pub database: String,
    /// Of its dump.
    pub size_bytes: u64,
    pub tables: u64,
    /// In all tables, counted in the snapshot that was dumped, or in the dump itself. Of Redis: keys.
    pub rows: u64,
}

/// A volume, or a folder of data, in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeInfo {
    /// In the backup it lies below `/volumes/<label>`.
    pub label: String,
    /// The volume's name on the engine; `None`: it is a folder.
    pub volume: Option<String>,
    /// Where it lay on the server.
    pub path: String,
    pub mode: VolumeMode,
    pub files: u64,
    pub size_bytes: u64,
    /// How many SQLite databases are in it.
    #[serde(default)]
    pub sqlite: u64,
}

/// Whether a drill has restored a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Proof {
    #[default]
    Unproven,
    Proven {
        at: Timestamp,
    },
    Failed {
        at: Timestamp,
        why: String,
    },
    /// A state that a newer agent knows and this client does not.
    #[serde(other)]
    Unknown,
}

/// What retention does next: every backup is in one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunePlan {
    /// Newest first.
    pub keep: Vec<Retained>,
    /// Oldest first.
    pub forget: Vec<Retained>,
}

/// A backup that retention has decided about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retained {
    pub backup: BackupId,
    pub time: Timestamp,
    /// Every reason for which it stays, in words; none: it goes.
    pub why: Vec<String>,
}

/// What becomes of a backup that is restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum RestoreWhat {
    /// Files and dumps, as they were, in a new folder on the server.
    ToFolder {
        folder: String,
        /// Only this volume of it, by its label, its name or its path.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        volume: Option<String>,
    },
    /// One volume, as a new volume on the server.
    Volume {
        /// By its label, its name or its path.
        volume: String,
        as_name: String,
    },
    /// One database, as a fresh one in the same container.
    Beside {
        /// The database's name, or its service's.
        database: String,
        as_name: String,
    },
    /// Every database takes the place of the live one, which is kept under another name.
    Over {
        /// The app's name, as a person typed it.
        confirmed: String,
    },
    /// Volumes and folders of data take the place of the live ones, which are kept under another name. An agent that
    /// does not know it must not take it for [`RestoreWhat::Over`], so it is none.
    VolumesOver {
        /// The app's name, as a person typed it.
        confirmed: String,
        /// By their labels, their names or their paths.
        volumes: Vec<String>,
    },
    /// One that this build does not know.
    #[serde(other)]
    Unknown,
}

/// A secret of the owner's: it does not print itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecoveryKey(String);

impl RecoveryKey {
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The key itself; for its owner's eyes only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecoveryKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_print_itself() {
        assert_eq!(format!("{:?}", RecoveryKey::new("aaaaa-bbbbb")), "RecoveryKey(…)");
    }

    #[test]
    fn what_a_newer_side_says_is_unknown_and_not_an_error() {
        let what: RestoreWhat = serde_json::from_str(r#"{"to":"the_moon"}"#).unwrap();
        assert_eq!(what, RestoreWhat::Unknown);
        assert_eq!(serde_json::from_str::<Proof>(r#"{"state":"half"}"#).unwrap(), Proof::Unknown);
    }
}
