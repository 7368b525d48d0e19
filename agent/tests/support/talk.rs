//! One conversation, over OpenSSH's client, in any order and with any bytes.

use super::PATIENCE;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use wharf_proto::Failure;
use wharf_proto::frame::{Assembler, Frame, Kind};
use wharf_proto::message::{ClientMessage, Request, ServerMessage};
use wharf_proto::version::Hello;

/// A client that says what it is told to. Dropping it is the client's sudden death.
pub struct Talk {
    // Killed when dropped.
    _ssh: Child,
    to: Option<ChildStdin>,
    from: ChildStdout,
    assembler: Assembler,
}

impl Talk {
    pub fn over_ssh(key: &Path, port: u16) -> Self {
        let mut ssh = Command::new("ssh")
            .args(["-F", "none", "-T", "-p", &port.to_string(), "-i"])
            .arg(key)
            .args(["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"])
            .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
            .args(["-o", "ConnectTimeout=20", "wharf@127.0.0.1", "wharf"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the OpenSSH client runs");
        let to = ssh.stdin.take();
        let from = ssh.stdout.take().expect("stdout is piped");
        Self { _ssh: ssh, to, from, assembler: Assembler::default() }
    }

    /// Begins with this build's hello.
    pub async fn open(&mut self, request: Request) {
        self.open_as(Hello::ours("wharf of the tests"), request).await;
    }

    pub async fn open_as(&mut self, hello: Hello, request: Request) {
        let hello = Box::new(hello);
        self.say(&ClientMessage::Open { hello, person: "ada@laptop".into(), request }).await;
    }

    pub async fn say(&mut self, message: &impl serde::Serialize) {
        let frame = Frame::control(message).expect("a message within the limits");
        self.say_bytes(&frame.encode().expect("a frame within the limits")).await;
    }

    pub async fn say_bulk(&mut self, payload: &[u8]) {
        let frame = Frame { kind: Kind::Bulk, payload: payload.to_vec().into() };
        self.say_bytes(&frame.encode().expect("a frame within the limits")).await;
    }

    /// Any bytes. An agent that has ended the conversation already takes none, and that is no failure of the test's.
    pub async fn say_bytes(&mut self, bytes: &[u8]) {
        let Some(to) = &mut self.to else { return };
        let written =
            tokio::time::timeout(PATIENCE, async { to.write_all(bytes).await.and(to.flush().await) });
        if written.await.expect("the agent takes what is said").is_err() {
            self.to = None;
        }
    }

    /// Will say no more, but listens.
    pub fn hang_up(&mut self) {
        self.to = None;
    }

    /// The next message; `None` at the end of the conversation.
    pub async fn hear(&mut self) -> Option<ServerMessage> {
        let next = async {
            loop {
                if let Some(frame) = self.assembler.next_frame().expect("agents speak in frames") {
                    return Some(frame.message().expect("agents say what is known"));
                }
                let mut piece = [0; 64 * 1024];
                let count = self.from.read(&mut piece).await.expect("a pipe that can be read");
                if count == 0 {
                    assert!(self.assembler.is_empty(), "the agent stopped in the middle of a frame");
                    return None;
                }
                self.assembler.push(&piece[..count]);
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("the agent answers")
    }

    /// Everything up to the end.
    pub async fn rest(&mut self) -> Vec<ServerMessage> {
        let mut heard = Vec::new();
        while let Some(message) = self.hear().await {
            heard.push(message);
        }
        heard
    }

    /// The failure that ends the conversation, while the client still holds its end open.
    pub async fn failure(&mut self) -> Failure {
        let mut heard = self.rest().await;
        let last = heard.pop();
        let ends = |message: &ServerMessage| {
            matches!(message, ServerMessage::Failed { .. } | ServerMessage::Reply { .. } | ServerMessage::End)
        };
        assert!(!heard.iter().any(ends), "one end: {heard:?}");
        match last {
            Some(ServerMessage::Failed { failure }) => failure,
            other => unreachable!("no failure: {heard:?}, then {other:?}"),
        }
    }
}
