//! What reaches the other side byte by byte, with an engine that only writes down what it is told.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use wharf_guard::Policy;

use crate::engine::Guard;
use crate::raw;

const PATIENCE: Duration = Duration::from_secs(5);

/// An engine that answers every request alike and tells what it read.
struct Scribe {
    folder: tempfile::TempDir,
    heard: Receiver<String>,
}

impl Scribe {
    fn start(answer: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("engine.sock")).unwrap();
        let (tell, heard) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, tell) = (stream.unwrap(), tell.clone());
                std::thread::spawn(move || listen(stream, answer, &tell));
            }
        });
        Self { folder, heard }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }

    fn next(&self) -> String {
        self.heard.recv_timeout(PATIENCE).unwrap()
    }
}

/// Answers once and tells what it hears, except for the guard's own question after what an earlier one left.
fn listen(mut stream: UnixStream, answer: &str, tell: &Sender<String>) {
    let mut buffer = [0; 65536];
    let mut answered = false;
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        let heard = String::from_utf8_lossy(&buffer[..count]).into_owned();
        if heard.contains("/containers/json?all=1&filters=") {
            return stream.write_all(OK.as_bytes()).unwrap();
        }
        let _ = tell.send(heard);
        if !answered {
            let _ = stream.write_all(answer.as_bytes());
            answered = true;
        }
    }
    let _ = tell.send("<end>".to_owned());
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]";
const OPEN: Policy = Policy { allow_root_equivalent: true };

fn send(guard: &Guard, request: &str) -> String {
    String::from_utf8_lossy(&raw::send(&guard.socket(), request.as_bytes(), PATIENCE)).into_owned()
}

#[test]
fn requests_are_written_anew() {
    let scribe = Scribe::start(OK);
    let guard = Guard::start(&scribe.socket(), OPEN);
    let sent = "POST /v1.45/images/create?fromImage=a%2Fb&tag=%31 HTTP/1.1\r\nhost: evil\r\nX-Registry-Auth: abc\r\nTransfer-Encoding: chunked\r\n\
                Connection: close, X-Gone\r\nX-Gone: y\r\nTE: trailers\r\nKeep-Alive: 5\r\nExpect: 100-continue\r\n\r\n3;ext=1\r\nabc\r\n0\r\nX-Trailer: z\r\n\r\n";
    assert!(send(&guard, sent).contains("200 OK"));
    let mut heard = scribe.next();
    while !heard.ends_with("0\r\n\r\n") {
        heard += &scribe.next();
    }
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<String> = head.lines().map(str::to_ascii_lowercase).collect();
    assert_eq!(lines.remove(0), "post /v1.45/images/create?fromimage=a%2fb&tag=1 http/1.1");
    lines.sort();
    assert_eq!(lines, ["host: docker", "transfer-encoding: chunked", "x-registry-auth: abc"]);
    assert_eq!(body, "3\r\nabc\r\n0\r\n\r\n");
}

#[test]
fn what_is_refused_is_never_heard_of() {
    let scribe = Scribe::start(OK);
    let guard = Guard::start(&scribe.socket(), OPEN);
    for request in [
        "DELETE /volumes/x HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /info HTTP/1.1\r\nHost: d\r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\n\r\n",
        "DELETE http://d/volumes/x HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n",
    ] {
        let answer = send(&guard, request);
        assert!(!answer.contains("200 OK"), "{request}: {answer}");
    }
    // A creation whose body is too large to look at.
    let body = format!("{{\"Image\":\"{}\"}}", "x".repeat(5 << 20));
    let answer = send(
        &guard,
        &format!(
            "POST /containers/create HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    // The next thing that the engine hears is the next thing that may pass.
    assert!(send(&guard, "GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n").contains("200 OK"));
    assert!(scribe.next().starts_with("GET /_ping HTTP/1.1\r\n"));
}

#[test]
fn a_client_that_hangs_up_ends_the_call() {
    let scribe = Scribe::start("");
    let guard = Guard::start(&scribe.socket(), OPEN);
    let mut client = UnixStream::connect(guard.socket()).unwrap();
    client.write_all(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n").unwrap();
    assert!(scribe.next().starts_with("GET /events"));
    drop(client);
    assert_eq!(scribe.next(), "<end>");

    let scribe = Scribe::start("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    let guard = Guard::start(&scribe.socket(), OPEN);
    let mut client = UnixStream::connect(guard.socket()).unwrap();
    client.write_all(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n").unwrap();
    read_until(&mut client, "first");
    drop(client);
    assert!(scribe.next().starts_with("GET /events"));
    assert_eq!(scribe.next(), "<end>");
}

#[test]
fn raw_streams_pass_both_ways_and_end_one_way_at_a_time() {
    let scribe = Scribe::start(
        "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nhello",
    );
    let guard = Guard::start(&scribe.socket(), OPEN);
    let mut client = UnixStream::connect(guard.socket()).unwrap();
    client.write_all(b"POST /containers/c/attach?stream=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n").unwrap();
    let head = read_until(&mut client, "hello");
    assert!(head.starts_with("HTTP/1.1 101") && head.to_ascii_lowercase().contains("upgrade: tcp"), "{head}");
    assert!(scribe.next().to_ascii_lowercase().contains("upgrade: tcp"));
    // Now it is no longer HTTP, and nobody reads it as such on either side.
    client.write_all(b"DELETE /volumes/x HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(scribe.next(), "DELETE /volumes/x HTTP/1.1\r\n\r\n");
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(scribe.next(), "<end>");
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
}

#[test]
fn an_engine_that_switches_unasked_is_not_believed() {
    let scribe = Scribe::start("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
    let guard = Guard::start(&scribe.socket(), OPEN);
    let answer = send(&guard, "GET /info HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
}

#[test]
fn stopping_ends_what_hangs() {
    let scribe = Scribe::start("");
    let guard = Guard::start(&scribe.socket(), OPEN);
    let mut client = UnixStream::connect(guard.socket()).unwrap();
    client.write_all(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n").unwrap();
    assert!(scribe.next().starts_with("GET /events"));
    let socket = guard.socket();
    drop(guard);
    assert!(!Path::new(&socket).exists());
    assert_eq!(scribe.next(), "<end>");
}

fn read_until(stream: &mut UnixStream, what: &str) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !text.contains(what) {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "ended after {text:?}");
        text += &String::from_utf8_lossy(&buffer[..count]);
    }
    text
}
