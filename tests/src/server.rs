//! A real `wharfd` on loopback, which a test may kill and start again.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The agent and its folders.
pub struct Server {
    /// Holds `state/`, `authorized_keys` and the app directories.
    pub folder: PathBuf,
    pub address: String,
    environment: Vec<(String, String)>,
    agent: Option<Child>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts an agent that lets `public_key` in.
    pub fn start(folder: &Path, public_key: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        std::fs::create_dir_all(folder).expect("a folder of the test's");
        let keys = folder.join("authorized_keys");
        std::fs::write(&keys, public_key).expect("a file of the test's");
        std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600))
            .expect("a file of the test's");
        let mut server = Self {
            folder: folder.to_owned(),
            address: "127.0.0.1:0".into(),
            environment: Vec::new(),
            agent: None,
            log: Arc::default(),
        };
        server.run();
        server
    }

    /// Starts the agent and waits until it says where it listens, that is, until recovery is over.
    fn run(&mut self) {
        let line = self.begin();
        let Some(address) = line.trim().strip_prefix("listening on ") else {
            panic!("wharfd did not start: {line:?}\n{}", self.log());
        };
        address.clone_into(&mut self.address);
    }

    /// Starts the agent; the first line that it writes, which is empty where it dies before.
    fn begin(&mut self) -> String {
        let state = self.folder.join("state");
        let mut child = Command::new(crate::program("WHARFD_BIN", "wharfd"))
            .arg("serve")
            .arg("--config")
            .arg(self.folder.join("wharfd.toml"))
            .arg("--state")
            .arg(&state)
            .args(["--listen", &self.address])
            .arg("--authorized-keys")
            .arg(self.folder.join("authorized_keys"))
            .envs(self.environment.iter().map(|(k, v)| (k.as_str(), v.as_str())))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("wharfd starts");
        let log = Arc::clone(&self.log);
        let errors = BufReader::new(child.stderr.take().expect("stderr is piped"));
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                log.lock().expect("no test panics while it holds the log").push(line);
            }
        });
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("stdout is piped"));
        out.read_line(&mut line).expect("wharfd says where it listens");
        self.agent = Some(child);
        line
    }

    /// Runs one of the agent's own commands on the server, to its end.
    pub fn wharfd(&self, arguments: &[&str]) -> crate::Ran {
        let mut command = Command::new(crate::program("WHARFD_BIN", "wharfd"));
        command.args(arguments).arg("--state").arg(self.folder.join("state")).stdin(Stdio::null());
        crate::Ran::of(&command.output().expect("wharfd starts"))
    }

    /// What the agent wrote to stderr.
    pub fn log(&self) -> String {
        self.log.lock().expect("no test panics while it holds the log").join("\n")
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }

    /// Waits until the agent has died by itself, at a crash point.
    ///
    /// # Panics
    /// Where it lives on for two minutes: the point was never reached.
    pub fn wait_for_death(&mut self) {
        let until = Instant::now() + Duration::from_secs(120);
        while let Some(agent) = &mut self.agent {
            if agent.try_wait().expect("a child of the test's").is_some() {
                self.agent = None;
                return;
            }
            assert!(Instant::now() < until, "the agent never came to its crash point");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lets the agent go by a clock of the test's from its next start on, and sets it.
    pub fn set_clock(&self, time: &str) -> (&'static str, String) {
        let file = self.folder.join("clock");
        let next = file.with_extension("next");
        // Renamed, so that the agent never reads half a time.
        std::fs::write(&next, time)
            .and_then(|()| std::fs::rename(&next, &file))
            .expect("a file of the test's");
        ("WHARFD_CLOCK", file.to_string_lossy().into_owned())
    }

    /// Kills the agent and starts it again with this environment, at the same address.
    pub fn restart(&mut self, environment: &[(&str, &str)]) {
        self.take(environment);
        self.run();
    }

    /// The same, of an agent that dies at `point` while it brings to an end what the last one has left.
    ///
    /// # Panics
    /// It does not.
    pub fn dies_again(&mut self, point: &str) {
        self.take(&[("WHARFD_CRASH_AT", point)]);
        let line = self.begin();
        assert_eq!(line, "", "the agent started, and should have died at {point}");
        self.wait_for_death();
    }

    fn take(&mut self, environment: &[(&str, &str)]) {
        self.kill();
        self.environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("---- wharfd wrote:\n{}", self.log());
        }
    }
}
