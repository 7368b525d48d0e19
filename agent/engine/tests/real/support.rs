//! What the tests against the real engine share. Everything made here carries a random name and goes when it is dropped.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use wharf_engine::Engine;
use wharf_proto::RelPath;

pub const BUSYBOX: &str = "wharf-base/busybox:1";

/// The socket of the engine that `DOCKER_HOST` names, as it does for the docker command: so that the tests can run
/// against one with the other image store.
pub fn socket() -> Option<PathBuf> {
    std::env::var("DOCKER_HOST").ok()?.strip_prefix("unix://").map(PathBuf::from)
}

pub async fn engine() -> Engine {
    Engine::connect(socket().as_deref()).await.unwrap()
}

/// A name that nothing else has.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{:016x}", rand::random::<u64>())
}

/// Runs the docker command, to arrange and to look from outside.
pub fn docker(args: &[&str]) -> Output {
    Command::new("docker").args(args).output().expect("the docker command is on the path")
}

/// As [`docker`], and it must succeed; gives what it printed.
pub fn docker_ok(args: &[&str]) -> String {
    let output = docker(args);
    assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Removes what a test made, also when it fails.
#[derive(Default)]
pub struct Cleanup {
    pub containers: Vec<String>,
    pub images: Vec<String>,
    pub projects: Vec<String>,
    pub volumes: Vec<String>,
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        for project in &self.projects {
            let filter = format!("label=com.docker.compose.project={project}");
            let ids =
                String::from_utf8_lossy(&docker(&["ps", "-aq", "--filter", &filter]).stdout).into_owned();
            ids.split_whitespace().for_each(|id| drop(docker(&["rm", "-fv", id])));
            for kind in ["network", "volume"] {
                let ids = String::from_utf8_lossy(&docker(&[kind, "ls", "-q", "--filter", &filter]).stdout)
                    .into_owned();
                ids.split_whitespace().for_each(|id| drop(docker(&[kind, "rm", id])));
            }
        }
        self.containers.iter().for_each(|id| drop(docker(&["rm", "-fv", id])));
        self.images.iter().for_each(|id| drop(docker(&["rmi", "-f", id])));
        self.volumes.iter().for_each(|id| drop(docker(&["volume", "rm", id])));
    }
}

pub fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

pub fn paths(paths: &[&str]) -> Vec<RelPath> {
    paths.iter().map(|path| path.parse().unwrap()).collect()
}
