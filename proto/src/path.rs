//! Paths inside a project: relative, normal, and never leading out of it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A path below a project's root: `/`-separated bytes without empty, `.` or `..` parts, NUL or a leading `/`.
///
/// File names on Linux are bytes. A UTF-8 path travels as a JSON string, any other as `{"bytes": "<hex>"}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Vec<u8>);

/// Why bytes are not a path inside a project.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} is not a path inside the project: {why}")]
pub struct PathError {
    pub path: String,
    pub why: &'static str,
}

impl RelPath {
    /// Checks `bytes`.
    ///
    /// # Errors
    /// [`PathError`] with the rule that was broken.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, PathError> {
        let bytes = bytes.into();
        let why = if bytes.is_empty() {
            "it is empty"
        } else if bytes.len() > crate::limits::PATH_BYTES {
            "it is too long"
        } else if bytes.contains(&0) {
            "it has a NUL byte"
        } else if bytes.starts_with(b"/") {
            "it is absolute"
        } else if bytes.split(|b| *b == b'/').any(|part| part.is_empty() || part == b"." || part == b"..") {
            "it has an empty, '.' or '..' part"
        } else {
            return Ok(Self(bytes));
        };
        Err(PathError { path: String::from_utf8_lossy(&bytes).chars().take(200).collect(), why })
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path as text, where it is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The path below `root`.
    #[cfg(unix)]
    pub fn below(&self, root: &std::path::Path) -> std::path::PathBuf {
        use std::os::unix::ffi::OsStrExt;
        root.join(std::ffi::OsStr::from_bytes(&self.0))
    }

    /// The path below `root`. Names that are not UTF-8 do not exist on this system and are replaced.
    #[cfg(not(unix))]
    pub fn below(&self, root: &std::path::Path) -> std::path::PathBuf {
        root.join(String::from_utf8_lossy(&self.0).as_ref())
    }

    /// The folder that holds this path; `None` at the project's root.
    pub fn parent(&self) -> Option<RelPath> {
        let at = self.0.iter().rposition(|b| *b == b'/')?;
        self.0.get(..at).map(|bytes| Self(bytes.to_vec()))
    }

    /// Whether this path is `folder` or lies below it.
    pub fn is_within(&self, folder: &RelPath) -> bool {
        self.0.strip_prefix(folder.0.as_slice()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }
}

impl std::str::FromStr for RelPath {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::new(text.as_bytes())
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Wire {
    Text(String),
    Bytes { bytes: String },
}

impl Serialize for RelPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_str() {
            Some(text) => serializer.serialize_str(text),
            None => Wire::Bytes { bytes: hex::encode(&self.0) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let bytes = match Wire::deserialize(deserializer)? {
            Wire::Text(text) => text.into_bytes(),
            Wire::Bytes { bytes } => hex::decode(bytes).map_err(D::Error::custom)?,
        };
        Self::new(bytes).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_that_lead_out_are_refused() {
        for bad in ["", "/etc/passwd", "..", "a/../b", "a//b", "./a", "a/", "a\0b", "a/.", "../x"] {
            assert!(bad.parse::<RelPath>().is_err(), "{bad:?}");
        }
        for good in ["a", "a/b", ".env", "a/..b", "a b", "ü/ö", "..."] {
            assert!(good.parse::<RelPath>().is_ok(), "{good:?}");
        }
    }

    #[test]
    fn within_goes_by_whole_parts() {
        let path: RelPath = "uploads/a".parse().unwrap();
        assert!(path.is_within(&"uploads".parse().unwrap()));
        assert!(path.is_within(&path));
        assert!(!path.is_within(&"upload".parse().unwrap()));
        assert_eq!(path.parent(), Some("uploads".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn any_name_survives_json(bytes in proptest::collection::vec(any::<u8>(), 1..60)) {
            if let Ok(path) = RelPath::new(bytes) {
                let json = serde_json::to_string(&path).unwrap();
                prop_assert_eq!(serde_json::from_str::<RelPath>(&json).unwrap(), path);
            }
        }
    }
}
