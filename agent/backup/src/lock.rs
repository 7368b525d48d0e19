//! The lock on a repository: one process at a time, and it dies with its process.

use crate::BackupError;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a repository's other users are waited for. A look at its list takes moments and must make no backup fail; a
/// backup takes longer than this, and is not waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const TRY_EVERY: Duration = Duration::from_millis(50);

/// Held while a process works on a repository.
#[derive(Debug)]
pub(crate) struct RepositoryLock {
    _file: Flock<File>,
}

impl RepositoryLock {
    /// Takes the lock, waiting for whoever has it, but not for ever.
    pub(crate) fn take_within(repo: &Path, patience: Duration) -> Result<Self, BackupError> {
        within(patience, || Self::take(repo))
    }

    /// Takes the lock, without waiting.
    pub(crate) fn take(repo: &Path) -> Result<Self, BackupError> {
        let file = lock_file(repo, &lock_path(repo), FlockArg::LockExclusiveNonblock)?;
        Ok(Self { _file: file })
    }
}

/// Held while a repository is copied from: backups are added beside it, but nothing is pruned.
#[derive(Debug)]
pub(crate) struct ReadingLock {
    _file: Flock<File>,
}

impl ReadingLock {
    /// Takes it together with other readers, without waiting.
    pub(crate) fn share(repo: &Path) -> Result<Self, BackupError> {
        let file = lock_file(repo, &reading_path(repo), FlockArg::LockSharedNonblock)?;
        Ok(Self { _file: file })
    }

    /// Takes it alone: nobody reads. Who does is waited for, but not for ever.
    pub(crate) fn alone_within(repo: &Path, patience: Duration) -> Result<Self, BackupError> {
        let take = || lock_file(repo, &reading_path(repo), FlockArg::LockExclusiveNonblock);
        Ok(Self { _file: within(patience, take)? })
    }
}

/// Tries until it is free, or for as long as the patience lasts.
fn within<T>(patience: Duration, mut take: impl FnMut() -> Result<T, BackupError>) -> Result<T, BackupError> {
    let until = Instant::now() + patience;
    loop {
        match take() {
            Err(BackupError::RepositoryLocked { .. }) if Instant::now() < until => {
                std::thread::sleep(TRY_EVERY);
            }
            taken => return taken,
        }
    }
}

fn lock_file(repo: &Path, path: &Path, how: FlockArg) -> Result<Flock<File>, BackupError> {
    let failed = |cause: &dyn std::fmt::Display| BackupError::Target {
        path: path.to_owned(),
        cause: cause.to_string(),
    };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| failed(&error))?;
    match Flock::lock(file, how) {
        Ok(file) => Ok(file),
        Err((_, Errno::EWOULDBLOCK)) => Err(BackupError::RepositoryLocked { repo: repo.to_owned() }),
        Err((_, errno)) => Err(failed(&errno)),
    }
}

/// The lock lies beside the repository, so that it can be held before there is one.
pub(crate) fn lock_path(repo: &Path) -> PathBuf {
    let mut path = repo.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

/// The readers' lock.
pub(crate) fn reading_path(repo: &Path) -> PathBuf {
    let mut path = repo.as_os_str().to_owned();
    path.push(".reading");
    path.into()
}

/// Removes what writes that were cut short left in the repository. Only the holder of the lock may do this.
pub(crate) fn sweep(repo: &Path, _lock: &RepositoryLock) -> usize {
    walkdir::WalkDir::new(repo)
        .max_depth(3)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| {
            entry.file_type().is_file() && entry.file_name().as_encoded_bytes().ends_with(b"-tmp-")
        })
        .filter(|entry| std::fs::remove_file(entry.path()).is_ok())
        .count()
}

/// Makes the entries of a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("repo");
        let first = RepositoryLock::take(&repo).unwrap();
        assert_eq!(
            RepositoryLock::take(&repo).unwrap_err(),
            BackupError::RepositoryLocked { repo: repo.clone() }
        );
        drop(first);
        RepositoryLock::take(&repo).unwrap();
    }

    #[test]
    fn who_has_the_lock_for_a_moment_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("repo");
        let first = RepositoryLock::take(&repo).unwrap();
        let waiting = std::thread::spawn({
            let repo = repo.clone();
            move || RepositoryLock::take_within(&repo, PATIENCE).map(drop)
        });
        drop(first);
        waiting.join().unwrap().unwrap();
        let _held = RepositoryLock::take(&repo).unwrap();
        assert_eq!(
            RepositoryLock::take_within(&repo, Duration::ZERO).unwrap_err(),
            BackupError::RepositoryLocked { repo: repo.clone() }
        );
    }

    #[test]
    fn nothing_is_dropped_while_somebody_reads() {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("repo");
        let (first, second) = (ReadingLock::share(&repo).unwrap(), ReadingLock::share(&repo).unwrap());
        drop(first);
        assert!(ReadingLock::alone_within(&repo, Duration::ZERO).is_err());
        let dropping = std::thread::spawn({
            let repo = repo.clone();
            move || ReadingLock::alone_within(&repo, PATIENCE).map(drop)
        });
        drop(second);
        dropping.join().unwrap().unwrap();
    }

    #[test]
    fn the_sweep_takes_unfinished_writes_only() {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("repo");
        std::fs::create_dir_all(repo.join("data/ab")).unwrap();
        for name in ["data/ab/abcd", "data/ab/abce-tmp-", "config-tmp-", "config"] {
            std::fs::write(repo.join(name), name).unwrap();
        }
        let lock = RepositoryLock::take(&repo).unwrap();
        assert_eq!(sweep(&repo, &lock), 2);
        assert!(repo.join("config").exists() && repo.join("data/ab/abcd").exists());
    }
}
