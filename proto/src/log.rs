//! What containers write: which lines of it are wanted.

use crate::{AppName, limits};
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsRequest {
    /// `None`: every app that the key may see.
    #[serde(default)]
    pub app: Option<AppName>,
    /// Empty: all.
    pub services: Vec<String>,
    pub follow: bool,
    /// How many lines from the end of each container's log; `None`: all. Where there is a pattern, lines that match.
    pub lines: Option<u32>,
    /// As Docker takes them: a duration (`10m`) or a time.
    pub since: Option<String>,
    pub until: Option<String>,
    /// Only lines that this regular expression matches; see [`pattern`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grep: Option<String>,
}

/// A pattern that lines cannot be looked for with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PatternError {
    #[error("it is longer than {} bytes", limits::GREP_PATTERN_BYTES)]
    TooLong,
    #[error(transparent)]
    Bad(#[from] regex::Error),
}

/// Reads a pattern as both sides do: what a client takes, an agent takes too. Matching takes time in proportion to the
/// line's length, whatever the pattern.
///
/// # Errors
/// It is no regular expression, or larger than [`limits`] allow.
pub fn pattern(text: &str) -> Result<Regex, PatternError> {
    if text.len() > limits::GREP_PATTERN_BYTES {
        return Err(PatternError::TooLong);
    }
    let mut builder = RegexBuilder::new(text);
    builder.size_limit(limits::GREP_COMPILED_BYTES).dfa_size_limit(limits::GREP_COMPILED_BYTES);
    Ok(builder.build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_regular_expressions_of_bounded_size() {
        assert!(pattern("(?i)error|panic").unwrap().is_match("an ERROR"));
        assert!(!pattern("^GET .* 5..$").unwrap().is_match("GET / 200"));
        assert!(pattern("").unwrap().is_match("anything"));
        assert!(matches!(pattern("a("), Err(PatternError::Bad(_))));
        assert!(matches!(pattern("(a{1000}){1000}"), Err(PatternError::Bad(_))));
        assert_eq!(pattern(&"a".repeat(1_001)).unwrap_err(), PatternError::TooLong);
    }
}
