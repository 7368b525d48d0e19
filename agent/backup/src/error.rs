//! What can go wrong with a backup.
//!
//! These errors cross from the child to the agent as JSON, so causes are carried as text.

use crate::Hold;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use wharf_proto::{Failure, FailureKind};

/// Why there is no backup, or why one could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum BackupError {
    #[error("the backup repository {} is in use by another backup", repo.display())]
    RepositoryLocked { repo: PathBuf },
    #[error("there is no backup repository at {}", repo.display())]
    RepositoryMissing { repo: PathBuf },
    #[error("the key of the backup repository cannot be read from {}", key_file.display())]
    KeyMissing { key_file: PathBuf, cause: String },
    #[error("the key file {} has mode {mode:o}: others than its owner may read it", key_file.display())]
    KeyExposed { key_file: PathBuf, mode: u32 },
    #[error("the Docker engine failed to {action}")]
    Engine { action: String, cause: String },
    #[error("dumping {label} failed: {command} {}", ended(*exit))]
    DumpFailed { label: String, command: String, exit: Option<i64>, stderr: String },
    #[error("the dump of {label} did not pass its check")]
    DumpUnchecked { label: String, cause: String },
    #[error("the dump of {label} could not be restored")]
    DumpNotRestored { label: String, cause: String },
    #[error("{program} in the database {database} of {label} {}", ended(*exit))]
    SqlFailed { label: String, program: String, database: String, exit: Option<i64>, stderr: String },
    #[error("{path} cannot be read, so that a backup would lack it")]
    Unreadable { path: String, cause: String },
    #[error("{service} could not be {} while its data is copied", held(*how))]
    NotHeld { service: String, how: Hold, cause: String },
    #[error("SQLite could not copy {path}")]
    SqliteNotCopied { path: String, cause: String },
    #[error("the SQLite database {path} in the backup is not sound")]
    SqliteUnsound { path: String, cause: String },
    #[error("there is no space left for the backup in {}", repo.display())]
    DiskFull { repo: PathBuf },
    #[error("the backup repository {} is damaged", repo.display())]
    Damaged { repo: PathBuf, findings: Vec<String> },
    #[error("the backup would have lacked {missing} of {expected} files")]
    Incomplete { expected: u64, missing: u64 },
    #[error("the backup repository failed to {action}")]
    Repository { action: String, cause: String },
    #[error("{what} is not in the backup repository")]
    NotFound { what: String },
    #[error("the request cannot be carried out: {what}")]
    Invalid { what: String },
    #[error("{} is not empty", to.display())]
    TargetNotEmpty { to: PathBuf },
    #[error("{} cannot be written", path.display())]
    Target { path: PathBuf, cause: String },
    #[error("what was written to {} is not what the backup holds", folder.display())]
    Differs { folder: PathBuf, findings: Vec<String> },
    #[error("backups cannot be kept at {place}")]
    Elsewhere { place: String, cause: String },
    #[error("the backups that were at {place} are not there any more")]
    ElsewhereGone { place: String },
    #[error("the backup repository at {place} opens with another key")]
    ElsewhereForeign { place: String },
    #[error("{missing} of {wanted} backups could not be copied to {place}")]
    CopyIncomplete { place: String, wanted: u64, missing: u64, causes: Vec<String> },
    #[error("the backup process {} cannot be started", program.display())]
    ChildNotStarted { program: PathBuf, cause: String },
    #[error("the backup process ended without a result: {status}")]
    ChildDied { status: String, stderr: String },
}

fn held(how: Hold) -> &'static str {
    match how {
        Hold::Pause => "paused",
        Hold::Stop => "stopped",
    }
}

fn ended(exit: Option<i64>) -> String {
    match exit {
        Some(code) => format!("ended with exit code {code}"),
        None => "did not run to its end".to_owned(),
    }
}

impl BackupError {
    /// The error as a person is told it.
    pub fn failure(&self) -> Failure {
        let failure = Failure::new(self.kind(), self.to_string());
        let failure = self.causes().into_iter().fold(failure, Failure::cause);
        self.hints().into_iter().fold(failure, Failure::hint)
    }

    fn kind(&self) -> FailureKind {
        match self {
            Self::RepositoryLocked { .. } => FailureKind::Busy,
            Self::NotFound { .. } => FailureKind::NotFound,
            _ => FailureKind::Backup,
        }
    }

    fn causes(&self) -> Vec<String> {
        match self {
            Self::KeyMissing { cause, .. }
            | Self::Engine { cause, .. }
            | Self::DumpUnchecked { cause, .. }
            | Self::DumpNotRestored { cause, .. }
            | Self::Unreadable { cause, .. }
            | Self::NotHeld { cause, .. }
            | Self::SqliteNotCopied { cause, .. }
            | Self::SqliteUnsound { cause, .. }
            | Self::Repository { cause, .. }
            | Self::Target { cause, .. }
            | Self::Elsewhere { cause, .. }
            | Self::ChildNotStarted { cause, .. } => vec![cause.clone()],
            Self::CopyIncomplete { causes, .. } => causes.clone(),
            Self::DumpFailed { stderr, .. }
            | Self::SqlFailed { stderr, .. }
            | Self::ChildDied { stderr, .. } => {
                if stderr.is_empty() {
                    Vec::new()
                } else {
                    vec![stderr.clone()]
                }
            }
            Self::Damaged { findings, .. } | Self::Differs { findings, .. } => findings.clone(),
            Self::RepositoryLocked { .. }
            | Self::RepositoryMissing { .. }
            | Self::KeyExposed { .. }
            | Self::DiskFull { .. }
            | Self::ElsewhereGone { .. }
            | Self::ElsewhereForeign { .. }
            | Self::Incomplete { .. }
            | Self::NotFound { .. }
            | Self::Invalid { .. }
            | Self::TargetNotEmpty { .. } => Vec::new(),
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::RepositoryLocked { .. } => "wait until the other backup has ended, then try again".to_owned(),
            Self::RepositoryMissing { repo } => format!(
                "if there have been backups, put the repository back at {}; move its key away to begin a new one",
                repo.display()
            ),
            Self::KeyMissing { key_file, .. } => format!(
                "put the key back at {}; without it and without the recovery key the backups cannot be opened",
                key_file.display()
            ),
            Self::KeyExposed { key_file, .. } => format!("run: chmod 600 {}", key_file.display()),
            Self::Engine { .. } => "see that Docker runs: docker info".to_owned(),
            Self::DumpFailed { .. } => "see that the database's container runs, that its section in wharf.toml \
                ([[postgres]], [[mysql]], [[redis]], [[dump]]) names it as it is, and that its password is the one of the container's \
                environment, or, where it lies outside the stack, that its server can be reached and that its URL names it as \
                it is; a database of the stack that is too broken to dump can be copied with --cold-backup"
                .to_owned(),
            Self::DumpUnchecked { .. } => {
                "try again; if it fails again, check the server's memory and disk".to_owned()
            }
            Self::DumpNotRestored { .. } => "what is live was not touched; read what the text says, and look at the \
                dump itself: wharf backup restore ID --to DIR"
                .to_owned(),
            Self::SqlFailed { .. } => {
                "see that the database's container runs, and that its user may do what the text names".to_owned()
            }
            Self::NotHeld { .. } => "see that Docker runs, or let the container go on while it is copied: mode = \"live\" \
                under [[volume]] in wharf.toml"
                .to_owned(),
            Self::SqliteNotCopied { .. } => "set mode = \"pause\" for it under [[volume]] in wharf.toml: then it is copied \
                as it lies on the disk, while nobody writes"
                .to_owned(),
            Self::SqliteUnsound { .. } => "look at the live one: sqlite3 FILE 'PRAGMA integrity_check'; an earlier backup \
                may have a sound one: wharf backup verify ID"
                .to_owned(),
            Self::Unreadable { path, .. } => format!(
                "let the agent read {path}, or move it out of the app directory"
            ),
            Self::DiskFull { repo } => {
                format!("make room on the disk that holds {}: df -h", repo.display())
            }
            Self::Damaged { .. } => "keep the repository as it is, check the disk, and move the repository and its \
                key away so that new backups begin in a new one"
                .to_owned(),
            Self::Incomplete { .. } | Self::ChildDied { .. } => {
                "try again; if it fails again, report it with this text".to_owned()
            }
            Self::Repository { .. } => "see that the disk is healthy and the repository's files are there".to_owned(),
            Self::NotFound { .. } => "list the backups: wharf backup list".to_owned(),
            Self::Invalid { .. } => "change what the text names".to_owned(),
            Self::TargetNotEmpty { .. } => "name a folder that is empty or does not exist".to_owned(),
            Self::Target { .. } => "see that the disk has room and the agent may write there".to_owned(),
            Self::Differs { .. } => "what is live was not touched; see that the disk is healthy, then try again, or take \
                another backup"
                .to_owned(),
            Self::Elsewhere { .. } => "see [[offsite]] in /etc/wharf/wharfd.toml; the backups on the server itself are \
                not affected"
                .to_owned(),
            Self::ElsewhereGone { place } => format!(
                "is its disk mounted, is it the right bucket? To begin anew there, move the key of {place} away; \
                docs/BACKUPS.md says where it is"
            ),
            Self::ElsewhereForeign { .. } => "give the copies another place, or use the recovery key of the app whose \
                backups they are"
                .to_owned(),
            Self::CopyIncomplete { .. } => "what was copied is whole; the next copy goes on with the rest. A damaged \
                backup on the server shows with: wharf backup verify"
                .to_owned(),
            Self::ChildNotStarted { .. } => "see that the agent's program is whole, then restart it".to_owned(),
        };
        vec![hint]
    }

    pub(crate) fn unreadable(path: &Path, cause: &dyn std::fmt::Display) -> Self {
        Self::Unreadable { path: path.display().to_string(), cause: cause.to_string() }
    }

    /// An error of rustic's, by what was being done.
    pub(crate) fn rustic(action: &str) -> impl FnOnce(Box<rustic_core::RusticError>) -> Self {
        let action = action.to_owned();
        move |error| Self::Repository { action, cause: error.display_log() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_error() -> Vec<BackupError> {
        use BackupError as E;
        let (repo, key_file) = (PathBuf::from("/srv/repo"), PathBuf::from("/srv/key"));
        let cause = || "the cause".to_owned();
        vec![
            E::RepositoryLocked { repo: repo.clone() },
            E::RepositoryMissing { repo: repo.clone() },
            E::KeyMissing { key_file: key_file.clone(), cause: cause() },
            E::KeyExposed { key_file, mode: 0o644 },
            E::Engine { action: "answer".into(), cause: cause() },
            E::DumpFailed {
                label: "db/fitness".into(),
                command: "pg_dump".into(),
                exit: Some(137),
                stderr: cause(),
            },
            E::DumpFailed {
                label: "db/fitness".into(),
                command: "psql".into(),
                exit: None,
                stderr: String::new(),
            },
            E::DumpUnchecked { label: "db/fitness".into(), cause: cause() },
            E::DumpNotRestored { label: "db/fitness".into(), cause: cause() },
            E::SqlFailed {
                label: "db".into(),
                program: "psql".into(),
                database: "fitness".into(),
                exit: Some(3),
                stderr: cause(),
            },
            E::Unreadable { path: "/srv/app/sealed".into(), cause: cause() },
            E::NotHeld { service: "web".into(), how: Hold::Pause, cause: cause() },
            E::SqliteNotCopied { path: "/srv/app/app.db".into(), cause: cause() },
            E::SqliteUnsound { path: "/volumes/data/app.db".into(), cause: cause() },
            E::DiskFull { repo: repo.clone() },
            E::Damaged { repo: repo.clone(), findings: vec!["one".into(), "two".into()] },
            E::Incomplete { expected: 10, missing: 2 },
            E::Repository { action: "read its index".into(), cause: cause() },
            E::NotFound { what: "a backup 1234abcd".into() },
            E::Invalid { what: "there is nothing to back up".into() },
            E::TargetNotEmpty { to: repo.clone() },
            E::Target { path: repo.clone(), cause: cause() },
            E::Differs { folder: repo.clone(), findings: vec!["/srv/repo/a: it has another size".into()] },
            E::Elsewhere { place: "sftp://u@h/w".into(), cause: cause() },
            E::ElsewhereGone { place: "/mnt/disk/w".into() },
            E::ElsewhereForeign { place: "/mnt/disk/w".into() },
            E::CopyIncomplete { place: "/mnt/disk/w".into(), wanted: 3, missing: 1, causes: vec![cause()] },
            E::ChildNotStarted { program: repo, cause: cause() },
            E::ChildDied { status: "signal: 9 (SIGKILL)".into(), stderr: cause() },
        ]
    }

    #[test]
    fn every_error_says_what_why_and_what_next() {
        let mut rendered = String::new();
        for error in every_error() {
            let failure = error.failure();
            rendered += &format!("{:?}: {}\n", failure.kind, failure.message);
            rendered.extend(failure.causes.iter().map(|cause| format!("  because {cause}\n")));
            rendered.extend(failure.hints.iter().map(|hint| format!("  hint: {hint}\n")));
        }
        insta::assert_snapshot!(rendered);
    }

    #[test]
    fn errors_survive_the_way_to_the_agent() {
        for error in every_error() {
            let json = serde_json::to_string(&error).unwrap();
            assert_eq!(serde_json::from_str::<BackupError>(&json).unwrap(), error);
        }
    }
}
