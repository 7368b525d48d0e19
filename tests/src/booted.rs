//! A server that boots: a container in which systemd starts OpenSSH and a Docker engine of its own.
//!
//! It has a part of the unified cgroup hierarchy for itself, which is taken away with it. The engine of the machine that runs the
//! tests makes the container, and is nothing to what runs in it.

use crate::{await_that, docker, unique};
use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

const IMAGE: &str = "wharf-base/systemd:1";

/// See the module.
pub struct Booted {
    name: String,
}

impl Booted {
    /// Boots one; its engine answers.
    ///
    /// # Panics
    /// Where it does not come up.
    pub fn start() -> Self {
        let name = format!("wharf-test-{}", unique());
        let group = format!("CGROUP={name}");
        let more = ["-e", &group, "--name", &name, "--tmpfs", "/run", "--tmpfs", "/run/lock"];
        let folders = ["-v", "/var/lib/docker", "-v", "/var/lib/containerd"];
        let run = ["run", "-d", "--privileged", "--cgroupns=host"];
        // Before it is there: what a start leaves that fails goes too.
        let this = Self { name: name.clone() };
        docker::docker(&[&run[..], &more, &folders, &[IMAGE]].concat());
        this.is_up();
        this
    }

    fn is_up(&self) {
        await_that("systemd and its engine come up", || {
            self.try_sh("systemctl is-system-running && docker info --format x").status.success()
        });
    }

    /// As after a power cut: every process is gone at once, and `/run` is empty.
    pub fn boot_again(&self) {
        docker::docker(&["kill", &self.name]);
        self.sweep_cgroup();
        docker::docker(&["start", &self.name]);
        self.is_up();
    }

    /// Lets this key in as `user`, who may use sudo without a password; the address.
    ///
    /// # Panics
    /// Where its sshd does not answer.
    pub fn let_in(&self, user: &str, public_key: &str) -> String {
        self.sh(&format!(
            "useradd -m -s /bin/bash {user}
             echo '{user} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{user}
             install -d -m 700 -o {user} -g {user} /home/{user}/.ssh
             echo '{key}' >/home/{user}/.ssh/authorized_keys
             chown {user}: /home/{user}/.ssh/authorized_keys && chmod 600 /home/{user}/.ssh/authorized_keys",
            key = public_key.trim(),
        ));
        let place = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address = docker::docker(&["inspect", "-f", place, &self.name]);
        await_that("its sshd answers", || TcpStream::connect((address.as_str(), 22)).is_ok());
        address
    }

    /// Gives its engine an image of this machine's.
    ///
    /// # Panics
    /// Where there is no such image.
    pub fn load(&self, image: &str) {
        let script = format!("docker save {image} | docker exec -i {} docker load -q", self.name);
        let done = Command::new("sh").args(["-c", &script]).stdout(Stdio::null()).status();
        assert!(done.is_ok_and(|status| status.success()), "{image}");
    }

    /// Runs a shell's script as root; what it printed.
    ///
    /// # Panics
    /// Where it fails.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        let output = self.try_sh(script);
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(output.status.success(), "{script}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// The same, which may fail.
    ///
    /// # Panics
    /// Where docker cannot be started.
    pub fn try_sh(&self, script: &str) -> Output {
        let command = ["exec", &self.name, "sh", "-euc", script];
        Command::new("docker").args(command).stdin(Stdio::null()).output().expect("docker is on the path")
    }

    /// A command there at a terminal, into which `line` is typed; what it wrote, and whether it succeeded.
    ///
    /// # Panics
    /// Where docker cannot be started.
    pub fn at_a_terminal(&self, command: &str, line: &str) -> (bool, String) {
        let mut child = Command::new("docker")
            .args(["exec", "-i", &self.name, "script", "-qec", command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("docker is on the path");
        let mut input = child.stdin.take().expect("it is piped");
        // Left open: a terminal that hangs up ends what runs at it.
        input.write_all(format!("{line}\n").as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        drop(input);
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A unit's process.
    pub fn main_pid(&self, unit: &str) -> u32 {
        self.sh(&format!("systemctl show -p MainPID --value {unit}")).parse().expect("a number")
    }

    fn sweep_cgroup(&self) {
        let script = format!(
            "mkdir /c && mount -t cgroup2 cgroup2 /c && cd /c && if [ -d {0} ]; then find {0} -depth -type d -exec rmdir {{}} +; fi",
            self.name
        );
        let run = ["run", "--rm", "--privileged", "--cgroupns=host", IMAGE, "sh", "-euc", &script];
        let _ = Command::new("docker").args(run).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.try_sh("journalctl --no-pager -n 80 -u wharfd -u wharf-guard -u docker");
            eprintln!("{}", String::from_utf8_lossy(&log.stdout));
        }
        let remove = ["rm", "-f", "-v", &self.name];
        let _ = Command::new("docker").args(remove).stdout(Stdio::null()).stderr(Stdio::null()).status();
        self.sweep_cgroup();
    }
}
