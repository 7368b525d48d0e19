//! A laptop: a project folder, a key, and the real `wharf`.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// What a finished `wharf` left.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub(crate) fn of(output: &std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts the exit code and shows everything where it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// The lines of `--json`.
    pub fn json(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

/// The person's side.
pub struct Laptop {
    pub folder: PathBuf,
    pub project: PathBuf,
    /// The `wharfd` that `wharf setup` finds, if not the one under test.
    pub agent: Option<PathBuf>,
}

impl Laptop {
    /// A laptop with a key pair of its own and an empty project folder.
    pub fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder.join("project")).expect("a folder of the test's");
        let key = folder.join("id_ed25519");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "tester@laptop", "-f"])
            .arg(&key)
            .status()
            .expect("ssh-keygen is installed");
        assert!(made.success(), "ssh-keygen failed");
        Self { folder: folder.to_owned(), project: folder.join("project"), agent: None }
    }

    pub fn public_key(&self) -> String {
        std::fs::read_to_string(self.folder.join("id_ed25519.pub")).expect("ssh-keygen made it")
    }

    pub fn key(&self) -> PathBuf {
        self.folder.join("id_ed25519")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(crate::program("WHARF_BIN", "wharf"));
        command
            .args(arguments)
            .current_dir(&self.project)
            .env("HOME", &self.folder)
            .env("WHARF_KNOWN_HOSTS", self.folder.join("known_hosts"))
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_STATE_HOME")
            // Where an agent of this person's own has it, and never one that the machine really has.
            .env("WHARF_SOCKET", self.folder.join(".local/state/wharf/wharfd.sock"))
            .env("USER", "ada")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(agent) = &self.agent {
            command.env("WHARFD_BIN", agent);
        }
        command
    }

    /// Runs `wharf` in the project to its end.
    pub fn wharf(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().expect("wharf starts"))
    }

    /// As [`Laptop::wharf`], with something on standard input.
    pub fn wharf_reading(&self, arguments: &[&str], input: &str) -> Ran {
        use std::io::Write;
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().expect("wharf starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // One that ends before it has read all says why below.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        Ran::of(&child.wait_with_output().expect("wharf ends"))
    }

    /// Runs `wharf` with something on standard input; the exit code, and the bytes that it wrote.
    pub fn wharf_fed(&self, arguments: &[&str], input: &[u8]) -> (i32, Vec<u8>) {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().expect("wharf starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        std::thread::scope(|scope| {
            // It may end before it has read everything.
            scope.spawn(move || std::io::Write::write_all(&mut stdin, input));
            let output = child.wait_with_output().expect("a child of the test's");
            (output.status.code().unwrap_or(-1), output.stdout)
        })
    }

    /// Starts `wharf … --json` and hands out its lines as they come.
    pub fn wharf_json(&self, arguments: &[&str]) -> Running {
        let mut child = self.command(arguments).arg("--json").spawn().expect("wharf starts");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Running { child, lines }
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.project.join(path);
        std::fs::create_dir_all(path.parent().expect("a path below the project"))
            .expect("a folder of the test's");
        std::fs::write(path, content).expect("a file of the test's");
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.project.join(path)).expect("a file of the project")
    }

    pub fn remove(&self, path: &str) {
        std::fs::remove_file(self.project.join(path)).expect("a file of the project");
    }

    /// Replaces `from`, which must be there, by `to`.
    #[track_caller]
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} has no {from:?}");
        self.write(path, text.replace(from, to));
    }
}

/// A `wharf` that runs.
pub struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    /// The next line; `None` at the end.
    pub fn next_line(&mut self) -> Option<serde_json::Value> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(serde_json::from_str(&line).expect("a line of JSON")),
        }
    }

    /// Reads on to the first line that `wanted` takes.
    ///
    /// # Panics
    /// Where the output ends before.
    pub fn wait_for(&mut self, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let mut seen = Vec::new();
        while let Some(line) = self.next_line() {
            if wanted(&line) {
                return line;
            }
            seen.push(line.to_string());
        }
        let mut errors = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            let _ = std::io::Read::read_to_string(stderr, &mut errors);
        }
        panic!("the line never came; there were:\n{}\n{errors}", seen.join("\n"));
    }

    /// Reads with `read`, and ends the program where that takes longer than `limit`: then its output ends.
    pub fn within<T>(&mut self, limit: Duration, read: impl FnOnce(&mut Self) -> T) -> T {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        let (done, waiting) = std::sync::mpsc::channel::<()>();
        let watch = std::thread::spawn(move || {
            if waiting.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                let _ = kill(pid, Signal::SIGKILL);
            }
        });
        let result = read(self);
        drop(done);
        watch.join().expect("it only waits");
        result
    }

    /// Reads on until `step` has started.
    pub fn wait_for_step(&mut self, step: &str) {
        self.wait_for(|line| line["event"] == "step_started" && line["step"] == step);
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for the end; the exit code.
    pub fn finish(mut self) -> i32 {
        while self.next_line().is_some() {}
        self.child.wait().expect("a child of the test's").code().unwrap_or(-1)
    }
}
