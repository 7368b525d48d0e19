//! The program against the agent's own SSH server on loopback. What answers behind it is a script.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::Command,
    sync::oneshot,
};
use wharf_agent_ssh::{Conversation, Handler, Limits, Peer, ServerConfig, load_or_create_host_key, serve};
use wharf_proto::{
    Digest, Event, EventBody, Failure, FailureKind, JobId, Outcome, ReleaseId, Step,
    event::JobKind,
    frame::{Frame, Kind},
    message::{ClientMessage, Reply, Request, ServerMessage},
    release::ReleaseInfo,
    version::Hello,
};

const JOB: JobId = JobId(7);

/// A project, a key that may come in, and a server that listens.
struct World {
    folder: tempfile::TempDir,
    _stop: oneshot::Sender<()>,
}

impl World {
    async fn new(handler: impl Handler) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let host_key = load_or_create_host_key(&at("host_key")).unwrap();
        let public = load_or_create_host_key(&at("id_ed25519")).unwrap().public_key().to_openssh().unwrap();
        fs::write(at("authorized_keys"), format!("{public}\n")).unwrap();
        fs::set_permissions(at("authorized_keys"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let config =
            ServerConfig { host_key, authorized_keys: at("authorized_keys"), limits: Limits::default() };
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(serve(listener, config, Arc::new(handler), async {
            let _ = stopped.await;
        }));
        fs::create_dir(at("project")).unwrap();
        fs::write(at("project/docker-compose.yml"), "services: {}\n").unwrap();
        fs::write(at("project/data.bin"), vec![7; 3_000_000]).unwrap();
        fs::write(at("ssh_config"), "").unwrap();
        let toml = format!(
            "app = \"fit\"\n[server]\nhost = \"deploy@127.0.0.1:{port}\"\npath = \"/srv/fit\"\nidentity = \"../id_ed25519\"\n\
            [compose]\nfiles = [\"docker-compose.yml\"]\n"
        );
        fs::write(at("project/wharf.toml"), toml).unwrap();
        Self { folder, _stop: stop }
    }

    fn command(&self, args: &[&str]) -> Command {
        let at = |name: &str| self.folder.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
        command
            .args(args)
            .current_dir(at("project"))
            .env("HOME", self.folder.path())
            .env("WHARF_KNOWN_HOSTS", at("known_hosts"))
            .env("WHARF_SSH_CONFIG", at("ssh_config"))
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("WHARF_ENV")
            .env_remove("WHARF_SSH_KEY")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn wharf(&self, args: &[&str]) -> Output {
        self.command(args).output().await.unwrap()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// One conversation after its hellos.
struct Talk(Conversation);

impl Talk {
    async fn begin(conversation: Conversation) -> Option<(Self, Request)> {
        let mut talk = Self(conversation);
        let Some(ClientMessage::Open { request, .. }) = talk.message().await else { return None };
        talk.say(ServerMessage::Hello { hello: Hello::ours("wharfd 0.0.0 (script)") }).await;
        Some((talk, request))
    }

    async fn message(&mut self) -> Option<ClientMessage> {
        self.0.recv().await.ok().flatten().map(|frame| frame.message().unwrap())
    }

    async fn say(&mut self, message: ServerMessage) {
        let _ = self.0.sender().send(Frame::control(&message).unwrap()).await;
    }

    async fn event(&mut self, index: u64) {
        let body = match index {
            0 => EventBody::Announced {
                job_kind: JobKind::Deploy { release: ReleaseId(2) },
                app: "fit".parse().unwrap(),
                steps: vec![Step::Plan],
            },
            9 => EventBody::Finished { outcome: put_back() },
            _ => EventBody::Output { step: Step::Plan, service: None, line: format!("line {index}") },
        };
        let event = Event { job: JOB, index, at: "2026-11-21T10:00:00Z".parse().unwrap(), body };
        self.say(ServerMessage::Event { event }).await;
    }
}

fn put_back() -> Outcome {
    let failure = Failure::new(FailureKind::Verify, "web is not healthy");
    Outcome::PutBack { failure, live: Some(ReleaseId(1)) }
}

/// Keeps chunks; breaks the first conversation of a job in its middle.
#[derive(Default, Clone)]
struct Script {
    stored: Arc<Mutex<BTreeSet<Digest>>>,
    packs: Arc<AtomicU32>,
    watched: Arc<AtomicU32>,
    /// Whether a job never ends.
    endless: bool,
}

#[async_trait::async_trait]
impl Handler for Script {
    async fn conversation(&self, _peer: Peer, conversation: Conversation) {
        let Some((mut talk, request)) = Talk::begin(conversation).await else { return };
        match request {
            Request::Releases { .. } => {
                let release = ReleaseInfo {
                    release: ReleaseId(1),
                    live: true,
                    adopted: false,
                    created: "2026-11-21T10:00:00Z".parse().unwrap(),
                    versions: std::collections::BTreeMap::new(),
                    message: None,
                    by: "ann".into(),
                    git_commit: None,
                    backup: None,
                    proof: None,
                    promoted: None,
                };
                talk.say(ServerMessage::Reply { reply: Reply::Releases { releases: vec![release] } }).await;
            }
            Request::Deploy(_) => {
                if self.receive(&mut talk).await.is_some() {
                    talk.say(ServerMessage::Accepted { job: JOB }).await;
                    self.tell(&mut talk, 0).await;
                }
            }
            Request::Attach { from_index, .. } => self.tell(&mut talk, from_index).await,
            other => panic!("{other:?}"),
        }
    }
}

impl Script {
    async fn receive(&self, talk: &mut Talk) -> Option<()> {
        let mut wanted = BTreeSet::new();
        loop {
            let ClientMessage::Manifest { entries, last } = talk.message().await? else {
                panic!("no manifest")
            };
            for entry in &entries {
                if let wharf_proto::EntryKind::File { chunks, .. } = &entry.kind {
                    wanted.extend(chunks.iter().map(|chunk| chunk.digest));
                }
            }
            if last {
                break;
            }
        }
        let missing: Vec<Digest> = wanted.difference(&self.stored.lock().unwrap()).copied().collect();
        talk.say(ServerMessage::Missing { digests: missing.clone(), last: true }).await;
        loop {
            match talk.message().await? {
                ClientMessage::Pack { size_bytes, .. } => {
                    let mut left = size_bytes;
                    while left > 0 {
                        let frame = talk.0.recv().await.ok()??;
                        assert_eq!(frame.kind, Kind::Bulk);
                        left -= frame.payload.len() as u64;
                    }
                    self.packs.fetch_add(1, Ordering::SeqCst);
                    talk.say(ServerMessage::Stored { chunks: 1 }).await;
                }
                ClientMessage::Sent => {
                    self.stored.lock().unwrap().extend(missing);
                    return Some(());
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// The first watcher is left after three events; the next are told more than they asked for.
    async fn tell(&self, talk: &mut Talk, from: u64) {
        let first = self.watched.fetch_add(1, Ordering::SeqCst) == 0;
        let end = if first { 3 } else { 10 };
        for index in from.saturating_sub(1)..end {
            talk.event(index).await;
        }
        if self.endless {
            talk.0.sender().gone().await;
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_known_is_let_in_by_the_flag_alone() {
    let world = World::new(Script::default()).await;
    let output = world.wharf(&["releases"]).await;
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(4), ""));
    assert!(text(&output.stderr).contains("--accept-new-host-key"), "{}", text(&output.stderr));
    assert!(!world.path("known_hosts").exists());

    let output = world.wharf(&["releases", "--accept-new-host-key"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("v1       live"), "{}", text(&output.stdout));
    // From now on it is known.
    assert_eq!(world.wharf(&["releases"]).await.status.code(), Some(0));
}

#[tokio::test]
async fn a_key_may_come_from_the_environment_and_must_be_authorized() {
    let world = World::new(Script::default()).await;
    world.wharf(&["releases", "--accept-new-host-key"]).await;
    let key = |name: &str| fs::read_to_string(world.path(name)).unwrap();
    load_or_create_host_key(&world.path("other")).unwrap();
    for (name, code) in [("id_ed25519", 0), ("other", 4)] {
        let output = world.command(&["releases"]).env("WHARF_SSH_KEY", key(name)).output().await.unwrap();
        assert_eq!(output.status.code(), Some(code), "{name}: {}", text(&output.stderr));
        assert!(!text(&output.stderr).contains("PRIVATE KEY"));
    }
}

#[tokio::test]
async fn a_deploy_ships_once_and_tells_every_event_once_over_a_lost_connection() {
    let script = Script::default();
    let world = World::new(script.clone()).await;
    let output = world.wharf(&["deploy", "--json", "--accept-new-host-key"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let indices: Vec<u64> = lines
        .iter()
        .filter(|line| line["type"] == "event")
        .map(|line| line["index"].as_u64().unwrap())
        .collect();
    assert_eq!(indices, (0..10).collect::<Vec<_>>());
    assert!(script.watched.load(Ordering::SeqCst) >= 2, "the connection was lost");
    assert_eq!(lines.last().unwrap()["result"], "put_back");
    let packs = script.packs.load(Ordering::SeqCst);
    assert!(packs >= 1);

    let output = world.wharf(&["deploy"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(script.packs.load(Ordering::SeqCst), packs, "what is there is not sent again");
    assert!(text(&output.stderr).contains("web is not healthy"));
    assert_eq!(text(&output.stdout), "");
}

#[tokio::test]
async fn who_interrupts_is_told_that_the_job_goes_on() {
    let script = Script { endless: true, ..Script::default() };
    let world = World::new(script).await;
    let args = ["deploy", "--accept-new-host-key"];
    let mut child = world.command(&args).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut told = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        told += &format!("{line}\n");
        if line.contains("line 2") {
            let id = nix::unistd::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
            nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
        }
    }
    assert_eq!(child.wait().await.unwrap().code(), Some(130), "{told}");
    assert!(told.contains("`wharf deploy --attach 7`"), "{told}");
    assert_private(&world.path("known_hosts"));
}

/// What was remembered is the person's own.
fn assert_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o022, 0);
}
