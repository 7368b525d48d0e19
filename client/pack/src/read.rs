//! Reading files that other programs may be writing.
//!
//! **Invariant**: content is given only where the same file, with the same size and times, stood at the path before and
//! after it was read.

use crate::{PackError, sys::Stamp};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;
use wharf_proto::RelPath;

/// How often a file is read before it is given up.
const TRIES: u32 = 4;
/// Times the number of tries so far: a save that was under way is over by then.
const PAUSE: Duration = Duration::from_millis(25);

/// How one try to read a file can end without an error.
pub(crate) enum Try<T> {
    Read(T),
    /// It changed meanwhile, or was shorter or longer than it said.
    Changed,
}

/// Reads the file at `path` with `read`, which gets the file and its size, until it holds still.
pub(crate) fn steady<T>(
    root: &Path,
    path: &RelPath,
    mut read: impl FnMut(&mut File, u64) -> Result<Try<T>, PackError>,
) -> Result<(Stamp, T), PackError> {
    let on_disk = path.below(root);
    for tries in 1..=TRIES {
        if let Try::Read(done) = once(&on_disk, path, &mut read)? {
            return Ok(done);
        }
        if tries < TRIES {
            std::thread::sleep(PAUSE * tries);
        }
    }
    Err(PackError::Unstable { path: path.clone(), tries: TRIES })
}

fn once<T>(
    on_disk: &Path,
    path: &RelPath,
    read: &mut impl FnMut(&mut File, u64) -> Result<Try<T>, PackError>,
) -> Result<Try<(Stamp, T)>, PackError> {
    let failed = |source| failure(path, source);
    let listed = fs::symlink_metadata(on_disk).map_err(failed)?;
    if !listed.is_file() {
        return Ok(Try::Changed);
    }
    let mut file = File::open(on_disk).map_err(failed)?;
    let before = Stamp::of(&file.metadata().map_err(failed)?);
    if before != Stamp::of(&listed) {
        return Ok(Try::Changed);
    }
    let Try::Read(value) = read(&mut file, before.size_bytes)? else { return Ok(Try::Changed) };
    let after = Stamp::of(&file.metadata().map_err(failed)?);
    // A file that was replaced by another keeps its own stamp: only the path tells.
    let still_listed = match fs::symlink_metadata(on_disk) {
        Ok(listed) => Stamp::of(&listed) == before,
        Err(_) => false,
    };
    Ok(if after == before && still_listed { Try::Read((before, value)) } else { Try::Changed })
}

/// Why a file that was there cannot be read.
pub(crate) fn failure(path: &RelPath, source: io::Error) -> PackError {
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => PackError::Gone { path: path.clone() },
        _ => PackError::Read { path: path.clone(), source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn whole(path: &RelPath, file: &mut File) -> Result<Try<String>, PackError> {
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|source| failure(path, source))?;
        Ok(Try::Read(text))
    }

    /// Reads `a`, and lets `meddle` at it after each of the first `times` tries.
    fn read_while(times: u32, meddle: impl Fn(&Path)) -> Result<String, PackError> {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a"), "before").unwrap();
        let path: RelPath = "a".parse().unwrap();
        let mut tries = 0;
        steady(root.path(), &path, |file, _| {
            let text = whole(&path, file);
            tries += 1;
            if tries <= times {
                meddle(&root.path().join("a"));
            }
            text
        })
        .map(|(_, text)| text)
    }

    #[test]
    fn a_file_that_changed_while_it_was_read_is_read_again() {
        let append = |path: &Path| fs::write(path, "after it").unwrap();
        assert_eq!(read_while(0, append).unwrap(), "before");
        assert_eq!(read_while(1, append).unwrap(), "after it");
        assert_eq!(read_while(3, append).unwrap(), "after it");
    }

    #[test]
    fn a_file_that_never_holds_still_is_given_up() {
        let error = read_while(4, |path| fs::write(path, "x").unwrap()).unwrap_err();
        assert!(matches!(error, PackError::Unstable { tries: 4, .. }), "{error:?}");
    }

    #[test]
    fn a_file_replaced_by_one_of_the_same_size_and_time_is_read_again() {
        let replace = |path: &Path| {
            let times = fs::metadata(path).unwrap().modified().unwrap();
            let other = path.with_file_name("other");
            fs::write(&other, "AFTER!").unwrap();
            File::options().append(true).open(&other).unwrap().set_modified(times).unwrap();
            fs::rename(&other, path).unwrap();
        };
        assert_eq!(read_while(1, replace).unwrap(), "AFTER!");
    }

    #[test]
    fn a_file_that_is_gone_is_named() {
        let error = read_while(1, |path| fs::remove_file(path).unwrap()).unwrap_err();
        assert!(matches!(&error, PackError::Gone { path } if path.as_bytes() == b"a"), "{error:?}");
    }
}
