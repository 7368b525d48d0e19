//! A real OpenSSH server on a free port, with a configuration of its own.

use crate::agent::Place;
use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

pub struct Sshd {
    child: Child,
    pub port: u16,
    /// Who it lets in: the one who runs the tests.
    pub user: String,
}

impl Sshd {
    /// Starts one that lets in the keys of `authorized`, a file's text.
    pub fn start(place: &Place, name: &str, authorized: &str) -> Self {
        let program =
            ["/usr/sbin/sshd", "/usr/bin/sshd"].into_iter().map(PathBuf::from).find(|path| path.exists());
        let program = program.expect("openssh-server is installed (apt-get install openssh-server)");
        // Its place for privilege separation; packages make it when their service starts.
        let _ = std::fs::create_dir_all("/run/sshd");
        place.key(&format!("{name}_host"), &[]);
        let authorized = place.write(&format!("{name}_authorized_keys"), authorized);
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let config =
                place.write(&format!("{name}_config"), &configuration(place, name, &authorized, port));
            if let Some(child) = started(&program, &config) {
                return Self { child, port, user: user() };
            }
        }
        panic!("sshd does not start");
    }

    pub fn host(&self) -> String {
        format!("{}@127.0.0.1:{}", self.user, self.port)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(place: &Place, name: &str, authorized: &Path, port: u16) -> String {
    format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nAllowTcpForwarding yes\nLogLevel VERBOSE\n",
        place.path(&format!("{name}_host")).display(),
        authorized.display()
    )
}

/// The process, once it listens.
fn started(program: &Path, config: &Path) -> Option<Child> {
    let mut child = Command::new(program)
        .args(["-D", "-e", "-f"])
        .arg(config)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    for line in lines.by_ref().map_while(Result::ok) {
        if line.contains("Server listening on") {
            // Read on, or it would stop when the pipe is full.
            std::thread::spawn(move || lines.for_each(drop));
            return Some(child);
        }
        said.push(line);
    }
    eprintln!("sshd: {said:?}");
    let _ = child.wait();
    None
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
