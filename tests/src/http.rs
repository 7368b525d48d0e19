//! Just enough of HTTP to ask an app on loopback: one request, one connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Status and body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// `GET path`; `None` where nobody answers.
pub fn get(port: u16, path: &str) -> Option<Answer> {
    request(port, &format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"))
}

/// `POST path` with a JSON body.
pub fn post(port: u16, path: &str, json: &str) -> Option<Answer> {
    let length = json.len();
    request(
        port,
        &format!(
            "POST {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{json}"
        ),
    )
}

/// Asks until the answer is 200. Only for a stack that the test itself started without `--wait`.
///
/// # Panics
/// After a minute.
pub fn get_when_up(port: u16, path: &str) -> Answer {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match get(port, path) {
            Some(answer) if answer.status == 200 => return answer,
            other => assert!(Instant::now() < until, "{path} still answers {other:?}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn request(port: u16, text: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(text.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

/// A port that nothing listens on at this moment.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
