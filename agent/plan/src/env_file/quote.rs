//! Writing a value so that Compose reads exactly it.
//!
//! Source: `dotenv` of compose-go 2 (`parser.go`): plain values lose white space and what follows ` #`, and `$` is
//! expanded in them; in single quotes everything stands for itself, but a backslash hides the closing quote; in double
//! quotes backslashes escape, and `$` is expanded unless it is escaped.

/// The longest value, in bytes: more than Linux gives a variable of a program.
const VALUE_BYTES: usize = 128 * 1024;

/// Why a value cannot be written. It holds nothing of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    #[error("it holds a NUL character, which no variable can")]
    Nul,
    #[error("it is longer than {VALUE_BYTES} bytes")]
    TooLong,
}

/// The value as it stands in an env file, without quotes where none are needed.
///
/// # Errors
/// A value that no variable can have.
pub fn quote(value: &str) -> Result<String, QuoteError> {
    if value.contains('\0') {
        return Err(QuoteError::Nul);
    }
    if value.len() > VALUE_BYTES {
        return Err(QuoteError::TooLong);
    }
    if value.bytes().all(is_plain) {
        return Ok(value.to_owned());
    }
    // A carriage return before a line break would be dropped, and a backslash at the end would hide the quote.
    if !value.contains(['\'', '\r', '\n', '\\']) {
        return Ok(format!("'{value}'"));
    }
    let mut quoted = String::with_capacity(value.len() + 16);
    quoted.push('"');
    for c in value.chars() {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            '$' => quoted.push_str("\\$"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    Ok(quoted)
}

/// What needs no quotes, wherever it stands in a value.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-./:@%+,=~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_only_where_they_are_needed() {
        for (value, expected) in [
            ("", ""),
            ("aZ09_-./:@%+,=~", "aZ09_-./:@%+,=~"),
            ("a b", "'a b'"),
            ("#x", "'#x'"),
            ("$HOME", "'$HOME'"),
            ("say \"hi\"", "'say \"hi\"'"),
            ("it's", "\"it's\""),
            ("it's \"$5\" \\", "\"it's \\\"\\$5\\\" \\\\\""),
            ("a\nb", "\"a\\nb\""),
            ("ä", "'ä'"),
        ] {
            assert_eq!(quote(value).unwrap(), expected, "{value:?}");
        }
        assert_eq!(quote("a\0"), Err(QuoteError::Nul));
        assert_eq!(quote(&"x".repeat(VALUE_BYTES + 1)), Err(QuoteError::TooLong));
    }
}
