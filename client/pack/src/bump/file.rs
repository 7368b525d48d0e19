//! Writing a version, and taking it back.
//!
//! **Invariants**: the file is at every moment the old or the new one, whole, also after a power cut; it is written only
//! where it still holds what was read, and restored only where it still holds what was written.

use super::{BumpError, Located, Version, read_version};
use crate::sys;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// A longer file is taken for a mistake.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// An `app.json` as it was read.
#[derive(Debug, Clone)]
pub struct VersionFile {
    path: PathBuf,
    text: String,
    located: Located,
}

/// A file with its version raised, not yet written.
#[derive(Debug, Clone)]
#[must_use = "nothing is written before `write`"]
pub struct Bumped {
    path: PathBuf,
    before: Vec<u8>,
    after: Vec<u8>,
}

/// Takes back what was written, for a deploy that fails before anything went live.
#[derive(Debug)]
pub struct Restorer {
    path: PathBuf,
    before: Vec<u8>,
    after: Vec<u8>,
}

/// What [`Restorer::restore`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    PutBack,
    /// The file is not as it was written: somebody changed it since, and it is theirs.
    LeftAlone,
}

impl VersionFile {
    /// Reads the file at `path` and finds its version.
    ///
    /// # Errors
    /// A file that cannot be read, or has no version that can.
    pub fn read(path: &Path) -> Result<Self, BumpError> {
        // Through a link: what it leads to is what will be replaced.
        let real =
            fs::canonicalize(path).map_err(|source| BumpError::Read { path: path.to_owned(), source })?;
        let text = String::from_utf8(read_bounded(&real)?)
            .map_err(|_| BumpError::NotUtf8 { path: path.to_owned() })?;
        let located = read_version(&text)
            .map_err(|why| BumpError::File { path: path.to_owned(), why: Box::new(why) })?;
        Ok(Self { path: real, text, located })
    }

    pub fn located(&self) -> &Located {
        &self.located
    }

    pub fn version(&self) -> Version {
        self.located.version
    }

    /// The same file with another version.
    pub fn raised_to(&self, version: Version) -> Bumped {
        let mut after = self.text.clone();
        after.replace_range(self.located.range.clone(), &version.to_string());
        Bumped { path: self.path.clone(), before: self.text.clone().into_bytes(), after: after.into_bytes() }
    }
}

impl Bumped {
    /// The file's new content.
    pub fn content(&self) -> &[u8] {
        &self.after
    }

    /// Writes the file.
    ///
    /// # Errors
    /// [`BumpError::Changed`] where the file is no longer what was read; then, and on every other error, it is as before.
    pub fn write(self) -> Result<Restorer, BumpError> {
        if read_bounded(&self.path)? != self.before {
            return Err(BumpError::Changed { path: self.path });
        }
        replace(&self.path, &self.after)?;
        Ok(Restorer { path: self.path, before: self.before, after: self.after })
    }
}

impl Restorer {
    /// Puts the old bytes back, if the file still holds exactly what was written.
    ///
    /// # Errors
    /// A file that cannot be read or written; then it holds the new version.
    pub fn restore(self) -> Result<Restored, BumpError> {
        if read_bounded(&self.path)? != self.after {
            return Ok(Restored::LeftAlone);
        }
        replace(&self.path, &self.before)?;
        Ok(Restored::PutBack)
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, BumpError> {
    let failed = |source| BumpError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_BYTES + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(BumpError::TooLong { path: path.to_owned(), size_bytes: bytes.len() as u64 });
    }
    Ok(bytes)
}

/// Replaces a file in one step: temporary file, fsync, rename, fsync of the folder. Mode and owner stay.
fn replace(path: &Path, content: &[u8]) -> Result<(), BumpError> {
    let failed = |source| BumpError::Write { path: path.to_owned(), source };
    let meta = fs::metadata(path).map_err(failed)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // `.wharf…` is never shipped, should a kill leave it behind.
    let temporary = folder.join(format!(".wharf-tmp-{name}-{}", std::process::id()));
    let written = write_new(&temporary, content, &meta).and_then(|()| fs::rename(&temporary, path));
    if let Err(source) = written {
        // The error that is told is the one that came first.
        let _ = fs::remove_file(&temporary);
        return Err(failed(source));
    }
    sys::sync_folder(folder).map_err(failed)
}

fn write_new(path: &Path, content: &[u8], meta: &Metadata) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content)?;
    sys::keep_owner(path, meta);
    fs::set_permissions(path, meta.permissions())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{\r\n  \"expo\": { \"version\": \"1.0.1\" },\r\n}\r\n";

    fn app_json(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.json");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn raise(path: &Path) -> Restorer {
        VersionFile::read(path).unwrap().raised_to(Version::new(1, 0, 2)).write().unwrap()
    }

    #[test]
    fn the_old_bytes_come_back() {
        let (folder, path) = app_json(TEXT);
        let restorer = raise(&path);
        assert_eq!(fs::read_to_string(&path).unwrap(), TEXT.replace("1.0.1", "1.0.2"));
        assert_eq!(restorer.restore().unwrap(), Restored::PutBack);
        assert_eq!(fs::read_to_string(&path).unwrap(), TEXT);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn what_somebody_changed_since_is_theirs() {
        let (_folder, path) = app_json(TEXT);
        let restorer = raise(&path);
        fs::write(&path, "{}").unwrap();
        assert_eq!(restorer.restore().unwrap(), Restored::LeftAlone);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}");
    }

    #[test]
    fn a_file_that_changed_before_it_was_written_is_refused() {
        let (_folder, path) = app_json(TEXT);
        let bumped = VersionFile::read(&path).unwrap().raised_to(Version::new(1, 0, 2));
        fs::write(&path, "mine").unwrap();
        assert!(matches!(bumped.write(), Err(BumpError::Changed { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[cfg(unix)]
    #[test]
    fn mode_and_link_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let (folder, path) = app_json(TEXT);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let link = folder.path().join("link.json");
        symlink("app.json", &link).unwrap();
        let restorer = raise(&link);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(VersionFile::read(&path).unwrap().version(), Version::new(1, 0, 2));
        assert_eq!(restorer.restore().unwrap(), Restored::PutBack);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
    }

    #[test]
    fn errors_name_the_file() {
        let (_folder, path) = app_json("{}");
        let error = VersionFile::read(&path).unwrap_err();
        assert!(
            matches!(&error, BumpError::File { why, .. } if matches!(**why, BumpError::NoVersion)),
            "{error:?}"
        );
        assert!(matches!(VersionFile::read(&path.with_file_name("none")), Err(BumpError::Read { .. })));
    }
}
