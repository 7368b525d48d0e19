//! Why a version cannot be raised.

use super::Version;
use std::io;
use std::path::PathBuf;

/// Why a version cannot be read, chosen or written. [`BumpError::hint`] says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum BumpError {
    #[error("{text:?} is not a version: three numbers are expected, such as 1.4.0")]
    Version { text: String },
    #[error("{text:?} is not a bump: patch, minor, major, none or a version such as 1.4.0 is expected")]
    Bump { text: String },
    #[error("the version {version} cannot be raised further")]
    Exhausted { version: Version },
    #[error("{asked} is not above {highest}, the highest version ever started on the server")]
    NotAbove { asked: Version, highest: Version },
    #[error("the file is not JSON")]
    Json { source: jsonc_parser::errors::ParseError },
    #[error("the file holds no JSON object")]
    NoObject,
    #[error("the file has neither \"expo\": {{ \"version\": … }} nor a top-level \"version\"")]
    NoVersion,
    #[error("the file has an \"expo\" object without a \"version\"")]
    NoExpoVersion,
    #[error("the file has the key {key:?} twice")]
    Twice { key: String },
    #[error("{key:?} is not a text in quotes")]
    NotText { key: String },
    #[error("{} cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is {size_bytes} bytes long, which no app.json is", path.display())]
    TooLong { path: PathBuf, size_bytes: u64 },
    #[error("{} is not UTF-8 text", path.display())]
    NotUtf8 { path: PathBuf },
    #[error("{} cannot be used", path.display())]
    File {
        path: PathBuf,
        #[source]
        why: Box<BumpError>,
    },
    #[error("{} changed while its version was being raised", path.display())]
    Changed { path: PathBuf },
    #[error("{} cannot be written", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl BumpError {
    /// What to do about it: an instruction.
    pub fn hint(&self) -> String {
        match self {
            Self::Version { .. } => "write it as MAJOR.MINOR.PATCH, without a suffix".into(),
            Self::Bump { .. } => "use --bump patch, minor, major, none, or a version".into(),
            Self::Exhausted { .. } => "choose a version yourself with --bump 2.0.0".into(),
            Self::NotAbove { highest, .. } => {
                format!("choose a version above {highest}: a used one would leave people on the old bundle")
            }
            Self::Json { .. } | Self::NoObject | Self::NotUtf8 { .. } | Self::TooLong { .. } => {
                "correct the file, or name another one under [[bump]] in wharf.toml".into()
            }
            Self::NoVersion => {
                "add the key `expo.version` (or a top-level `version`), or take the [[bump]] out of \
                wharf.toml: an app.json of Heroku or Dokku has no version, and is not a front end's"
                    .into()
            }
            Self::NoExpoVersion => {
                "add the key `expo.version`, such as \"version\": \"1.0.0\" in \"expo\"".into()
            }
            Self::Twice { key } => {
                format!("keep one of the two keys {key:?}: programs differ in which they read")
            }
            Self::NotText { .. } => "write it as a text, such as \"version\": \"1.0.0\"".into(),
            Self::File { why, .. } => why.hint(),
            Self::Changed { .. } => "save your changes and run the command again".into(),
            Self::Read { path, .. } => {
                format!("make {} readable, or correct [[bump]] in wharf.toml", path.display())
            }
            Self::Write { path, .. } => {
                format!("make {} and its folder writable, or use --bump none", path.display())
            }
        }
    }
}
