//! The real agent in this process, with folders, a key and a port of its own.

pub mod deploys;
pub mod talk;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use talk::Talk;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wharf_proto::message::{Reply, Request, ServerMessage};
use wharfd::config::Config;
use wharfd::daemon::{self, DaemonError};

/// Far longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often a file is looked for that the agent writes when it serves.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// An agent that serves. Its folders go with it.
pub struct Agent {
    folder: tempfile::TempDir,
    pub port: u16,
    stop: CancellationToken,
    running: JoinHandle<Result<(), DaemonError>>,
}

impl Agent {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("srv")).expect("a folder of the test's");
        make_key(&folder.path().join("key")).await;
        let keys = folder.path().join("key.pub");
        let config = Config {
            state: folder.path().join("state"),
            listen: "127.0.0.1:0".into(),
            authorized_keys: keys,
            ..Config::default()
        };
        let stop = CancellationToken::new();
        let running =
            tokio::spawn(daemon::run(config, stop.clone().cancelled_owned(), std::sync::Arc::default()));
        let mut agent = Self { folder, port: 0, stop, running };
        agent.port = agent.port_when_it_serves().await;
        agent
    }

    async fn port_when_it_serves(&self) -> u16 {
        let file = self.state().join("address");
        let written = async {
            loop {
                assert!(!self.running.is_finished(), "the agent did not start");
                let address = std::fs::read_to_string(&file).unwrap_or_default();
                if let Some(port) = address.rsplit(':').next().and_then(|port| port.parse().ok()) {
                    return port;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(PATIENCE, written).await.expect("the agent says where it listens")
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    /// Puts `options` before the key in `authorized_keys`, in place of what stood there.
    pub fn limit_key(&self, options: &str) {
        let file = self.key().with_extension("pub");
        let line = std::fs::read_to_string(&file).expect("a file of the test's");
        let key = line.find("ssh-ed25519").and_then(|at| line.get(at..)).expect("a key");
        std::fs::write(&file, format!("{options} {key}")).expect("a file of the test's");
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the tests' apps would live: nothing but apps and what jobs put beside them is in there.
    pub fn apps(&self) -> PathBuf {
        self.folder.path().join("srv")
    }

    /// A conversation that has not begun.
    pub fn talk(&self) -> Talk {
        Talk::over_ssh(&self.key(), self.port)
    }

    /// Asks, and hears the one answer.
    pub async fn ask(&self, request: Request) -> Reply {
        let mut talk = self.talk();
        talk.open(request).await;
        let heard = talk.rest().await;
        match heard.as_slice() {
            [ServerMessage::Hello { .. }, ServerMessage::Reply { reply }] => reply.clone(),
            other => unreachable!("not an answer: {other:?}"),
        }
    }

    /// The agent serves on, and nothing is left of what was refused: no job, no app, no folder beside an app.
    pub async fn is_as_new(&self) {
        let jobs = self.ask(Request::Jobs { app: None, limit: 100 }).await;
        assert_eq!(jobs, Reply::Jobs { jobs: Vec::new() });
        assert_eq!(self.ask(Request::Status { app: None }).await, Reply::Status { apps: Vec::new() });
        assert_eq!(listed(&self.apps()), Vec::<String>::new(), "beside the app directory");
        assert_eq!(listed(&self.state().join("jobs")), Vec::<String>::new(), "logs of jobs");
        assert_eq!(listed(&self.state().join("blobs/tmp")), Vec::<String>::new(), "half-written content");
    }

    /// Ends the agent, which must not have failed.
    pub async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.running).await.expect("the agent stops");
        ended.expect("the agent did not panic").expect("the agent did not fail");
    }
}

/// The names in a folder.
pub fn listed(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder that can be listed");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("an entry").file_name().to_string_lossy().into_owned()
    };
    entries.map(name).collect()
}

/// A key pair; the public half is made what `authorized_keys` must be.
async fn make_key(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let made = tokio::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "ada of the tests", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status();
    let made = tokio::time::timeout(PATIENCE, made).await.expect("ssh-keygen ends");
    assert!(made.expect("ssh-keygen runs; it is part of OpenSSH").success());
    let public = path.with_extension("pub");
    std::fs::set_permissions(public, std::fs::Permissions::from_mode(0o600)).expect("a file of the test's");
}
