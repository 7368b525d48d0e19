//! The lock of an app: one job at a time, held by whoever still acts for it.
//!
//! **Invariants**
//! - It is an `flock`, which belongs to the open file and not to a process: a child that inherited the file keeps the
//!   lock when the agent is gone, and the kernel frees it when the last of them ends. Nothing has to be cleaned up.
//! - It is never unlocked by hand. That would take it from the children too; only closing the file gives up a share.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two tries while somebody else holds it. (A blocking `flock` cannot be given up.)
const POLL: Duration = Duration::from_millis(50);

/// A lock that is held until this and every duplicate of it are gone.
#[derive(Debug)]
pub struct AppLock {
    file: File,
    path: PathBuf,
}

/// Why a lock was not got.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another job holds {}; wait for it (`wharf jobs`) or give --lock-wait", path.display())]
    Held { path: PathBuf },
    #[error("the lock file {} cannot be used; see that its folder exists and is the agent's", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl AppLock {
    /// Takes the lock if it is free.
    ///
    /// # Errors
    /// [`LockError::Held`] when it is not.
    pub fn try_acquire(path: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::File { path: path.to_path_buf(), source };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file, path: path.to_path_buf() }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held { path: path.to_path_buf() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Takes the lock, waiting for it at most `limit`. Dropping the future gives up.
    ///
    /// # Errors
    /// [`LockError::Held`] when the time is over.
    pub async fn acquire(path: &Path, limit: Duration) -> Result<Self, LockError> {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            match Self::try_acquire(path) {
                Err(LockError::Held { .. }) if tokio::time::Instant::now() + POLL <= deadline => {
                    tokio::time::sleep(POLL).await;
                }
                result => return result,
            }
        }
    }

    /// A share of the lock, for a child to inherit.
    ///
    /// # Errors
    /// The process has no file descriptors left.
    pub fn share(&self) -> Result<OwnedFd, LockError> {
        let share = self.file.try_clone();
        share.map(OwnedFd::from).map_err(|source| LockError::File { path: self.path.clone(), source })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_keeps_the_lock_when_the_lock_itself_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = AppLock::try_acquire(&path).unwrap();
        let share = lock.share().unwrap();
        drop(lock);
        assert!(matches!(AppLock::try_acquire(&path), Err(LockError::Held { .. })));
        drop(share);
        AppLock::try_acquire(&path).unwrap();
    }

    #[tokio::test]
    async fn waiting_ends_with_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = AppLock::try_acquire(&path).unwrap();
        assert!(AppLock::acquire(&path, Duration::ZERO).await.is_err());
        let waiting = tokio::spawn({
            let path = path.clone();
            async move { AppLock::acquire(&path, Duration::from_secs(20)).await.map(drop) }
        });
        drop(held);
        waiting.await.unwrap().unwrap();
    }
}
