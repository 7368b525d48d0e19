//! Which part of a context the engine asked for.
//!
//! BuildKit names the paths that a Dockerfile copies. Sending more is never wrong, so whatever is not plain is answered
//! with everything.

use std::path::Path;

/// The paths asked for; `None`: all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted(Option<Vec<Vec<u8>>>);

impl Wanted {
    /// From the `followpaths` of a request, for the tree at `root`.
    pub(super) fn new(root: &Path, asked: &[&[u8]]) -> Self {
        let plain: Option<Vec<_>> = asked.iter().map(|path| literal_start(root, path)).collect();
        Self(plain.filter(|paths| !paths.is_empty()))
    }

    /// Whether `path` is asked for, or leads to what is.
    pub(super) fn takes(&self, path: &[u8]) -> bool {
        let within = |path: &[u8], folder: &[u8]| {
            path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        match &self.0 {
            None => true,
            Some(asked) => asked.iter().any(|wanted| within(path, wanted) || within(wanted, path)),
        }
    }
}

/// The part of a path before its first wildcard. `None` where all is needed: the root itself is asked for, or a link on
/// the way may lead anywhere.
fn literal_start(root: &Path, path: &[u8]) -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;
    let mut start = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        if part.is_empty() || part == b"." {
            continue;
        }
        if part == b".." || part.iter().any(|byte| b"*?[\\".contains(byte)) {
            break;
        }
        if !start.is_empty() {
            start.push(b'/');
        }
        start.extend_from_slice(part);
        let on_disk = root.join(std::ffi::OsStr::from_bytes(&start));
        if std::fs::symlink_metadata(on_disk).is_ok_and(|metadata| metadata.is_symlink()) {
            return None;
        }
    }
    (!start.is_empty()).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(root: &Path, asked: &[&str]) -> Wanted {
        let asked: Vec<&[u8]> = asked.iter().map(|path| path.as_bytes()).collect();
        Wanted::new(root, &asked)
    }

    #[test]
    fn only_what_leads_to_or_lies_in_the_paths_is_sent() {
        let root = tempfile::tempdir().unwrap();
        let some = wanted(root.path(), &["/backend/src", "web/*.json"]);
        for path in ["backend", "backend/src", "backend/src/a.py", "web", "web/x/y"] {
            assert!(some.takes(path.as_bytes()), "{path}");
        }
        for path in ["backend/other", "backend2", "mobile/a", "backend/srcs"] {
            assert!(!some.takes(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn what_is_not_plain_means_everything() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("elsewhere", root.path().join("link")).unwrap();
        for asked in [&[][..], &["*"], &["a", "/"], &["link/a"], &["../a"], &["."]] {
            assert!(wanted(root.path(), asked).takes(b"anything"), "{asked:?}");
        }
    }
}
