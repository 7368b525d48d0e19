//! A second Docker engine on this machine, with images and containers of its own.
//!
//! It lives in a network of its own: an engine takes the machine's bridge and rules of the firewall for its own, and would take
//! them away from the one that is there. So what it publishes is reached by nobody but its own containers. Nothing that this
//! machine's own engine is told reaches it: it reads another file, and where both use the machine's containerd, they have other
//! namespaces there.

use crate::await_that;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Of the store that images are sent from: a new engine of version 29 has containerd's.
const CONFIGURATION: &str = r#"{"features":{"containerd-snapshotter":false}}"#;
/// How long one command may take. `timeout` counts in seconds.
const COMMAND_SECONDS: &str = "300";
/// How long the engine may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// The engine; it goes with all that it holds when it is dropped.
pub struct Engine {
    folder: PathBuf,
    daemon: Child,
}

impl Engine {
    /// Starts one that keeps everything in `folder`, and waits until it answers.
    ///
    /// # Panics
    /// Where it does not.
    pub fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder of the test's");
        let at = |name: &str| folder.join(name).display().to_string();
        std::fs::write(folder.join("daemon.json"), CONFIGURATION).expect("a file of the test's");
        let namespace = format!("wharf-tests-{}", std::process::id());
        let log = File::create(folder.join("log")).expect("a file of the test's");
        let daemon = Command::new("unshare")
            .args(["--net", "sh", "-c", "ip link set lo up; exec dockerd \"$@\"", "dockerd"])
            .args(["--config-file", &at("daemon.json")])
            .args(["--containerd-namespace", &namespace])
            .args(["--containerd-plugins-namespace", &format!("{namespace}-plugins")])
            .args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("pid")])
            .args(["-H", &format!("unix://{}", at("docker.sock"))])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file of the test's"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("unshare is on the path");
        let engine = Self { folder: folder.to_owned(), daemon };
        await_that("the second engine answers", || engine.output(&["version"]).status.success());
        engine
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    /// Standard output of `docker ARGS…` on it, trimmed.
    ///
    /// # Panics
    /// Where the command fails.
    pub fn docker(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {}: {error}", arguments.join(" "));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Gives it an image of the first engine's, as if it had pulled it.
    ///
    /// # Panics
    /// Where one of the engines fails.
    pub fn copy_image(&self, name: &str) {
        let mut save = Command::new("docker")
            .args(["save", name])
            .stdout(Stdio::piped())
            .spawn()
            .expect("docker is on the path");
        let archive = save.stdout.take().expect("stdout is piped");
        let loaded =
            self.command(&["load", "--quiet"]).stdin(archive).status().expect("timeout is on the path");
        assert!(
            save.wait().expect("a child of the test's").success() && loaded.success(),
            "{name} is copied"
        );
    }

    /// Lets it do nothing, until it is to [go on](Self::go_on).
    pub fn hold(&self) {
        self.signal("STOP");
    }

    pub fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let _ = Command::new("kill").args(["-s", name]).arg(self.daemon.id().to_string()).status();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command
            .args([COMMAND_SECONDS, "docker", "-H"])
            .arg(format!("unix://{}", self.socket().display()))
            .args(arguments);
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("timeout is on the path")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.go_on();
        let all = self.output(&["ps", "-aq"]);
        let all = String::from_utf8_lossy(&all.stdout).into_owned();
        let remove = [vec!["rm", "-f", "-v"], all.split_whitespace().collect()].concat();
        if remove.len() > 3 {
            self.output(&remove);
        }
        // It unmounts what it mounted, which its folder could not be removed with.
        self.signal("TERM");
        let until = Instant::now() + ENDS_WITHIN;
        while matches!(self.daemon.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
        }
        // One that is gone is left alone by this.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            eprintln!("---- the second engine wrote:\n{log}");
        }
    }
}
