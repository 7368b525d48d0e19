//! What can be wrong with a configuration, where, and what to write instead.

use std::{fmt, ops::Range, path::PathBuf};
use wharf_proto::{Failure, FailureKind};

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    /// From 1; `None` where something is missing altogether.
    pub line: Option<usize>,
}

impl Place {
    /// The line that `span` of `text` begins on.
    pub fn of(file: &str, text: &str, span: Range<usize>) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        Self { file: file.to_owned(), line: Some(before.matches('\n').count() + 1) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// Why there is no usable configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("there is no wharf.toml in {0} or any folder above it")]
    NotFound(PathBuf),
    #[error("cannot read {path}")]
    Read { path: String, source: std::io::Error },
    #[error("{place}: this is not TOML: {message}")]
    Syntax { place: Place, message: String },
    #[error(transparent)]
    UnknownKey(Box<UnknownKey>),
    #[error("{place}: {message}")]
    Type { place: Place, message: String, example: Option<&'static str> },
    #[error("{place}: `{key}` is missing")]
    Missing { place: Place, key: &'static str, example: &'static str },
    #[error("{place}: no [server] is set{environment}")]
    NoServer { place: Place, environment: String, known: Vec<String> },
    #[error("{place}: there is no environment {name:?}")]
    UnknownEnvironment { place: Place, name: String, known: Vec<String> },
    #[error("{place}: {key}: {message}")]
    Value { place: Place, key: &'static str, message: String, instead: String },
}

/// A key that Wharf does not know.
#[derive(Debug, thiserror::Error)]
#[error("{place}: unknown key `{key}`{section}")]
pub struct UnknownKey {
    pub place: Place,
    pub key: String,
    /// ` in [server]`; empty at the top.
    pub section: String,
    pub nearest: Option<String>,
    /// The keys that the section has.
    pub known: String,
}

impl ConfigError {
    /// What to do about it.
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound(_) => "change to the project's folder; `wharf init` there writes one".into(),
            Self::Read { .. } | Self::Syntax { .. } => return None,
            Self::UnknownKey(unknown) => match &unknown.nearest {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("known here: {}", unknown.known),
            },
            Self::Type { example, .. } => format!("write for example: {}", (*example)?),
            Self::Missing { example, .. } => format!("write for example: {example}"),
            Self::NoServer { known, .. } if known.is_empty() => {
                "write for example: [server] host = \"deploy@home.example\", path = \"/home/deploy/myapp\""
                    .into()
            }
            Self::NoServer { known, .. } => format!("choose an environment: {}", flags(known)),
            Self::UnknownEnvironment { known, .. } if known.is_empty() => {
                "leave --env out, or write an [env.NAME] table".into()
            }
            Self::UnknownEnvironment { known, .. } => format!("choose one of: {}", flags(known)),
            Self::Value { instead, .. } => instead.clone(),
        })
    }
}

fn flags(names: &[String]) -> String {
    names.iter().map(|name| format!("--env {name}")).collect::<Vec<_>>().join(", ")
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let failure = Failure::from_error(FailureKind::Config, &error);
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
