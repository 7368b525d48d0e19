//! Where a secret's value comes from.

use crate::session::Asker;
use std::io::{IsTerminal as _, Read as _};
use wharf_proto::{Failure, FailureKind, secret::SecretValue};

/// The longest value that is read, in bytes; the server takes less.
const VALUE_BYTES: u64 = 1024 * 1024;
/// A generated value: letters and digits, which no URL and no shell minds. 190 bits.
const GENERATED_CHARACTERS: usize = 32;

/// Asks for the value of `key`, without showing what is typed; without a terminal, standard input is the value.
///
/// # Errors
/// Nothing can be read, or nothing is there.
pub async fn ask(key: &str, yes: bool) -> Result<SecretValue, Failure> {
    if std::io::stdin().is_terminal() {
        return Asker::of_process(yes).secret(format!("Value of {key}")).await.map(SecretValue::new);
    }
    piped(key, read_stdin()?)
}

/// Nothing at all is what a pipe brings whose left side failed: that must not take the place of a secret. An empty line is
/// no value either, for the same reason.
pub(super) fn piped(key: &str, value: String) -> Result<SecretValue, Failure> {
    if value.is_empty() {
        return Err(Failure::new(FailureKind::Config, format!("standard input has no value for {key}"))
            .cause("it is empty, as where the command on the left of the pipe failed; nothing was changed")
            .hint("pipe the value in, or type it on a terminal"));
    }
    Ok(SecretValue::new(value))
}

/// Standard input, without the line break that `echo` puts at its end.
///
/// # Errors
/// It cannot be read, is too long, or is not text.
pub fn read_stdin() -> Result<String, Failure> {
    let wrong = |why: String| {
        Failure::new(FailureKind::Config, "the value cannot be read from standard input").cause(why)
    };
    let mut value = String::new();
    std::io::stdin()
        .take(VALUE_BYTES + 1)
        .read_to_string(&mut value)
        .map_err(|error| wrong(error.to_string()))?;
    if value.len() as u64 > VALUE_BYTES {
        return Err(wrong(format!("it is longer than {VALUE_BYTES} bytes")));
    }
    let stripped = value.strip_suffix('\n').map(|value| value.strip_suffix('\r').unwrap_or(value));
    Ok(stripped.unwrap_or(&value).to_owned())
}

/// A random value.
pub fn generate() -> SecretValue {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let one = |_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())]);
    SecretValue::new((0..GENERATED_CHARACTERS).map(one).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_pipe_is_no_value() {
        let refused = piped("DB_PASSWORD", String::new()).unwrap_err();
        assert_eq!(refused.message, "standard input has no value for DB_PASSWORD");
        assert_eq!(piped("DB_PASSWORD", " ".into()).unwrap().expose(), " ");
    }

    #[test]
    fn generated_values_are_plain_and_differ() {
        let (one, other) = (generate(), generate());
        assert_ne!(one, other);
        assert_eq!(one.expose().len(), GENERATED_CHARACTERS);
        assert!(one.expose().bytes().all(|b| b.is_ascii_alphanumeric()));
    }
}
