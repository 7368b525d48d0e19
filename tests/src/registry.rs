//! A real registry on loopback with a user and a password: Debian's `docker-registry`.

use crate::{docker, http};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TRIES: u32 = 5;
pub const USER: &str = "ada";
pub const PASSWORD: &str = "planted-registry-password";
/// [`PASSWORD`] as `htpasswd -B` writes it.
const HTPASSWD: &str = "ada:$2b$05$abcdefghijklmnopqrstuu7.Rffb/e3GvgNr9ynXYVmPMI0ht.mgC\n";

/// `ada:planted-registry-password`, as Docker keeps it.
pub const AUTH: &str = "YWRhOnBsYW50ZWQtcmVnaXN0cnktcGFzc3dvcmQ=";

/// The registry; it ends when it is dropped, and names that were given to images for it go.
pub struct Registry {
    child: Child,
    pub host: String,
    names: Vec<String>,
}

impl Registry {
    /// Starts one that lets [`USER`] in. Docker takes a registry on loopback without TLS.
    ///
    /// # Panics
    /// Where it is not installed or does not start; `scripts/test` installs it.
    pub fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder of the test's");
        std::fs::write(folder.join("htpasswd"), HTPASSWD).expect("a file of the test's");
        for _ in 0..TRIES {
            let host = format!("127.0.0.1:{}", http::free_port());
            let config = serde_json::json!({
                "version": 0.1,
                "storage": {"filesystem": {"rootdirectory": folder.join("data")}},
                "http": {"addr": host},
                "auth": {"htpasswd": {"realm": "test", "path": folder.join("htpasswd")}},
            });
            // JSON is YAML.
            std::fs::write(folder.join("config.yml"), config.to_string()).expect("a file of the test's");
            let child = Command::new("docker-registry")
                .arg("serve")
                .arg(folder.join("config.yml"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("docker-registry is installed: scripts/test does it");
            let mut registry = Self { child, host, names: Vec::new() };
            if registry.answers() {
                return registry;
            }
        }
        panic!("docker-registry does not start");
    }

    fn answers(&mut self) -> bool {
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until && self.child.try_wait().expect("a child of the test's").is_none() {
            if TcpStream::connect(&self.host).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Puts a local image there as `name`, with a configuration of Docker's in `folder`; the name to pull it by, which no
    /// local image has then.
    pub fn push(&mut self, image: &str, name: &str, folder: &Path) -> String {
        let reference = format!("{}/{name}", self.host);
        let config = folder.display().to_string();
        let auths = serde_json::json!({"auths": {&self.host: {"auth": AUTH}}});
        std::fs::create_dir_all(folder).expect("a folder of the test's");
        std::fs::write(folder.join("config.json"), auths.to_string()).expect("a file of the test's");
        docker::docker(&["tag", image, &reference]);
        docker::docker(&["--config", &config, "push", "-q", &reference]);
        docker::docker(&["image", "rm", &reference]);
        self.names.push(reference.clone());
        reference
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = Command::new("docker").args(["image", "rm", "-f", name]).output();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
