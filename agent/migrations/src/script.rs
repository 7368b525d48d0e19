//! What one file is: its text, its checksum, whether it is one transaction.

use crate::scan::{ScanError, scan};
use wharf_proto::{Digest, Failure, FailureKind, RelPath};

/// The first line of a file that is not to be one transaction.
pub const NO_TRANSACTION: &str = "-- wharf: no-transaction";
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A file that may be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Without a byte order mark.
    pub text: String,
    /// SHA-256 of the text with plain line ends, in hexadecimal: a checkout on Windows is no other migration.
    pub checksum: String,
    /// Whether the file is one transaction, with its row.
    pub transaction: bool,
}

/// Why a file may not be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    #[error("it is not UTF-8 text")]
    NotText,
    #[error("it holds a NUL byte, at which psql would end the line")]
    Nul,
    #[error("it holds no statement")]
    Empty,
    #[error(transparent)]
    Scan(#[from] ScanError),
}

impl ScriptError {
    /// As people are told it of the file at `path`.
    pub fn failure(&self, path: &RelPath) -> Failure {
        Failure::new(FailureKind::Refused, format!("the migration {path} cannot be run"))
            .cause(self.to_string())
            .hint(self.hint())
    }

    /// What to do.
    fn hint(&self) -> &'static str {
        match self {
            Self::NotText | Self::Nul => "save the file as plain text, encoded as UTF-8",
            Self::Empty => "write the statements of the migration into it, or take it away",
            Self::Scan(ScanError::Command { .. }) => {
                "write plain SQL; what psql's commands do belongs into a [[migrate]] with a command"
            }
            Self::Scan(ScanError::Transaction { .. }) => {
                "leave it out: the file is committed whole with its row, or not at all. What cannot be in a transaction \
                 goes into a file of its own, with the first line -- wharf: no-transaction"
            }
            Self::Scan(ScanError::CopyFromStdin { .. }) => "write INSERT statements instead",
            Self::Scan(ScanError::Unended { .. }) => "close it",
        }
    }
}

impl Script {
    /// Reads a file.
    ///
    /// # Errors
    /// What may not stand in it.
    pub fn read(content: &[u8]) -> Result<Self, ScriptError> {
        let text = std::str::from_utf8(content).map_err(|_| ScriptError::NotText)?;
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        if text.contains('\0') {
            return Err(ScriptError::Nul);
        }
        scan(text)?;
        if text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with("--")) {
            return Err(ScriptError::Empty);
        }
        Ok(Self {
            checksum: checksum(text),
            transaction: text.lines().next().is_none_or(|first| first.trim_end() != NO_TRANSACTION),
            text: text.to_owned(),
        })
    }
}

fn checksum(text: &str) -> String {
    Digest::of(text.replace("\r\n", "\n").as_bytes()).to_hex()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_no_other_migration() {
        let read = |text: &str| Script::read(text.as_bytes()).unwrap().checksum;
        assert_eq!(read("SELECT 1;\nSELECT 2;\n"), read("\u{feff}SELECT 1;\r\nSELECT 2;\r\n"));
        assert_ne!(read("SELECT 1;\n"), read("SELECT 1; \n"));
    }

    #[test]
    fn only_the_first_line_says_that_it_is_no_transaction() {
        let is_one = |text: &str| Script::read(text.as_bytes()).unwrap().transaction;
        assert!(!is_one("-- wharf: no-transaction\r\nCREATE INDEX CONCURRENTLY i ON t (a);"));
        assert!(!is_one("-- wharf: no-transaction\nVACUUM;"));
        assert!(is_one("\n-- wharf: no-transaction\nSELECT 1;"));
        assert!(is_one("-- wharf: no-transactions\nSELECT 1;"));
    }

    #[test]
    fn what_is_no_script() {
        for (bad, why) in [
            (&b"SELECT '\xff';"[..], ScriptError::NotText),
            (b"SELECT 1;\0", ScriptError::Nul),
            (b"-- later\n\n", ScriptError::Empty),
            (b"", ScriptError::Empty),
            (b"\\d", ScriptError::Scan(ScanError::Command { line: 1 })),
        ] {
            assert_eq!(Script::read(bad), Err(why));
        }
    }
}
