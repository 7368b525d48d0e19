//! How much the log of a container may take, where its service has no `logging:` of its own.

use crate::operate::parse_size;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;

/// How many files a log may have.
pub const LOG_FILES: RangeInclusive<u32> = 1..=100;

const OFF: &str = "off";
const MAX_SIZE_DEFAULT: &str = "20m";
const MAX_FILES_DEFAULT: u32 = 5;

/// `[logs]`, in `wharf.toml` and `wharfd.toml`. What one does not say, the other does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<LogSize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_files: Option<LogFiles>,
}

/// The size of one file, or that there is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogSize(String);

/// A number of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct LogFiles(u32);

/// What a container's log may take, in the words of Docker's `json-file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLimit {
    /// `20m`.
    pub max_size: String,
    pub max_files: u32,
}

impl LogsSpec {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The limit by an app's word, then the server's, then Wharf's own; `None` where it is off.
    pub fn limit(&self, server: &Self) -> Option<LogLimit> {
        let size = self.max_size.as_ref().or(server.max_size.as_ref());
        let size = size.map_or(MAX_SIZE_DEFAULT, |size| size.0.as_str());
        let files = self.max_files.or(server.max_files).map_or(MAX_FILES_DEFAULT, |files| files.0);
        (size != OFF).then(|| LogLimit { max_size: size.to_owned(), max_files: files })
    }
}

impl TryFrom<String> for LogSize {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let text = text.to_ascii_lowercase();
        if text == OFF {
            return Ok(Self(text));
        }
        match parse_size(&text) {
            None | Some(0) => Err("a log's max_size is a number with k, m or g, as in \"20m\", or \"off\""),
            // Docker reads `20mib` as well, but says it back as it came: one spelling for each.
            Some(_) if text.ends_with("ib") => Ok(Self(text.trim_end_matches("ib").to_owned())),
            Some(_) if text.trim_end_matches('b').ends_with(['k', 'm', 'g']) => {
                Ok(Self(text.trim_end_matches('b').to_owned()))
            }
            Some(_) => Ok(Self(text)),
        }
    }
}

impl From<LogSize> for String {
    fn from(size: LogSize) -> Self {
        size.0
    }
}

impl TryFrom<u32> for LogFiles {
    type Error = &'static str;

    fn try_from(count: u32) -> Result<Self, Self::Error> {
        if LOG_FILES.contains(&count) {
            Ok(Self(count))
        } else {
            Err("a log has 1 to 100 files: max_files = 5")
        }
    }
}

impl From<LogFiles> for u32 {
    fn from(files: LogFiles) -> Self {
        files.0
    }
}

impl fmt::Display for LogLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max_files {
            1 => write!(f, "1 file of {}", self.max_size),
            files => write!(f, "{files} files of {}", self.max_size),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(size: Option<&str>, files: Option<u32>) -> LogsSpec {
        LogsSpec {
            max_size: size.map(|size| size.to_owned().try_into().unwrap()),
            max_files: files.map(|files| files.try_into().unwrap()),
        }
    }

    #[test]
    fn the_app_goes_before_the_server_key_by_key() {
        let none = LogsSpec::default();
        for (app, server, told) in [
            (none.clone(), none.clone(), Some("5 files of 20m")),
            (none.clone(), spec(Some("1g"), Some(1)), Some("1 file of 1g")),
            (spec(Some("50M"), None), spec(Some("1g"), Some(3)), Some("3 files of 50m")),
            (spec(Some("off"), None), none.clone(), None),
            (none.clone(), spec(Some("off"), None), None),
            (spec(Some("10MiB"), None), spec(Some("off"), None), Some("5 files of 10m")),
        ] {
            assert_eq!(
                app.limit(&server).map(|limit| limit.to_string()).as_deref(),
                told,
                "{app:?} {server:?}"
            );
        }
    }

    #[test]
    fn sizes_have_one_spelling_and_what_is_none_is_an_error() {
        for (text, size) in
            [("20m", "20m"), ("20MB", "20m"), ("1GiB", "1g"), ("512b", "512b"), ("OFF", "off")]
        {
            assert_eq!(LogSize::try_from(text.to_owned()).unwrap().0, size);
        }
        for text in ["", "20", "0m", "-1m", "1.5g", "unlimited"] {
            assert!(LogSize::try_from(text.to_owned()).is_err(), "{text}");
        }
        assert!(LogFiles::try_from(0).is_err() && LogFiles::try_from(101).is_err());
    }
}
