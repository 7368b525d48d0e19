//! Two folders that take each other's place: what is live, and what was restored beside it.
//!
//! Why so: `renameat2` with `RENAME_EXCHANGE` is one act of the file system. Whoever dies at whatever moment, each of the two
//! names leads to one of the two trees, whole. Entries that were moved one by one would need a journal, and a time in which
//! the folder is neither. A volume cannot be renamed by Docker, but what it holds is one folder in the engine's store, and
//! that changes places with the one of a new, empty volume: what was live is a volume of its own from then on, which
//! Docker lists and which nobody deletes by accident. The live volume stays the one that Compose knows, so that no
//! container is made anew.
//!
//! **Invariants**
//! - Which is which is told by inode numbers that were written down before, never by names.
//! - `staged` never holds anything but what the job wrote: what is laid there was recognised first. It alone is removed.

use super::undo::Exchange;
use rustix::fs::{CWD, RenameFlags, renameat_with, syncfs};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use wharf_proto::{Failure, FailureKind};

/// As Docker makes the folder of a volume.
const VOLUME_MODE: u32 = 0o755;

/// Which of the two is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Old,
    New,
}

/// Why two folders did not take each other's place.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    #[error("{} is neither what was live nor what was restored", path.display())]
    Stranger { path: PathBuf },
    #[error("cannot {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl ExchangeError {
    /// As a person is told it.
    pub fn failure(&self) -> Failure {
        let failure = Failure::from_error(FailureKind::Environment, self);
        match self {
            Self::Stranger { .. } => {
                failure.hint("somebody else has renamed or replaced the folder meanwhile")
            }
            Self::Io { .. } => {
                failure.hint("see that the file system is healthy and can exchange two folders")
            }
        }
    }
}

type Done = Result<(), ExchangeError>;

/// Which of the two is live now.
///
/// # Errors
/// Neither.
pub fn side(exchange: &Exchange) -> Result<Side, ExchangeError> {
    itself(&exchange.live)?;
    match inode(&exchange.live)? {
        Some(inode) if inode == exchange.new => Ok(Side::New),
        Some(inode) if inode == exchange.old => Ok(Side::Old),
        _ => Err(ExchangeError::Stranger { path: exchange.live.clone() }),
    }
}

/// Makes the restored folder live, and keeps what was live. Done twice, it is done once.
///
/// # Errors
/// What is live is what it was.
pub fn forwards(exchange: &Exchange) -> Done {
    if side(exchange)? == Side::New {
        return Ok(());
    }
    let Exchange { live, staged, kept, .. } = exchange;
    if inode(staged)? == Some(exchange.new) {
        // Onto the empty folder of a new volume this goes; onto anything that holds something it does not.
        std::fs::rename(staged, kept).map_err(io_error("move the restored folder to", kept))?;
    }
    if inode(kept)? != Some(exchange.new) {
        return Err(ExchangeError::Stranger { path: kept.clone() });
    }
    crate::crash::point("swap.laid");
    // All of it is on the disk before it is live.
    let restored = File::open(kept).map_err(io_error("open", kept))?;
    syncfs(restored).map_err(|e| io_error("write to the disk", kept)(e.into()))?;
    trade(live, kept)
}

/// Makes what was live before live again, and lays what was restored where it is cleared away. Done twice, it is done once.
///
/// # Errors
/// One of the two is not where it belongs.
pub fn backwards(exchange: &Exchange) -> Done {
    let Exchange { live, staged, kept, .. } = exchange;
    if side(exchange)? == Side::New {
        if inode(kept)? != Some(exchange.old) {
            return Err(ExchangeError::Stranger { path: kept.clone() });
        }
        trade(live, kept)?;
    }
    crate::crash::point("put_back.exchanged");
    if inode(kept)? == Some(exchange.new) {
        std::fs::rename(kept, staged).map_err(io_error("move the restored folder to", staged))?;
    }
    let is_empty_volume = exchange.volume.is_some() && kept.parent().is_some_and(Path::is_dir);
    if is_empty_volume && inode(kept)?.is_none() {
        // The engine expects a folder there.
        DirBuilder::new().mode(VOLUME_MODE).create(kept).map_err(io_error("make", kept))?;
    }
    Ok(())
}

/// Whether folders can be exchanged in the file system of `staged`, tried with it and an empty one, before anybody is stopped.
///
/// # Errors
/// They cannot.
pub fn try_out(staged: &Path) -> Done {
    let other = trial(staged);
    DirBuilder::new().mode(0o700).create(&other).map_err(io_error("make", &other))?;
    let tried = trade(staged, &other).and_then(|()| trade(staged, &other));
    // The empty one alone can be removed so.
    let removed = std::fs::remove_dir(&other).map_err(io_error("remove", &other));
    tried.and(removed)
}

/// Looks whether a path leads to a folder without a symbolic link: a container may have put one into what it has mounted, so
/// that it would lead to something else of the server's.
///
/// # Errors
/// It does not.
pub fn itself(path: &Path) -> Done {
    if path.canonicalize().ok().as_deref() == Some(path) {
        return Ok(());
    }
    Err(ExchangeError::Stranger { path: path.to_owned() })
}

/// What [`try_out`] makes beside `staged`.
pub fn trial(staged: &Path) -> PathBuf {
    let mut other = staged.as_os_str().to_owned();
    other.push(".try");
    other.into()
}

/// The inode number of a folder; `None` where there is nothing.
///
/// # Errors
/// It cannot be looked at, or is no folder.
pub fn inode(path: &Path) -> Result<Option<u64>, ExchangeError> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => Ok(Some(found.ino())),
        Ok(_) => Err(ExchangeError::Stranger { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("look at", path)(error)),
    }
}

fn trade(one: &Path, other: &Path) -> Done {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)
        .map_err(|e| io_error("exchange folders at", one)(e.into()))?;
    for path in [one, other] {
        let above = path.parent().unwrap_or(path);
        File::open(above)
            .and_then(|folder| folder.sync_all())
            .map_err(io_error("write to the disk", above))?;
    }
    Ok(())
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ExchangeError + use<> {
    let path = path.to_owned();
    move |source| ExchangeError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A live folder and a restored one, each with one file, as they lie before the exchange.
    fn two(folder: &Path, volume: bool) -> Exchange {
        let at = |name: &str| folder.join(name);
        fs::create_dir(at("live")).unwrap();
        fs::write(at("live/file"), "old").unwrap();
        fs::create_dir(at("staged")).unwrap();
        fs::write(at("staged/file"), "new").unwrap();
        if volume {
            fs::create_dir(at("kept")).unwrap();
        }
        Exchange {
            label: "data".into(),
            old: inode(&at("live")).unwrap().unwrap(),
            new: inode(&at("staged")).unwrap().unwrap(),
            live: at("live"),
            staged: at("staged"),
            kept: at("kept"),
            volume: volume.then(|| "kept".into()),
            redis: None,
            mysql: None,
        }
    }

    fn read(folder: &Path) -> Option<String> {
        fs::read_to_string(folder.join("file")).ok()
    }

    #[test]
    fn forwards_and_backwards_are_whole_and_can_be_done_twice() {
        for volume in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let exchange = two(folder.path(), volume);
            try_out(&exchange.staged).unwrap();
            assert_eq!(side(&exchange).unwrap(), Side::Old);
            for _ in 0..2 {
                forwards(&exchange).unwrap();
                assert_eq!(side(&exchange).unwrap(), Side::New);
                assert_eq!(read(&exchange.live).as_deref(), Some("new"));
                assert_eq!(read(&exchange.kept).as_deref(), Some("old"));
            }
            for _ in 0..2 {
                backwards(&exchange).unwrap();
                assert_eq!(side(&exchange).unwrap(), Side::Old);
                assert_eq!(read(&exchange.live).as_deref(), Some("old"));
                assert_eq!(read(&exchange.staged).as_deref(), Some("new"));
                assert_eq!(exchange.kept.is_dir(), volume, "an empty volume keeps its folder");
            }
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), if volume { 3 } else { 2 });
        }
    }

    #[test]
    fn what_was_laid_and_not_exchanged_goes_either_way() {
        for on in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let exchange = two(folder.path(), false);
            fs::rename(&exchange.staged, &exchange.kept).unwrap();
            if on { forwards(&exchange) } else { backwards(&exchange) }.unwrap();
            assert_eq!(read(&exchange.live).as_deref(), Some(if on { "new" } else { "old" }));
            assert_eq!(read(&exchange.staged).as_deref(), (!on).then_some("new"));
        }
    }

    #[test]
    fn a_link_on_the_way_to_what_is_live_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        fs::create_dir(&other).unwrap();
        let exchange = two(&other, false);
        let by_link = folder.path().join("link");
        std::os::unix::fs::symlink(&other, &by_link).unwrap();
        side(&Exchange { live: by_link.join("live"), ..exchange.clone() }).unwrap_err();
        assert_eq!(side(&exchange).unwrap(), Side::Old);
    }

    #[test]
    fn what_nobody_knows_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let exchange = two(folder.path(), false);
        // Somebody has put a folder where the old one is to be kept.
        fs::create_dir(&exchange.kept).unwrap();
        fs::write(exchange.kept.join("file"), "another's").unwrap();
        forwards(&exchange).unwrap_err();
        assert_eq!(read(&exchange.live).as_deref(), Some("old"));
        assert_eq!(read(&exchange.kept).as_deref(), Some("another's"));
        fs::rename(&exchange.live, folder.path().join("away")).unwrap();
        fs::create_dir(&exchange.live).unwrap();
        side(&exchange).unwrap_err();
        backwards(&exchange).unwrap_err();
    }
}
