//! Where the statements of an env file stand in its text.

use super::EnvFileError;
use std::ops::Range;

/// One assignment, or a key alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) key: String,
    /// From the beginning of its line to the end of the line that it ends on, line break included.
    pub(super) whole: Range<usize>,
    /// The value as it is written, quotes included; `None`: the key stands alone.
    pub(super) value: Option<Range<usize>>,
}

/// Finds all statements.
pub(super) fn statements(text: &str) -> Result<Vec<Statement>, EnvFileError> {
    let mut found = Vec::new();
    let mut at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    while let Some(start) = statement_start(text, at) {
        let statement = statement(text, start)?;
        at = statement.whole.end;
        found.push(statement);
    }
    Ok(found)
}

/// The next character that is neither white space nor part of a comment.
fn statement_start(text: &str, mut at: usize) -> Option<usize> {
    loop {
        at += text[at..].find(|c: char| !c.is_whitespace())?;
        if !text[at..].starts_with('#') {
            return Some(at);
        }
        at += text[at..].find('\n')?;
    }
}

fn statement(text: &str, start: usize) -> Result<Statement, EnvFileError> {
    let bad = |what| EnvFileError::Line { line: text[..start].matches('\n').count() + 1, what };
    let name_at = start + export_bytes(&text[start..]);
    let name_end = text[name_at..].find(['=', ':', '\n']).map_or(text.len(), |found| name_at + found);
    let key = text[name_at..name_end].trim_end();
    if key.is_empty() {
        return Err(bad("there is no name before the ="));
    }
    let of_a_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']');
    if !key.chars().all(of_a_name) {
        return Err(bad("what stands before the = is no name"));
    }
    let alone = !text[name_end..].starts_with(['=', ':']);
    let value =
        if alone { None } else { Some(value(text, name_end + 1).ok_or_else(|| bad("a quote has no end"))?) };
    let ends = value.as_ref().map_or(name_end, |value| value.end);
    let line_start = text[..start].rfind('\n').map_or(0, |found| found + 1);
    let line_end = text[ends..].find('\n').map_or(text.len(), |found| ends + found + 1);
    Ok(Statement { key: key.to_owned(), whole: line_start..line_end, value })
}

/// The length of `export` and the space after it.
fn export_bytes(text: &str) -> usize {
    let Some(rest) = text.strip_prefix("export") else { return 0 };
    let space = rest.len() - rest.trim_start().len();
    if space == 0 { 0 } else { "export".len() + space }
}

/// The range of a value whose `=` ends at `at`. `None`: its quote is never closed.
fn value(text: &str, at: usize) -> Option<Range<usize>> {
    let blank = |c: char| c.is_whitespace() && c != '\n';
    let start = at + text[at..].find(|c: char| !blank(c)).unwrap_or(text.len() - at);
    let rest = &text[start..];
    let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
        let line = rest.split('\n').next().unwrap_or_default();
        let content = line.split(" #").next().unwrap_or_default().trim_end();
        return Some(start..start + content.len());
    };
    let mut escaped = false;
    for (offset, c) in rest.char_indices().skip(1) {
        match c {
            c if c == quote && !escaped => return Some(start..start + offset + 1),
            '\\' if !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    None
}
