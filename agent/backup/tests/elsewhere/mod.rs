//! Servers that copies go to: OpenSSH with its SFTP, and an S3 server from the package registry. Each on loopback; each
//! ends when it is dropped. `None`: the program is not installed.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use wharf_backup::{Place, S3Place, SftpPlace};

const TRIES: u32 = 5;

pub struct Sshd {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Sshd {
    pub fn start(folder: &Path) -> Option<Self> {
        if !Path::new("/usr/sbin/sshd").exists() {
            eprintln!("openssh-server is not installed: copies by SFTP are not tested");
            return None;
        }
        let _ = std::fs::create_dir_all("/run/sshd");
        for name in ["host", "id"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(folder.join(name))
                .status();
            assert!(made.unwrap().success());
        }
        std::fs::copy(folder.join("id.pub"), folder.join("authorized")).unwrap();
        for _ in 0..TRIES {
            let port = free_port();
            let key = std::fs::read_to_string(folder.join("host.pub")).unwrap();
            std::fs::write(folder.join("known_hosts"), format!("[127.0.0.1]:{port} {key}")).unwrap();
            let config = format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized\nPidFile none\n\
                 UsePAM no\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\n\
                 Subsystem sftp internal-sftp\nForceCommand internal-sftp\n",
                folder.display()
            );
            std::fs::write(folder.join("config"), config).unwrap();
            let mut child = Command::new("/usr/sbin/sshd")
                .args(["-D", "-e", "-f"])
                .arg(folder.join("config"))
                .stdin(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
            if lines.by_ref().map_while(Result::ok).any(|line| line.contains("Server listening on")) {
                // Read on, or it would stop when the pipe is full.
                std::thread::spawn(move || lines.for_each(drop));
                return Some(Self { child, port, folder: folder.to_owned() });
            }
            let _ = child.wait();
        }
        panic!("sshd does not start");
    }

    pub fn place(&self, path: &Path) -> Place {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        Place::Sftp(SftpPlace {
            host: format!("{}@127.0.0.1:{}", String::from_utf8_lossy(&user).trim(), self.port),
            path: path.to_str().unwrap().to_owned(),
            identity: Some(self.folder.join("id")),
            known_hosts: Some(self.folder.join("known_hosts")),
        })
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct S3 {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl S3 {
    /// `WHARF_S3_SERVER` names the program, `s3s-fs`; else it is looked for on the path.
    pub fn start(folder: &Path) -> Option<Self> {
        use std::os::unix::fs::PermissionsExt;
        let program = std::env::var_os("WHARF_S3_SERVER").unwrap_or_else(|| "s3s-fs".into());
        for (name, content) in [("access", "an-access-key\n"), ("secret", "a-secret-key\n")] {
            let path = folder.join(name);
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        std::fs::create_dir_all(folder.join("root/bucket")).unwrap();
        for _ in 0..TRIES {
            let port = free_port();
            let started = Command::new(&program)
                .args(["--host", "127.0.0.1", "--port", &port.to_string()])
                .args(["--access-key", "an-access-key", "--secret-key", "a-secret-key"])
                .arg(folder.join("root"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let Ok(child) = started else {
                eprintln!("s3s-fs is not installed: copies to S3 are not tested");
                return None;
            };
            let mut server = Self { child, port, folder: folder.to_owned() };
            if server.answers() {
                return Some(server);
            }
        }
        panic!("s3s-fs does not start");
    }

    /// Whether it listens; it says nothing of its own, so it is asked.
    fn answers(&mut self) -> bool {
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until && self.child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    pub fn place(&self, prefix: &str) -> Place {
        Place::S3(S3Place {
            endpoint: format!("http://127.0.0.1:{}", self.port),
            bucket: "bucket".into(),
            prefix: prefix.into(),
            region: "us-east-1".into(),
            access_key_file: Some(self.folder.join("access")),
            secret_key_file: Some(self.folder.join("secret")),
            virtual_host: false,
        })
    }

    /// Where the bucket's files lie.
    pub fn folder(&self) -> PathBuf {
        self.folder.join("root/bucket")
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
