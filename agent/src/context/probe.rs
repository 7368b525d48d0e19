//! Whether a socket is a guard: it refuses an address that can be read in two ways, which an engine answers.

use super::error::ContextError;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// More than any answer that is looked at.
const ANSWER_BYTES: u64 = 16 * 1024;
/// What an engine answers that nobody guards. `_ping`, written so that no honest client would. It changes nothing anywhere.
const ASK: &[u8] = b"GET /%5Fping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";

/// # Errors
/// Nothing answers there, `user` may not ask, or it is something else.
pub fn guard(path: &Path, user: &str) -> Result<(), ContextError> {
    let answer = ask(path).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => {
            ContextError::NotAllowed { user: user.to_owned(), path: path.to_owned(), source }
        }
        _ => ContextError::NoSocket { path: path.to_owned(), source },
    })?;
    let refused = answer.starts_with("HTTP/1.1 400") && answer.contains("{\"message\":\"refused: ");
    if refused { Ok(()) } else { Err(ContextError::NoGuard { path: path.to_owned() }) }
}

pub(crate) fn ask(path: &Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    stream.write_all(ASK)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
