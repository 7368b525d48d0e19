//! A real OpenSSH server on loopback, whose keys lead to a test's agent, or that serves SFTP.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// An sshd with a host key and a configuration of its own.
pub struct Sshd {
    child: Child,
    folder: PathBuf,
    pub port: u16,
}

impl Sshd {
    /// Starts one that lets nobody in yet; its files are in `folder`. It takes whatever environment a client sends.
    ///
    /// # Panics
    /// Where OpenSSH's server is not installed or does not start.
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, "")
    }

    /// One that serves SFTP alone, and lets nobody remove or change a file that is there.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn append_only(folder: &Path) -> Self {
        // As docs/BACKUPS.md tells people to.
        let denied = "remove,rmdir,setstat,fsetstat,lsetstat,posix-rename,symlink,hardlink";
        Self::start_with(folder, &format!("ForceCommand internal-sftp -P {denied}\n"))
    }

    fn start_with(folder: &Path, more: &str) -> Self {
        std::fs::create_dir_all(folder).expect("a folder of the test's");
        // Its place for privilege separation; packages make it when their service starts.
        let _ = std::fs::create_dir_all("/run/sshd");
        let host_key = folder.join("host_key");
        make_key(&host_key);
        let keys = folder.join("authorized_keys");
        std::fs::write(&keys, "").expect("a file of the test's");
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
            let port = port.expect("a free port").port();
            let config = folder.join("sshd_config");
            let text = format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
                 StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
                 AcceptEnv *\nSubsystem sftp internal-sftp\n{more}",
                host_key.display(),
                keys.display()
            );
            std::fs::write(&config, text).expect("a file of the test's");
            if let Some(child) = started(&config) {
                return Self { child, folder: folder.to_owned(), port };
            }
        }
        panic!("sshd does not start");
    }

    /// Lets in the keys of these lines, and no others.
    pub fn let_in(&self, lines: &str) {
        std::fs::write(self.folder.join("authorized_keys"), lines).expect("a file of the test's");
    }

    /// Makes a key that is let in, and no other is; where it lies, and a list of known hosts with this one.
    ///
    /// # Panics
    /// Where `ssh-keygen` is not installed.
    pub fn let_in_a_new_key(&self) -> (PathBuf, PathBuf) {
        let (key, known) = (self.folder.join("id"), self.folder.join("known_hosts"));
        if !key.exists() {
            make_key(&key);
        }
        let read = |path: PathBuf| std::fs::read_to_string(path).expect("ssh-keygen made it");
        self.let_in(&read(key.with_extension("pub")));
        let line = format!("[127.0.0.1]:{} {}", self.port, read(self.folder.join("host_key.pub")));
        std::fs::write(&known, line).expect("a file of the test's");
        (key, known)
    }

    /// As `wharf.toml` names it. It lets in the user that runs the tests.
    pub fn host(&self) -> String {
        format!("{}@127.0.0.1:{}", user(), self.port)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn make_key(path: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .status()
        .expect("ssh-keygen is installed");
    assert!(made.success(), "ssh-keygen failed");
}

/// The process, once it listens.
fn started(config: &Path) -> Option<Child> {
    let mut child = Command::new("/usr/sbin/sshd")
        .args(["-D", "-e", "-f"])
        .arg(config)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssh-server is installed");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
    for line in lines.by_ref().map_while(Result::ok) {
        if line.contains("Server listening on") {
            // Read on, or it would stop when the pipe is full.
            std::thread::spawn(move || lines.for_each(drop));
            return Some(child);
        }
    }
    let _ = child.wait();
    None
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id is installed");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
