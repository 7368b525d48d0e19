//! An app's backups: made and listed by `wharf`, and opened by stock restic.

use crate::World;
use std::path::{Path, PathBuf};
use std::process::Command;

impl World {
    /// Makes a backup and returns its ID.
    #[track_caller]
    pub fn back_up(&self) -> String {
        let lines = self.laptop.wharf(&["backup", "create", "--json"]).exits(0).json();
        let result = lines.last().expect("a result");
        assert_eq!(result["result"], "done", "{result}");
        result["backup"].as_str().expect("a backup").to_owned()
    }

    /// All backups as they are listed, newest first.
    #[track_caller]
    pub fn backups(&self) -> Vec<serde_json::Value> {
        self.laptop.wharf(&["backup", "list", "--json"]).exits(0).json()
    }

    /// One backup as it is listed.
    #[track_caller]
    pub fn backup(&self, id: &str) -> serde_json::Value {
        self.backups().into_iter().find(|backup| backup["id"] == id).expect("the backup is listed")
    }

    /// Where the agent has the app's backups.
    pub fn repository(&self) -> PathBuf {
        self.server.folder.join("state/apps").join(&self.app).join("backups")
    }

    /// The recovery key, as the agent keeps it.
    pub fn recovery_key(&self) -> PathBuf {
        self.repository().with_file_name("backups.key.recovery")
    }

    /// Stock restic on the app's backups.
    pub fn restic(&self) -> Restic {
        Restic { repository: self.repository(), key: self.recovery_key() }
    }
}

/// Stock restic on a repository.
pub struct Restic {
    pub repository: PathBuf,
    pub key: PathBuf,
}

impl Restic {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("restic");
        command.arg("--no-cache").arg("-r").arg(&self.repository).arg("--password-file").arg(&self.key);
        command.args(arguments);
        command
    }

    /// What it writes to standard output.
    ///
    /// # Panics
    /// Where it fails.
    #[track_caller]
    pub fn runs(&self, arguments: &[&str]) -> String {
        self.runs_in(Path::new("."), arguments)
    }

    /// The same, in a folder.
    ///
    /// # Panics
    /// Where it fails.
    #[track_caller]
    pub fn runs_in(&self, folder: &Path, arguments: &[&str]) -> String {
        let output = self.command(arguments).current_dir(folder).output().expect("restic is installed");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("restic writes UTF-8")
    }

    /// How many snapshots it finds; none where there is no repository yet.
    pub fn count(&self) -> usize {
        let mut list = self.command(&["--no-lock", "--json", "snapshots"]);
        let output = list.output().expect("restic is installed");
        let listed: Option<Vec<serde_json::Value>> = serde_json::from_slice(&output.stdout).ok();
        listed.map_or(0, |listed| listed.len())
    }
}
