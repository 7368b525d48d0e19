//! Editing an env file: single keys change, and every other byte stays.
//!
//! **Invariants**
//! - Comments, order and whatever was not asked for stay as they are.
//! - A value is written so that Compose reads exactly that value ([`quote`]); what cannot be written so is refused.
//! - No error holds a value.
//!
//! The grammar is that of Compose's own reader (`dotenv` of compose-go 2): `KEY=value`, `KEY: value`, `export` before
//! it, a key alone, values plain to the end of the line or in quotes over several lines.

mod quote;
mod statement;
mod uses;

pub use quote::{QuoteError, quote};
use statement::{Statement, statements};
pub use uses::uses;

/// Why an env file cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvFileError {
    #[error("line {line} is not understood: {what}")]
    Line { line: usize, what: &'static str },
    #[error("{key:?} is no name of a variable: letters, digits and _ only, and no digit at its beginning")]
    Name { key: String },
    #[error("the value of {key} cannot be written")]
    Value { key: String, source: QuoteError },
}

/// An env file's text.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvFile {
    text: String,
}

impl EnvFile {
    /// Takes the text as it is on the disk.
    ///
    /// # Errors
    /// A line that Compose would not read either.
    pub fn parse(text: impl Into<String>) -> Result<Self, EnvFileError> {
        let text = text.into();
        statements(&text)?;
        Ok(Self { text })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The keys that are set, in their order, each once.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        for statement in self.statements() {
            if !keys.contains(&statement.key) {
                keys.push(statement.key);
            }
        }
        keys
    }

    /// Sets one key: where it stands already, or at the end.
    ///
    /// # Errors
    /// A name or a value that cannot be written.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), EnvFileError> {
        check_name(key)?;
        let quoted = quote(value).map_err(|source| EnvFileError::Value { key: key.to_owned(), source })?;
        // The last one is the one that counts.
        match self.statements().into_iter().rfind(|statement| statement.key == key) {
            Some(Statement { value: Some(range), .. }) => self.text.replace_range(range, &quoted),
            Some(Statement { whole, .. }) => self.text.replace_range(whole, &format!("{key}={quoted}\n")),
            None => {
                if !self.text.is_empty() && !self.text.ends_with('\n') {
                    self.text.push('\n');
                }
                self.text.push_str(&format!("{key}={quoted}\n"));
            }
        }
        Ok(())
    }

    /// Takes a key out; whether it was there.
    pub fn unset(&mut self, key: &str) -> bool {
        let mut found = false;
        while let Some(statement) = self.statements().into_iter().rfind(|statement| statement.key == key) {
            self.text.replace_range(statement.whole, "");
            found = true;
        }
        found
    }

    /// What was parsed once is parsed again after each edit, which puts in nothing that is not understood.
    fn statements(&self) -> Vec<Statement> {
        statements(&self.text).unwrap_or_default()
    }
}

/// The names that a person may set. Compose takes more (`a.b-c`), which shells and programs do not.
///
/// # Errors
/// Another name.
pub fn check_name(key: &str) -> Result<(), EnvFileError> {
    let starts = key.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if starts && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Ok(());
    }
    Err(EnvFileError::Name { key: key.to_owned() })
}

/// No value in a log, also where the whole is printed.
impl std::fmt::Debug for EnvFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnvFile").field("keys", &self.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(before: &str, edit: impl FnOnce(&mut EnvFile)) -> String {
        let mut file = EnvFile::parse(before).unwrap();
        edit(&mut file);
        file.text
    }

    #[test]
    fn one_value_changes_and_everything_else_stays() {
        let set = |before: &str| edited(before, |file| file.set("A", "new").unwrap());
        for (before, after) in [
            ("", "A=new\n"),
            ("B=1", "B=1\nA=new\n"),
            ("A=old", "A=new"),
            ("# why\n  A = old   # kept\nB=2\n", "# why\n  A = new   # kept\nB=2\n"),
            ("export A='o\nld' # kept\nB=2\n", "export A=new # kept\nB=2\n"),
            ("A: old\n", "A: new\n"),
            ("A=\"a\\\"b\"\nB=2\n", "A=new\nB=2\n"),
            ("A='it\\'s'\nB=2\n", "A=new\nB=2\n"),
            ("A\nB=2\n", "A=new\nB=2\n"),
            ("A=1\nA=2\n", "A=1\nA=new\n"),
            ("AA=1\nB=$A\n", "AA=1\nB=$A\nA=new\n"),
            ("A=\nB=2\n", "A=new\nB=2\n"),
        ] {
            assert_eq!(set(before), after, "{before:?}");
        }
    }

    #[test]
    fn a_key_goes_with_its_line_and_all_of_its_lines() {
        let unset = |before: &str| edited(before, |file| assert!(file.unset("A")));
        for (before, after) in [
            ("A=1\nB=2\n", "B=2\n"),
            ("B=2\nA=1", "B=2\n"),
            ("# of A\nA=1 # more\n\nB=2\n", "# of A\n\nB=2\n"),
            ("A=1\nB=2\nexport A='x\ny'\n", "B=2\n"),
        ] {
            assert_eq!(unset(before), after, "{before:?}");
        }
        assert!(!EnvFile::parse("B=2\n").unwrap().unset("A"));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        for (text, line) in [("A=1\nB C=2\n", 2), ("A='x\n", 1), ("=x\n", 1), ("A=1\n\nB!=2\n", 3)] {
            let error = EnvFile::parse(text).unwrap_err();
            assert!(matches!(error, EnvFileError::Line { line: at, .. } if at == line), "{text:?}: {error}");
        }
        for name in ["", "1A", "A B", "A=", "Ä", "A.B"] {
            assert!(EnvFile::parse("").unwrap().set(name, "x").is_err(), "{name:?}");
        }
    }

    #[test]
    fn nothing_of_a_value_is_printed() {
        let mut file = EnvFile::parse("A=hunter2\n").unwrap();
        assert!(!format!("{file:?}").contains("hunter"));
        let error = file.set("A", "hunter2\0").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter"));
    }

    #[test]
    fn keys_come_in_their_order() {
        assert_eq!(EnvFile::parse("B=1\n#A=2\nA=3\nB=4\nC\n").unwrap().keys(), ["B", "A", "C"]);
    }
}
