//! A real S3-compatible server on loopback, from the package registry: `s3s-fs`, which keeps a bucket's objects as files.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TRIES: u32 = 5;
/// The bucket that is there.
pub const BUCKET: &str = "bucket";

/// The server; it ends when it is dropped.
pub struct S3 {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl S3 {
    /// `WHARF_S3_SERVER` names the program, which `scripts/test` installs; else it is looked for on the path. `None`: there
    /// is none, and what needs it is not tested.
    ///
    /// # Panics
    /// Where it does not start, or is named and not there.
    pub fn start(folder: &Path) -> Option<Self> {
        let named = std::env::var_os("WHARF_S3_SERVER");
        let program = named.clone().unwrap_or_else(|| "s3s-fs".into());
        std::fs::create_dir_all(folder.join("root").join(BUCKET)).expect("a folder of the test's");
        for (name, content) in [("access", "an-access-key\n"), ("secret", "a-secret-key\n")] {
            let path = folder.join(name);
            std::fs::write(&path, content).expect("a file of the test's");
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
                .expect("a file of the test's");
        }
        for _ in 0..TRIES {
            let port = crate::http::free_port();
            let started = Command::new(&program)
                .args(["--host", "127.0.0.1", "--port", &port.to_string()])
                .args(["--access-key", "an-access-key", "--secret-key", "a-secret-key"])
                .arg(folder.join("root"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let Ok(child) = started else {
                assert!(named.is_none(), "WHARF_S3_SERVER names {program:?}, which cannot be started");
                eprintln!("s3s-fs is not installed: S3 is not tested; scripts/test installs it");
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
        while Instant::now() < until && self.child.try_wait().expect("a child of the test's").is_none() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The files with the two halves of the credentials.
    pub fn credentials(&self) -> (PathBuf, PathBuf) {
        (self.folder.join("access"), self.folder.join("secret"))
    }

    /// Where the bucket's files lie.
    pub fn folder(&self) -> PathBuf {
        self.folder.join("root").join(BUCKET)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
