//! An agent's SSH server in this process, and people who come to it.

use std::{
    collections::VecDeque,
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};
use wharf_agent_ssh::{Conversation, Handler, HostKey, Limits, Peer, ServerConfig};
use wharf_proto::Failure;
use wharf_proto::frame::{Frame, Kind};
use wharf_ssh::{
    HostKeyPolicy, Link, Options, Prompt, Receiver, Resolver, Secret, SshError, Target, Timeouts,
};

/// No test takes longer than this, however busy the machine.
pub const OVERALL: Duration = Duration::from_secs(180);

/// Runs a test's body in time.
pub async fn in_time<T>(body: impl Future<Output = T>) -> T {
    tokio::time::timeout(OVERALL, body).await.expect("the test hangs")
}

/// A folder with an agent's files and its clients' files.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let place = Self { folder };
        place.write("ssh_config", "Host *\n  IdentityAgent none\n  GlobalKnownHostsFile none\n");
        place.write("authorized_keys", "");
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Makes a key with ssh-keygen; returns its public line.
    pub fn key(&self, name: &str, arguments: &[&str]) -> String {
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-C", name, "-f"])
            .arg(self.path(name))
            .args(if arguments.contains(&"-t") { &[][..] } else { &["-t", "ed25519"][..] })
            .args(if arguments.contains(&"-N") { &[][..] } else { &["-N", ""][..] })
            .args(arguments)
            .status()
            .expect("openssh-client is installed");
        assert!(made.success());
        self.read(&format!("{name}.pub")).trim().to_owned()
    }

    /// Makes a key that the agent lets in.
    pub fn friend(&self, name: &str) -> PathBuf {
        let line = self.key(name, &[]);
        self.authorize(&line);
        self.path(name)
    }

    pub fn authorize(&self, line: &str) {
        let all = self.read("authorized_keys") + line + "\n";
        self.write("authorized_keys", &all);
    }

    /// Options that reach nothing of the machine's own.
    pub fn options(&self, identity: &str) -> Options {
        Options {
            identity: Some(self.path(identity)),
            known_hosts: Some(self.path("known_hosts")),
            ssh_config: Some(self.path("ssh_config")),
            ..Options::default()
        }
    }

    pub fn host_key(&self) -> HostKey {
        wharf_agent_ssh::load_or_create_host_key(&self.path("host_key")).unwrap()
    }

    pub async fn serve(&self, handler: impl Handler) -> Server {
        self.serve_within(Limits::default(), handler).await
    }

    pub async fn serve_within(&self, limits: Limits, handler: impl Handler) -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let config =
            ServerConfig { host_key: self.host_key(), authorized_keys: self.path("authorized_keys"), limits };
        let serving = tokio::spawn(wharf_agent_ssh::serve(listener, config, Arc::new(handler), async {
            let _ = stopped.await;
        }));
        Server { address, stop: Some(stop), serving }
    }
}

/// A running server; it stops when dropped.
pub struct Server {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: tokio::task::JoinHandle<Result<(), wharf_agent_ssh::ServeError>>,
}

impl Server {
    pub fn host(&self) -> String {
        format!("deploy@{}", self.address)
    }

    pub async fn stop(mut self) {
        drop(self.stop.take());
        self.serving.await.unwrap().unwrap();
    }
}

/// Connects, with the host key accepted if it is new and nobody to ask.
pub async fn connect(host: &str, options: &Options) -> Result<Link, SshError> {
    connect_asking(host, options, HostKeyPolicy::AcceptNew, Person::default()).await
}

pub async fn connect_asking(
    host: &str,
    options: &Options,
    policy: HostKeyPolicy,
    person: Person,
) -> Result<Link, SshError> {
    let target = Target::resolve(host, options).await?;
    wharf_ssh::connect(&target, policy, Arc::new(person), Timeouts::default()).await
}

/// Answers as it was told, and remembers what it was asked.
#[derive(Clone, Default)]
pub struct Person {
    pub trusts: bool,
    pub passphrases: Arc<Mutex<VecDeque<&'static str>>>,
    pub asked: Arc<Mutex<Vec<String>>>,
    /// How long it thinks.
    pub thinks: Duration,
}

impl Person {
    pub fn who_types(passphrases: &[&'static str]) -> Self {
        Self { passphrases: Arc::new(Mutex::new(passphrases.iter().copied().collect())), ..Self::default() }
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait::async_trait]
impl Prompt for Person {
    async fn confirm_host_key(&self, host: &str, key_type: &str, fingerprint: &str) -> bool {
        self.asked.lock().unwrap().push(format!("{host} {key_type} {fingerprint}"));
        tokio::time::sleep(self.thinks).await;
        self.trusts
    }

    async fn passphrase(&self, key: &Path) -> Option<Secret> {
        self.asked.lock().unwrap().push(key.file_name().unwrap().to_string_lossy().into_owned());
        tokio::time::sleep(self.thinks).await;
        self.passphrases.lock().unwrap().pop_front().map(Secret::new)
    }
}

/// Sends back every frame, in one task, until the client says that no more will come.
pub struct Echo;

#[async_trait::async_trait]
impl Handler for Echo {
    async fn conversation(&self, _: Peer, mut conversation: Conversation) {
        let sender = conversation.sender();
        while let Ok(Some(frame)) = conversation.recv().await {
            if sender.send(frame).await.is_err() {
                return;
            }
        }
    }
}

/// Hands each conversation to the test.
pub struct Hand(pub mpsc::Sender<(Peer, Conversation)>);

#[async_trait::async_trait]
impl Handler for Hand {
    async fn conversation(&self, peer: Peer, conversation: Conversation) {
        let sender = conversation.sender();
        self.0.send((peer, conversation)).await.unwrap();
        sender.gone().await;
    }
}

pub fn control(text: &str) -> Frame {
    Frame { kind: Kind::Control, payload: text.to_owned().into() }
}

pub fn bulk(bytes: Vec<u8>) -> Frame {
    Frame { kind: Kind::Bulk, payload: bytes.into() }
}

/// Says something and hears it back.
pub async fn exchange(link: &Link) -> Result<(), SshError> {
    let mut conversation = link.open().await?;
    conversation.send(control("\"hello\"")).await?;
    let heard = conversation.recv().await?;
    assert_eq!(heard, Some(control("\"hello\"")));
    let (sender, mut receiver) = conversation.split();
    drop(sender);
    assert_eq!(receiver.recv().await?, None);
    assert_eq!(receiver.end().exit_status, Some(0));
    Ok(())
}

/// Far more than a window goes up and comes back in a conversation of its own; how that ends is left to read.
pub async fn much_comes_back(link: &Link) -> Receiver {
    let (sender, mut receiver) = link.open().await.unwrap().split();
    let up = tokio::spawn(async move {
        for number in 0..64_u8 {
            sender.send(bulk(vec![number; 256 * 1024])).await.unwrap();
        }
    });
    for number in 0..64_u8 {
        assert!(receiver.recv().await.unwrap() == Some(bulk(vec![number; 256 * 1024])), "frame {number}");
    }
    up.await.unwrap();
    receiver
}

/// Built-in configuration, so that a test needs no `ssh` to resolve.
pub fn built_in(options: Options) -> Options {
    Options { resolver: Resolver::BuiltIn, ..options }
}

/// A failure as text, with what changes from run to run named instead.
pub fn render(error: &SshError, place: &Place) -> String {
    let failure: Failure = error.failure();
    let mut text = format!("{:?}: {}\n", failure.kind, failure.message);
    for cause in &failure.causes {
        text.push_str(&format!("  because {cause}\n"));
    }
    for hint in &failure.hints {
        text.push_str(&format!("  hint: {hint}\n"));
    }
    let text = text.replace(&place.folder.path().display().to_string(), "FOLDER");
    named(&named(&text, "SHA256:", 43, "SHA256:…"), "127.0.0.1:", 5, "127.0.0.1:PORT")
}

/// `text` with each `prefix` and at most `length` letters or digits after it replaced.
fn named(text: &str, prefix: &str, length: usize, name: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split(prefix);
    out.push_str(parts.next().unwrap());
    for part in parts {
        let digits = prefix.ends_with(':') && prefix.starts_with('1');
        let belongs =
            |c: char| if digits { c.is_ascii_digit() } else { c.is_ascii_alphanumeric() || "+/".contains(c) };
        let end = part.chars().take(length).take_while(|&c| belongs(c)).count();
        out.push_str(name);
        out.push_str(&part[end..]);
    }
    out
}
