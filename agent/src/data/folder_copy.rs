//! A copy of a folder beside it, as it is: a database's, whose server has stopped.
//!
//! Extended attributes, hard links and holes are not kept: a server's files have none, but for labels of SELinux, with which
//! the throwaway server cannot read them, and pages that are compressed, which take their whole size.
//!
//! **Invariant**: the source is only read. Nothing is followed or copied that leads out of it.

use rustix::fs::{AtFlags, CWD, OFlags, Timespec, Timestamps, UTIME_OMIT, utimensat};
use std::fs::{DirBuilder, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// What a server's own socket is called where it lies in the folder; it makes it anew.
const SOCKET: &str = "sock";

/// Why a folder is not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("{} leads out of its folder", path.display())]
    LeadsOut { path: PathBuf },
    #[error("{} is neither a file nor a folder", path.display())]
    Stranger { path: PathBuf },
    #[error("cannot copy {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// How many bytes a copy takes at most. The folder may be in use: what goes meanwhile is left out.
///
/// # Errors
/// It cannot be copied.
pub fn size(folder: &Path) -> Result<u64, CopyError> {
    let mut bytes: u64 = 0;
    for entry in WalkDir::new(folder) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if is_gone(&error) => continue,
            Err(error) => return Err(unreadable(folder, error)),
        };
        if !is_left_out(&entry)? {
            // A folder takes a little, too.
            bytes = bytes.saturating_add(entry.metadata().map_or(0, |found| found.len().max(4096)));
        }
    }
    Ok(bytes)
}

/// Fills `to`, which is there and empty, with what is in `from`: owners, modes and times with it.
///
/// # Errors
/// Something cannot be read, written or copied.
pub fn fill(from: &Path, to: &Path) -> Result<(), CopyError> {
    let mut folders = Vec::new();
    for entry in WalkDir::new(from).follow_links(false) {
        let entry = entry.map_err(|error| unreadable(from, error))?;
        if is_left_out(&entry)? {
            continue;
        }
        let below = entry.path().strip_prefix(from).unwrap_or(entry.path());
        // Joined to nothing, a path would end with a slash.
        let target = if below.as_os_str().is_empty() { to.to_owned() } else { to.join(below) };
        let failed = |source| CopyError::Io { path: entry.path().to_owned(), source };
        let kind = entry.file_type();
        if kind.is_symlink() {
            let link = std::fs::read_link(entry.path()).map_err(failed)?;
            std::os::unix::fs::symlink(link, &target).map_err(failed)?;
            continue;
        }
        if kind.is_dir() {
            let found = entry.path().symlink_metadata().map_err(failed)?;
            if target != to {
                DirBuilder::new().mode(0o700).create(&target).map_err(failed)?;
            }
            folders.push((target, found));
            continue;
        }
        let found = copy_file(entry.path(), &target).map_err(failed)?;
        like(&found, &target).map_err(failed)?;
    }
    // Last, and the innermost first: their times change while they are filled.
    for (folder, found) in folders.iter().rev() {
        like(found, folder).map_err(|source| CopyError::Io { path: folder.clone(), source })?;
    }
    Ok(())
}

/// What the file is. It may not be any more what its folder told: a link is not followed, and a pipe not waited for.
fn copy_file(from: &Path, to: &Path) -> io::Result<Metadata> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut source = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(from)?;
    let found = source.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is no file any more"));
    }
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    // Where the file system can, the two share their blocks.
    io::copy(&mut source, &mut target)?;
    Ok(found)
}

fn like(found: &Metadata, to: &Path) -> io::Result<()> {
    std::os::unix::fs::lchown(to, Some(found.uid()), Some(found.gid()))?;
    std::fs::set_permissions(to, Permissions::from_mode(found.mode() & 0o7777))?;
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: found.mtime(), tv_nsec: found.mtime_nsec() },
    };
    Ok(utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// A socket is left out: it means nothing to another server.
fn is_left_out(entry: &DirEntry) -> Result<bool, CopyError> {
    let (kind, path) = (entry.file_type(), entry.path());
    let is_named = |wanted: &str| path.extension().is_some_and(|extension| extension == wanted);
    // A file `*.isl` tells InnoDB that a table's file lies elsewhere.
    if (kind.is_symlink() && !is_named(SOCKET)) || (kind.is_file() && is_named("isl")) {
        return Err(CopyError::LeadsOut { path: path.to_owned() });
    }
    if kind.is_socket() {
        return Ok(true);
    }
    if kind.is_file() || kind.is_dir() || kind.is_symlink() {
        return Ok(false);
    }
    Err(CopyError::Stranger { path: path.to_owned() })
}

fn is_gone(error: &walkdir::Error) -> bool {
    error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn unreadable(folder: &Path, error: walkdir::Error) -> CopyError {
    let path = error.path().unwrap_or(folder).to_owned();
    CopyError::Io { path, source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::net::UnixListener;

    #[test]
    fn what_is_copied_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("shop")).unwrap();
        fs::write(from.join("shop/items.ibd"), "rows").unwrap();
        fs::set_permissions(from.join("shop/items.ibd"), Permissions::from_mode(0o640)).unwrap();
        fs::set_permissions(from.join("shop"), Permissions::from_mode(0o750)).unwrap();
        std::os::unix::fs::symlink("/run/mysqld/mysqld.sock", from.join("mysql.sock")).unwrap();
        let _listening = UnixListener::bind(from.join("other.sock")).unwrap();
        assert!(size(&from).unwrap() >= 4);
        DirBuilder::new().mode(0o700).create(&to).unwrap();
        fill(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("shop/items.ibd")).unwrap(), "rows");
        for path in ["", "shop", "shop/items.ibd"] {
            let [one, other] = [&from, &to].map(|root| root.join(path).symlink_metadata().unwrap());
            assert_eq!(
                (one.mode(), one.uid(), one.mtime()),
                (other.mode(), other.uid(), other.mtime()),
                "{path}"
            );
        }
        assert!(to.join("mysql.sock").is_symlink() && !to.join("other.sock").exists());
        fill(&from, &to).unwrap_err();
    }

    #[test]
    fn what_leads_out_of_the_folder_is_not_copied() {
        for name in ["shop", "items.isl"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(name);
            if name == "shop" {
                std::os::unix::fs::symlink("/mnt/shop", &path).unwrap();
            } else {
                fs::write(&path, "/mnt/shop/items.ibd").unwrap();
            }
            let refused = size(folder.path()).unwrap_err();
            assert!(matches!(&refused, CopyError::LeadsOut { path: out } if *out == path), "{refused:?}");
        }
    }
}
