//! HTTP by hand: what is sent is what is written here.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// Sends bytes and reads until the other side closes, or says nothing more for a while.
pub fn send(socket: &Path, bytes: &[u8], patience: Duration) -> Vec<u8> {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    stream.set_write_timeout(Some(patience)).unwrap();
    // A guard that has read enough closes early; what it said still counts.
    let _ = stream.write_all(bytes);
    let (mut answer, mut buffer) = (Vec::new(), [0; 16384]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return answer,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return answer,
        }
    }
}

/// One plain call. HTTP/1.0, so that the answer is neither chunked nor kept open.
pub fn call(socket: &Path, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = send(socket, request.as_bytes(), Duration::from_secs(60));
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method} {path}: {text:?}"));
    (status(head.as_bytes()).unwrap(), serde_json::from_str(body).unwrap_or_default())
}

/// The status of the first answer.
pub fn status(answer: &[u8]) -> Option<u16> {
    String::from_utf8_lossy(answer).lines().next()?.split(' ').nth(1)?.parse().ok()
}
