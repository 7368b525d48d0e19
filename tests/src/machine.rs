//! A server without Wharf: a container with OpenSSH, a login user who may use sudo, and the host's Docker engine.
//!
//! It shares the host's network, so that an app's published port is at 127.0.0.1 for it too, and the login user's home has
//! the same path inside and outside, so that Compose's binds mean the same to the engine.

use crate::{docker, http, unique};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// See the module.
pub struct Machine {
    name: String,
    /// The login user's home folder.
    pub home: PathBuf,
    port: u16,
}

/// The login user, and the password that sudo asks for.
pub const USER: &str = "deploy";
pub const PASSWORD: &str = "correct-horse-battery";

impl Machine {
    /// Starts one that lets this key in.
    ///
    /// # Panics
    /// Where its sshd does not come up.
    pub fn start(home: &Path, public_key: &str) -> Self {
        std::fs::create_dir_all(home).expect("a folder of the test's");
        let (name, port) = (format!("wharf-test-{}", unique()), http::free_port());
        let machine = Self { name, home: home.to_owned(), port };
        let volume = format!("{0}:{0}", home.display());
        docker::docker(&[
            "run",
            "-d",
            "--init",
            "--network",
            "host",
            "--name",
            &machine.name,
            "-v",
            &volume,
            "-v",
            "/var/run/docker.sock:/var/run/docker.sock",
            "wharf-base/server:1",
            "sleep",
            "infinity",
        ]);
        machine.sh(&format!(
            "useradd -M -d {home} -s /bin/bash -u 1000 {USER} && echo {USER}:{PASSWORD} | chpasswd && chown {USER}: {home}
             chmod 755 {home}
             echo '{USER} ALL=(ALL) ALL' >/etc/sudoers.d/deploy
             install -d -m 700 -o {USER} -g {USER} {home}/.ssh
             echo '{key}' >{home}/.ssh/authorized_keys
             chown {USER}: {home}/.ssh/authorized_keys && chmod 600 {home}/.ssh/authorized_keys
             /usr/sbin/sshd -o ListenAddress=127.0.0.1 -p {port} -E /var/log/sshd.log",
            home = home.display(),
            key = public_key.trim(),
        ));
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "sshd never came up: {}", machine.sh("cat /var/log/sshd.log"));
            std::thread::sleep(Duration::from_millis(50));
        }
        machine
    }

    /// As `wharf.toml` names it.
    pub fn host(&self) -> String {
        format!("{USER}@127.0.0.1:{}", self.port)
    }

    /// From here on sudo asks for no password.
    pub fn sudo_asks_nothing(&self) {
        self.sh(&format!("echo '{USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/deploy"));
    }

    /// Runs a shell's script as root; what it printed.
    ///
    /// # Panics
    /// Where it fails.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        docker::docker(&["exec", &self.name, "sh", "-euc", script])
    }

    /// SHA-256 of a file there.
    pub fn sha256(&self, path: &str) -> String {
        self.sh(&format!("sha256sum {path} | cut -d ' ' -f 1"))
    }

    /// The processes there, but for those of the login sessions.
    pub fn agents(&self) -> usize {
        let script = "for p in /proc/[0-9]*; do readlink $p/exe || true; done | grep -c '/wharfd' || true";
        self.sh(script).parse().expect("a number")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let quiet = |arguments: &[&str]| {
            let _ =
                Command::new("docker").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        };
        if std::thread::panicking() {
            let log = "tail -n 40 /var/log/wharfd.log /var/log/sshd.log";
            let _ = Command::new("docker").args(["exec", &self.name, "sh", "-c", log]).status();
        }
        // What its users made belongs to them, and the test need not be root.
        let sweep = format!("rm -rf {0}/* {0}/.[!.]*", self.home.display());
        quiet(&["exec", &self.name, "sh", "-c", &sweep]);
        quiet(&["rm", "-f", "-v", &self.name]);
    }
}
