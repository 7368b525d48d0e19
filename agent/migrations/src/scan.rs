//! Where statements of a file begin, as `psql` sees it: quotes, dollar quotes, comments, function bodies.
//!
//! Source: `psqlscan.l` of PostgreSQL, with `standard_conforming_strings` on, as it is set for every file.

/// What may not stand in a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    #[error("line {line}: a backslash outside of quotes begins a command of psql, not of the database")]
    Command { line: usize },
    #[error("line {line}: {word} would end or begin a transaction, and each file is one already")]
    Transaction { line: usize, word: String },
    #[error("line {line}: COPY … FROM STDIN takes its rows from psql's input")]
    CopyFromStdin { line: usize },
    #[error("the {what} that begins in line {line} does not end")]
    Unended { line: usize, what: &'static str },
}

/// Words of a statement that are kept: enough to tell what it is.
const WORDS: usize = 6;

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    statement: Statement,
}

/// The statement that is being read.
#[derive(Default)]
struct Statement {
    /// Its first words outside of parentheses, in upper case.
    words: Vec<String>,
    last_word: String,
    /// Where its first word stands.
    begins_at: usize,
    /// Where open parentheses began.
    parentheses: Vec<usize>,
    /// Where open bodies (`BEGIN ATOMIC`, and `CASE` in them) began.
    bodies: Vec<usize>,
}

/// Looks for what may not stand in a file.
///
/// # Errors
/// The first that does.
pub(crate) fn scan(text: &str) -> Result<(), ScanError> {
    let mut scanner = Scanner { text: text.as_bytes(), at: 0, statement: Statement::default() };
    while let Some(byte) = scanner.peek(0) {
        scanner.token(byte)?;
    }
    scanner.end_of_statement()?;
    let Statement { parentheses, bodies, .. } = &scanner.statement;
    match (parentheses.last(), bodies.last()) {
        (Some(at), _) => Err(scanner.unended("parenthesis", *at)),
        (None, Some(at)) => Err(scanner.unended("body", *at)),
        (None, None) => Ok(()),
    }
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn starts_with(&self, beginning: &[u8]) -> bool {
        self.text.get(self.at..).is_some_and(|rest| rest.starts_with(beginning))
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text.iter().take(at).filter(|byte| **byte == b'\n').count()
    }

    fn unended(&self, what: &'static str, at: usize) -> ScanError {
        ScanError::Unended { line: self.line(at), what }
    }

    fn token(&mut self, byte: u8) -> Result<(), ScanError> {
        match byte {
            b'-' if self.starts_with(b"--") => self.line_comment(),
            b'/' if self.starts_with(b"/*") => self.comment()?,
            b'\'' => self.string(false)?,
            b'"' => self.quoted_name()?,
            b'$' => self.dollar()?,
            b'\\' => return Err(ScanError::Command { line: self.line(self.at) }),
            b';' => {
                self.at += 1;
                if self.statement.parentheses.is_empty() && self.statement.bodies.is_empty() {
                    self.end_of_statement()?;
                    self.statement = Statement::default();
                }
            }
            b'(' => {
                self.statement.parentheses.push(self.at);
                self.at += 1;
            }
            b')' => {
                self.statement.parentheses.pop();
                self.at += 1;
            }
            _ if begins_word(byte) => self.word()?,
            _ => self.at += 1,
        }
        Ok(())
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }

    /// Comments may stand in one another.
    fn comment(&mut self) -> Result<(), ScanError> {
        let began = self.at;
        let mut depth = 0u32;
        loop {
            if self.starts_with(b"/*") {
                depth += 1;
                self.at += 2;
            } else if self.starts_with(b"*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return Ok(());
                }
            } else if self.peek(0).is_some() {
                self.at += 1;
            } else {
                return Err(self.unended("comment", began));
            }
        }
    }

    /// From the opening quote. With `escapes`, a backslash takes the next character's meaning.
    fn string(&mut self, escapes: bool) -> Result<(), ScanError> {
        let began = self.at;
        self.at += 1;
        loop {
            match self.peek(0) {
                None => return Err(self.unended("string", began)),
                Some(b'\\') if escapes => self.at += 2,
                Some(b'\'') => {
                    self.at += 1;
                    // A doubled quote ends one string and begins the next, which comes to the same; after a new line a
                    // string goes on in the way that it began.
                    if self.peek(0) == Some(b'\'') {
                        self.at += 1;
                    } else if let Some(next) = self.goes_on() {
                        self.at = next + 1;
                    } else {
                        return Ok(());
                    }
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// Where the string goes on: a quote after nothing but white space with a new line in it, and comments to their lines'
    /// ends.
    fn goes_on(&self) -> Option<usize> {
        let (mut at, mut new_line) = (self.at, false);
        loop {
            match self.text.get(at)? {
                b'\n' | b'\r' => new_line = true,
                b' ' | b'\t' | 0x0b | 0x0c => {}
                b'\'' if new_line => return Some(at),
                b'-' if new_line && self.text.get(at + 1) == Some(&b'-') => {
                    at += self.text.get(at..)?.iter().position(|byte| *byte == b'\n')?;
                }
                _ => return None,
            }
            at += 1;
        }
    }

    fn quoted_name(&mut self) -> Result<(), ScanError> {
        let began = self.at;
        let rest = self.text.get(began + 1..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'"');
        self.at = began + 2 + length.ok_or_else(|| self.unended("quoted name", began))?;
        self.statement.last_word.clear();
        Ok(())
    }

    /// `$tag$ … $tag$`, or a parameter such as `$1`.
    fn dollar(&mut self) -> Result<(), ScanError> {
        let began = self.at;
        let rest = self.text.get(began + 1..).unwrap_or_default();
        let tag = rest.iter().position(|byte| !in_tag(*byte)).unwrap_or(rest.len());
        let is_quote = rest.get(tag) == Some(&b'$') && !rest.first().is_some_and(u8::is_ascii_digit);
        if !is_quote {
            self.at += 1 + tag;
            return Ok(());
        }
        let fence = self.text.get(began..began + tag + 2).unwrap_or_default();
        let body = began + fence.len();
        let inside = self.text.get(body..).unwrap_or_default();
        let length = inside.windows(fence.len()).position(|part| part == fence);
        self.at = body + fence.len() + length.ok_or_else(|| self.unended("dollar quote", began))?;
        Ok(())
    }

    fn word(&mut self) -> Result<(), ScanError> {
        let began = self.at;
        while self.peek(0).is_some_and(in_word) {
            self.at += 1;
        }
        let word = self.text.get(began..self.at).unwrap_or_default().to_ascii_uppercase();
        let word = String::from_utf8_lossy(&word).into_owned();
        if word == "E" && self.peek(0) == Some(b'\'') {
            return self.string(true);
        }
        if !self.statement.parentheses.is_empty() {
            return Ok(());
        }
        let statement = &mut self.statement;
        if statement.words.is_empty() {
            statement.begins_at = began;
        }
        if statement.words.len() < WORDS {
            statement.words.push(word.clone());
        }
        if statement.makes_routine() {
            match word.as_str() {
                "BEGIN" => statement.bodies.push(began),
                "CASE" if !statement.bodies.is_empty() => statement.bodies.push(began),
                "END" => {
                    statement.bodies.pop();
                }
                _ => {}
            }
        }
        let copies = statement.words.first().is_some_and(|first| first == "COPY");
        if copies && statement.last_word == "FROM" && word == "STDIN" {
            return Err(ScanError::CopyFromStdin { line: self.line(began) });
        }
        statement.last_word = word;
        Ok(())
    }

    fn end_of_statement(&self) -> Result<(), ScanError> {
        match self.statement.ends_transaction() {
            Some(word) => Err(ScanError::Transaction { line: self.line(self.statement.begins_at), word }),
            None => Ok(()),
        }
    }
}

impl Statement {
    fn word(&self, number: usize) -> &str {
        self.words.get(number).map_or("", String::as_str)
    }

    fn makes_routine(&self) -> bool {
        let is_routine = |word: &str| matches!(word, "FUNCTION" | "PROCEDURE");
        self.word(0) == "CREATE"
            && (is_routine(self.word(1))
                || (self.word(1) == "OR" && self.word(2) == "REPLACE" && is_routine(self.word(3))))
    }

    /// The words of a statement that begins or ends a transaction.
    fn ends_transaction(&self) -> Option<String> {
        match (self.word(0), self.word(1), self.word(2)) {
            (word @ ("BEGIN" | "COMMIT" | "END" | "ABORT"), ..) => Some(word.to_owned()),
            ("START" | "PREPARE", "TRANSACTION", _) => Some(format!("{} TRANSACTION", self.word(0))),
            // Back to a savepoint is within the transaction.
            ("ROLLBACK", "TO", _) | ("ROLLBACK", "WORK" | "TRANSACTION", "TO") => None,
            ("ROLLBACK", ..) => Some("ROLLBACK".to_owned()),
            _ => None,
        }
    }
}

fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn in_tag(byte: u8) -> bool {
    begins_word(byte) || byte.is_ascii_digit()
}

fn in_word(byte: u8) -> bool {
    in_tag(byte) || byte == b'$'
}

#[cfg(test)]
mod tests;
