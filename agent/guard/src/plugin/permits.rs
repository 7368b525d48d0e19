//! Permits to delete one volume, once: how `wharfd volume delete`, having checked everything, gets through the plugin.
//!
//! **Invariants**
//! - A permit is an empty file that bears the volume's name, in a folder that only root can look into, and that root made less than
//!   a minute ago. Looking at one takes it away, whether it is still good or not.
//! - It is worth what the folder is worth: root can make one by hand. The guard keeps from mistakes, not from root's intent.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Where they are, unless something else was said.
pub const FOLDER: &str = "/run/wharf-guard/permits";

const LASTS: Duration = Duration::from_secs(60);

/// A permit that nobody has used yet goes when this is dropped.
#[derive(Debug)]
pub struct Permit(PathBuf);

impl Permit {
    /// Permits one deletion of a volume; `None` where there is no such folder: no plugin was ever there to ask.
    ///
    /// # Errors
    /// The folder is not root's alone, or the disk fails.
    pub fn give(folder: &Path, volume: &str) -> io::Result<Option<Self>> {
        if folder.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        check(folder)?;
        let path = folder.join(volume);
        let _ = fs::remove_file(&path);
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Some(Self(path)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes the folder, where it is not there yet.
pub fn prepare(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    check(folder)
}

/// Whether there is a permit, which is then used up. `volume` is a name that was checked to be one.
pub fn take(folder: &Path, volume: &str) -> io::Result<bool> {
    check(folder)?;
    let path = folder.join(volume);
    let file = match OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    // Of two who ask at once, one removes it.
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        removed => removed?,
    }
    good(&file, SystemTime::now())
}

fn good(file: &File, now: SystemTime) -> io::Result<bool> {
    let meta = file.metadata()?;
    let age = now.duration_since(meta.modified()?);
    Ok(meta.is_file() && meta.uid() == nix::unistd::geteuid().as_raw() && age.is_ok_and(|age| age < LASTS))
}

/// Whoever else could write there could permit.
fn check(folder: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(folder)?;
    if meta.is_dir() && meta.uid() == nix::unistd::geteuid().as_raw() && meta.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{} must be a folder that only root may look into (mode 0700)",
        folder.display()
    )))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_permit_is_good_for_one_volume_once_and_for_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let permits = folder.path().join("a/permits");
        assert!(Permit::give(&permits, "v").unwrap().is_none());
        prepare(&permits).unwrap();
        assert!(!take(&permits, "v").unwrap());
        let permit = Permit::give(&permits, "v").unwrap().unwrap();
        assert!(!take(&permits, "w").unwrap());
        assert!(take(&permits, "v").unwrap());
        assert!(!take(&permits, "v").unwrap());
        drop(permit);
        // One that was not used goes with the command that asked for it.
        drop(Permit::give(&permits, "v").unwrap());
        assert!(!take(&permits, "v").unwrap());
        // An old one is of no use, and one from the future neither.
        let file = File::create(permits.join("v")).unwrap();
        let made = file.metadata().unwrap().modified().unwrap();
        for (at, expected) in [(0, true), (59, true), (60, false), (7200, false)] {
            assert_eq!(good(&file, made + Duration::from_secs(at)).unwrap(), expected, "{at}");
        }
        assert!(!good(&file, made - Duration::from_secs(1)).unwrap());
    }

    #[test]
    fn a_folder_that_others_can_reach_permits_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let permits = folder.path().join("permits");
        prepare(&permits).unwrap();
        fs::write(permits.join("v"), "").unwrap();
        fs::set_permissions(&permits, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(
            take(&permits, "v").is_err()
                && Permit::give(&permits, "v").is_err()
                && prepare(&permits).is_err()
        );
        fs::set_permissions(&permits, fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", permits.join("linked")).unwrap();
        assert!(take(&permits, "linked").is_err());
        assert!(take(&permits, "v").unwrap());
    }
}
