//! What a project says of its backups: when, how many stay, how they are proven.

use serde::{Deserialize, Serialize};

/// When an app is backed up without being asked, what stays, and when that is tried.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BackupSpec {
    /// Cron's five fields; `None`: no schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// The zone that the schedule and the retention are read in, by its IANA name; `None`: the server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// `None`: nothing is ever forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<KeepSpec>,
    pub drill: DrillSpec,
}

/// How many backups stay, by how far apart they are. A rule keeps the newest backup of each of so many hours, days, weeks,
/// months or years that have one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeepSpec {
    /// The newest, whenever they were made.
    #[serde(skip_serializing_if = "is_zero")]
    pub last: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub hourly: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub daily: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub weekly: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub monthly: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub yearly: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl KeepSpec {
    /// Whether no rule keeps anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// When a backup is proven by restoring it, without being asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrillSpec {
    /// After each release, while the dumps are small; weekly above that, and after each migration.
    #[default]
    AfterRelease,
    /// After each backup, whatever its size.
    AfterBackup,
    Weekly,
    /// Only when asked for: `wharf backup verify`.
    Off,
    /// One that a newer client knows.
    #[serde(other)]
    Unknown,
}
