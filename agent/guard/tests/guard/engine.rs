//! An engine of the tests' own, which ends with the test process whatever becomes of it, and the guard before it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wharf_guard::Policy;

use crate::raw;

/// Ends the engine when the test process, and with it the pipe, is gone. It has a network namespace of its own: an engine
/// that starts with `--bridge none` removes `docker0` from whichever engine has it. And a mount namespace, so that its plugins are
/// its own.
const KEEPER: &str = r#"
mkdir -p "$1/plugins" /run/docker/plugins
echo '{}' >"$1/daemon.json"
unshare --net --mount sh -c 'mount --bind "$1/plugins" /run/docker/plugins; shift; exec dockerd "$@"' engine "$1" \
    --config-file "$1/daemon.json" --host "unix://$1/docker.sock" --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/docker.pid" \
    --bridge none --iptables=false --ip6tables=false --ip-masq=false --ip-forward=false --shutdown-timeout 2 \
    --default-address-pool base=10.213.0.0/16,size=24 </dev/null >"$1/log" 2>&1 &
engine=$!
read -r _
kill "$engine"
wait "$engine"
rm -rf "$1"
"#;

pub const BUSYBOX: &str = "wharf-base/busybox:1";
/// Declares `VOLUME /data`, and ends at once.
pub const DATA: &str = "guard-data:1";

pub struct Engine {
    folder: PathBuf,
    _keeper: Child,
    turn: Mutex<()>,
}

/// The engine, and the right to do with it what one likes.
pub struct Turn {
    engine: &'static Engine,
    _turn: MutexGuard<'static, ()>,
}

impl Turn {
    /// Waits for the engine to be free; images are there, containers and volumes are not.
    pub fn take() -> Self {
        static ENGINE: OnceLock<Engine> = OnceLock::new();
        let engine = ENGINE.get_or_init(Engine::start);
        let turn = engine.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let this = Self { engine, _turn: turn };
        this.clear();
        this.images();
        this
    }

    pub fn socket(&self) -> PathBuf {
        self.engine.folder.join("docker.sock")
    }

    /// Where this engine finds its plugins, and where it is told which to ask.
    pub fn folder(&self) -> &Path {
        &self.engine.folder
    }

    /// One call to the bare engine.
    pub fn api(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        raw::call(&self.socket(), method, path, &body)
    }

    /// A `docker` command on the bare engine, which must succeed.
    pub fn docker(&self, arguments: &[&str]) -> String {
        let output = docker(&self.socket(), arguments);
        assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub fn volumes(&self) -> BTreeSet<String> {
        let (status, listed) = self.api("GET", "/volumes", Value::Null);
        assert_eq!(status, 200, "{listed}");
        let volumes = listed["Volumes"].as_array().cloned().unwrap_or_default();
        volumes.iter().map(|volume| volume["Name"].as_str().unwrap().to_owned()).collect()
    }

    /// Makes a container on the bare engine.
    pub fn container(&self, name: &str, body: Value) -> String {
        let (status, made) = self.api("POST", &format!("/containers/create?name={name}"), body);
        assert_eq!(status, 201, "{made}");
        made["Id"].as_str().unwrap().to_owned()
    }

    pub fn exists(&self, container: &str) -> bool {
        self.api("GET", &format!("/containers/{container}/json"), Value::Null).0 == 200
    }

    fn clear(&self) {
        let (_, containers) = self.api("GET", "/containers/json?all=1", Value::Null);
        for container in containers.as_array().unwrap() {
            self.api(
                "DELETE",
                &format!("/containers/{}?force=1&v=1", container["Id"].as_str().unwrap()),
                Value::Null,
            );
        }
        for volume in self.volumes() {
            self.api("DELETE", &format!("/volumes/{volume}"), Value::Null);
        }
        self.api("POST", "/networks/prune", Value::Null);
    }

    fn images(&self) {
        if self.api("GET", &format!("/images/{BUSYBOX}/json"), Value::Null).0 != 200 {
            let script = format!("docker --host unix:///var/run/docker.sock save {BUSYBOX} | docker load");
            let loaded = shell(&self.socket(), &self.engine.folder, "load", &script);
            let said = String::from_utf8_lossy(&loaded.stderr);
            assert!(loaded.status.success(), "{BUSYBOX} must be on this machine: {said}");
        }
        if self.api("GET", &format!("/images/{DATA}/json"), Value::Null).0 != 200 {
            let id = self.container("maker", json!({"Image": BUSYBOX}));
            let config = json!({"Image": BUSYBOX, "Cmd": ["true"], "Volumes": {"/data": {}}});
            let (status, made) =
                self.api("POST", &format!("/commit?container={id}&repo=guard-data&tag=1"), config);
            assert_eq!(status, 201, "{made}");
            self.api("DELETE", "/containers/maker", Value::Null);
        }
    }
}

impl Engine {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("wg-").tempdir().unwrap().keep();
        let mut keeper = Command::new("sh");
        keeper
            .args(["-c", KEEPER, "keeper"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let keeper = keeper.spawn().unwrap();
        let engine = Self { folder, _keeper: keeper, turn: Mutex::default() };
        let socket = engine.folder.join("docker.sock");
        until(
            Duration::from_secs(60),
            || docker(&socket, &["info"]).status.success(),
            || fs::read_to_string(engine.folder.join("log")).unwrap_or_default(),
        );
        engine
    }
}

/// A guard before the engine, in this process.
pub struct Guard {
    folder: tempfile::TempDir,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Guard {
    pub fn start(upstream: &Path, policy: Policy) -> Self {
        let folder = tempfile::Builder::new().prefix("wg-guard-").tempdir().unwrap();
        let (listen, upstream, stop) =
            (folder.path().join("guard.sock"), upstream.to_owned(), CancellationToken::new());
        let stopped = stop.clone();
        let thread = std::thread::spawn({
            let listen = listen.clone();
            move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
                    .unwrap();
                runtime
                    .block_on(wharf_guard::run(&listen, &upstream, policy, stopped.cancelled_owned()))
                    .unwrap();
            }
        });
        until(Duration::from_secs(10), || listen.exists(), || "the guard's socket".to_owned());
        Self { folder, stop, thread: Some(thread) }
    }

    /// For people's own use: root-equivalent containers are allowed, volumes stay all the same.
    pub fn open(turn: &Turn) -> Self {
        Self::start(&turn.socket(), Policy { allow_root_equivalent: true })
    }

    pub fn tight(turn: &Turn) -> Self {
        Self::start(&turn.socket(), Policy { allow_root_equivalent: false })
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("guard.sock")
    }

    pub fn docker(&self, arguments: &[&str]) -> Output {
        docker(&self.socket(), arguments)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.stop.cancel();
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the guard's thread");
    }
}

pub fn host(socket: &Path) -> String {
    format!("unix://{}", socket.display())
}

/// A `docker` command on a socket.
pub fn docker(socket: &Path, arguments: &[&str]) -> Output {
    Command::new("docker")
        .env("DOCKER_HOST", host(socket))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// A shell script whose `docker` goes to a socket. Ends after a minute, so that a hang is a failure.
pub fn shell(socket: &Path, folder: &Path, prefix: &str, script: &str) -> Output {
    let mut command = Command::new("timeout");
    command.args(["60", "sh", "-c", script]).current_dir(folder);
    command
        .env("DOCKER_HOST", host(socket))
        .env("P", prefix)
        .env("NO_COLOR", "1")
        .env("COMPOSE_PROJECT_NAME", prefix);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"").unwrap();
    child.wait_with_output().unwrap()
}

/// Waits for something to become true.
pub fn until(limit: Duration, mut done: impl FnMut() -> bool, otherwise: impl FnOnce() -> String) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "did not happen within {limit:?}: {}", otherwise());
        std::thread::sleep(Duration::from_millis(20));
    }
}
