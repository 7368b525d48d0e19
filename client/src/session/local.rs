//! The way to the agent on this machine: its own Unix socket, without SSH. Who it is and what that one may do, the agent has
//! from the kernel.

use super::{Dial, Receive, Send, SessionError};
use crate::{config::agent_state, sys};
use std::path::PathBuf;
use wharf_proto::{Failure, FailureKind};
use wharf_ssh::Stage;

/// Names the socket, instead of the places where it is looked for.
const VARIABLE: &str = "WHARF_SOCKET";
/// The server's own configuration, which may name another socket.
const CONFIG: &str = "/etc/wharf/wharfd.toml";
const CONFIG_BYTES: u64 = 1024 * 1024;
/// Its name in a state folder.
const SOCKET: &str = "wharfd.sock";

/// Opens conversations with the agent on this machine.
#[derive(Debug)]
pub struct Local {
    sockets: Vec<PathBuf>,
}

impl Local {
    /// By the variable `WHARF_SOCKET`, else where agents have their sockets: one that this person runs first.
    pub fn of_process() -> Self {
        if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
            return Self { sockets: vec![path.into()] };
        }
        let mut sockets: Vec<PathBuf> = agent_state().map(|state| state.join(SOCKET)).into_iter().collect();
        sockets.extend(configured());
        sockets.push(PathBuf::from("/run/wharf").join(SOCKET));
        sockets.push(PathBuf::from("/var/lib/wharf").join(SOCKET));
        let mut known = std::collections::BTreeSet::new();
        sockets.retain(|path| known.insert(path.clone()));
        Self { sockets }
    }
}

/// Where the server's configuration has the socket, as far as it can be read.
fn configured() -> Option<PathBuf> {
    if std::fs::metadata(CONFIG).ok()?.len() > CONFIG_BYTES {
        return None;
    }
    let config: toml::Table = std::fs::read_to_string(CONFIG).ok()?.parse().ok()?;
    let path = |key: &str| config.get(key).and_then(toml::Value::as_str).map(PathBuf::from);
    path("socket_path").or_else(|| Some(path("state")?.join(SOCKET)))
}

/// Nobody answers, or nobody lets us in.
fn nobody(tried: Vec<String>) -> SessionError {
    let failure = Failure::new(FailureKind::Unreachable, "no wharfd of this machine answers");
    let failure = tried.into_iter().fold(failure, Failure::cause);
    let failure = if cfg!(unix) {
        failure.hint(start_it()).hint(let_in())
    } else {
        failure.hint("wharfd runs on Linux; name a server: host = \"user@host\" under [env.local.server]")
    };
    SessionError::Connect { stage: Stage::Connection, failure }
}

fn start_it() -> String {
    let state = agent_state().unwrap_or_else(|| "/var/lib/wharf".into());
    format!(
        "start one for yourself, as a user who may use Docker, and leave it running: wharfd serve --listen none --state {}",
        state.display()
    )
}

fn let_in() -> String {
    format!(
        "or let yourself in to the one that serves this machine: in {CONFIG} socket_path = \"/run/wharf/{SOCKET}\" and \
         [[socket]] user = \"{}\", role = \"admin\", apps = [\"*\"]; then restart it",
        sys::person().split('@').next().unwrap_or("you")
    )
}

#[cfg(not(unix))]
#[async_trait::async_trait]
impl Dial for Local {
    async fn dial(&self) -> Result<(Box<dyn Send>, Box<dyn Receive>), SessionError> {
        Err(nobody(vec!["there is none for this system".to_owned()]))
    }
}

#[cfg(unix)]
mod unix {
    use super::*;
    use async_trait::async_trait;
    use std::io::ErrorKind;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{
            UnixStream,
            unix::{OwnedReadHalf, OwnedWriteHalf},
        },
    };
    use wharf_proto::{
        frame::{Assembler, Frame},
        preamble::Preamble,
    };

    const READ_BYTES: usize = 64 * 1024;

    #[async_trait]
    impl Dial for Local {
        async fn dial(&self) -> Result<(Box<dyn Send>, Box<dyn Receive>), SessionError> {
            let mut tried = Vec::new();
            for path in &self.sockets {
                match UnixStream::connect(path).await {
                    Ok(stream) => return begin(stream, path).await,
                    // A socket that nobody listens at any more is as good as none.
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        tried.push(format!("there is no {}", path.display()));
                    }
                    Err(error) => tried.push(format!("{}: {error}", path.display())),
                }
            }
            Err(nobody(tried))
        }
    }

    async fn begin(
        mut stream: UnixStream,
        path: &std::path::Path,
    ) -> Result<(Box<dyn Send>, Box<dyn Receive>), SessionError> {
        let preamble = Preamble::own().encode().map_err(|error| broken(std::io::Error::other(error)))?;
        stream.write_all(&preamble).await.map_err(broken)?;
        let (rx, tx) = stream.into_split();
        let path = path.display().to_string();
        Ok((
            Box::new(Tx(tx)),
            Box::new(Rx { stream: rx, frames: Assembler::default(), greeted: false, path }),
        ))
    }

    struct Tx(OwnedWriteHalf);

    #[async_trait]
    impl Send for Tx {
        async fn send(&mut self, frame: Frame) -> Result<(), SessionError> {
            self.0.write_all(&frame.encode()?).await.map_err(broken)
        }
    }

    struct Rx {
        stream: OwnedReadHalf,
        frames: Assembler,
        /// Whether the agent has said anything.
        greeted: bool,
        path: String,
    }

    #[async_trait]
    impl Receive for Rx {
        async fn receive(&mut self) -> Result<Option<Frame>, SessionError> {
            let mut piece = vec![0; READ_BYTES];
            loop {
                if let Some(frame) = self.frames.next_frame()? {
                    self.greeted = true;
                    return Ok(Some(frame));
                }
                // Nothing is read before this comes back, so that dropping it loses nothing.
                match self.stream.read(&mut piece).await {
                    Ok(0) | Err(_) if !self.greeted => return Err(turned_away(&self.path)),
                    Ok(0) => return Ok(None),
                    Ok(count) => self.frames.push(piece.get(..count).unwrap_or_default()),
                    Err(error) => return Err(broken(error)),
                }
            }
        }
    }

    /// The agent hangs up on users that it has no rule for.
    fn turned_away(path: &str) -> SessionError {
        let failure =
            Failure::new(FailureKind::Unauthorized, "the wharfd of this machine lets this user do nothing")
                .cause(format!("it hung up at {path}"))
                .hint(let_in());
        SessionError::Connect { stage: Stage::Login, failure }
    }

    fn broken(error: std::io::Error) -> SessionError {
        SessionError::Broken { source: Some(Box::new(error)) }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::session::Session;
    use std::sync::Arc;
    use wharf_proto::message::Request;

    async fn asks(sockets: Vec<PathBuf>) -> Failure {
        let session = Session::new(Arc::new(Local { sockets }), "ada@laptop".into());
        session.ask(Request::Status { app: None }).await.unwrap_err().into()
    }

    #[tokio::test]
    async fn where_no_agent_answers_it_is_said_how_to_have_one() {
        let folder = tempfile::tempdir().unwrap();
        let stale = folder.path().join("stale.sock");
        drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
        let failure = asks(vec![folder.path().join("none.sock"), stale]).await;
        assert_eq!(failure.kind, FailureKind::Unreachable);
        assert!(failure.causes[0].contains("there is no") && failure.causes[1].contains("refused"));
        assert!(failure.hints[0].contains("wharfd serve --listen none"), "{failure:?}");
        assert!(failure.hints[1].contains("[[socket]]"), "{failure:?}");
    }

    #[tokio::test]
    async fn who_is_turned_away_is_told_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wharfd.sock");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        tokio::spawn(async move { drop(listener.accept().await) });
        let failure = asks(vec![path]).await;
        assert_eq!(failure.kind, FailureKind::Unauthorized, "{failure:?}");
    }
}
