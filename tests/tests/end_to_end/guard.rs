//! `wharfd guard install` and `remove`: a user's own docker command goes through the guard, and back.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use wharf_tests::{World, docker, program};

const COMPOSE: &str = "services:\n  web:\n    image: wharf-base/busybox:1\n    command: [sleep, '3600']\n    stop_grace_period: 0s\n    network_mode: none\n    volumes: [data:/data]\nvolumes:\n  data:\n";
const ORIGINAL: &str = "{\n\t\"auths\": {\n\t\t\"r.example\": {\n\t\t\t\"auth\": \"dXNlcjpzZWNyZXQ=\"\n\t\t}\n\t},\n\t\"currentContext\": \"desk\",\n\t\"psFormat\": \"table {{.Names}}\"\n}";

/// A user's folder with Docker's configuration, and a project to run.
struct Person<'a> {
    world: &'a World,
    docker: PathBuf,
    project: PathBuf,
    socket: PathBuf,
}

#[test]
fn an_absent_minded_down_v_is_refused_until_the_guard_is_removed() {
    let mut world = World::with_project("fitnessapp");
    let socket = world.server.folder.join("run/docker.sock");
    let config = format!("[guard]\nsocket = \"{}\"\n", socket.display());
    std::fs::write(world.server.folder.join("wharfd.toml"), config).expect("a file of the test's");
    world.server.restart(&[]);
    let home = world.server.folder.join("home");
    let person =
        Person { world: &world, docker: home.join(".docker"), project: home.join("project"), socket };
    std::fs::create_dir_all(&person.project).expect("a folder of the test's");
    std::fs::write(person.project.join("compose.yml"), COMPOSE).expect("a file of the test's");
    deletes_nothing(&person);
    what_was_current_comes_back(&person);
    somebody_elses_context_is_left_alone(&person);
    only_a_guard_will_do(&person);
    as_another_user(&person);
}

fn deletes_nothing(person: &Person<'_>) {
    let told = person.install(&[]);
    assert!(told.contains("root's docker commands go through the guard now"), "{told}");
    let before = std::fs::read(person.config()).expect("it was written");
    let told = person.install(&[]);
    assert!(told.contains("already") && std::fs::read(person.config()).expect("it is there") == before);
    person.runs(&["compose", "up", "-d"]);
    person.runs(&["compose", "exec", "-T", "web", "touch", "/data/mark"]);
    person.runs(&["compose", "ps"]);
    let volumes = docker::volumes(&person.world.project);
    assert_eq!(volumes.len(), 1);
    let refused = person.compose(&["compose", "down", "-v"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("refused: "), "{said}");
    let refused = person.compose(&["volume", "rm", &volumes[0]]);
    assert!(!refused.status.success());
    assert_eq!(docker::volumes(&person.world.project), volumes);
    person.runs(&["compose", "up", "-d"]);
    person.runs(&["compose", "exec", "-T", "web", "test", "-e", "/data/mark"]);
    person.runs(&["compose", "down"]);
    // What goes before a context is told.
    let mut install = person.wharfd("install", &[]);
    let ran = install.env("DOCKER_HOST", "unix:///var/run/docker.sock").output().expect("wharfd starts");
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && told.contains("warning: DOCKER_HOST is set"), "{told}");
    let told = person.remove(0);
    assert!(told.contains("use the context default"), "{told}");
    assert!(!person.docker.exists(), "what was not there before is not there after");
    assert!(person.remove(0).contains("nothing to remove"));
    // And the very same command deletes, now that nothing guards: so it was the guard that did not.
    person.runs(&["compose", "down", "-v"]);
    assert_eq!(docker::volumes(&person.world.project), Vec::<String>::new());
}

fn what_was_current_comes_back(person: &Person<'_>) {
    let desk = ["context", "create", "desk", "--docker", "host=unix:///var/run/docker.sock"];
    person.runs(&desk);
    std::fs::write(person.config(), ORIGINAL).expect("a file of the test's");
    assert!(person.install(&[]).contains("(it was desk)"));
    assert_eq!(person.runs(&["context", "show"]), "wharf-guard\n");
    person.remove(0);
    let now = || std::fs::read_to_string(person.config()).expect("it is there");
    assert_eq!(now(), ORIGINAL);
    // Also where Docker rewrote the file meanwhile, and its owner chose another context that does not last.
    person.install(&[]);
    person.runs(&["context", "use", "desk"]);
    person.install(&[]);
    person.remove(0);
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    assert_eq!(json(&now()), json(ORIGINAL));
    assert_eq!(person.runs(&["context", "show"]), "desk\n");
    // One that its owner took away meanwhile.
    person.install(&[]);
    person.runs(&["context", "rm", "desk"]);
    assert!(person.remove(0).contains("warning: the context desk"));
    assert_eq!(person.runs(&["context", "show"]), "default\n");
}

fn somebody_elses_context_is_left_alone(person: &Person<'_>) {
    person.runs(&["context", "create", "wharf-guard", "--docker", "host=unix:///var/run/docker.sock"]);
    let before = wharf_tests::tree::read(&person.docker);
    let failed = person.wharfd("install", &[]).output().expect("wharfd starts");
    let said = String::from_utf8_lossy(&failed.stderr);
    assert!(failed.status.code() == Some(3) && said.contains("--context NAME"), "{said}");
    person.remove(3);
    assert_eq!(wharf_tests::tree::read(&person.docker), before);
    person.install(&["--context", "ours"]);
    assert_eq!(person.runs(&["context", "show"]), "ours\n");
    let removed = person.wharfd("remove", &["--context", "ours"]).output().expect("wharfd starts");
    assert!(removed.status.success());
    assert_eq!(wharf_tests::tree::read(&person.docker), before);
    person.runs(&["context", "rm", "wharf-guard"]);
}

fn only_a_guard_will_do(person: &Person<'_>) {
    let before = wharf_tests::tree::read(&person.docker);
    for (socket, code) in [("/var/run/docker.sock", 3), ("/nowhere/docker.sock", 1), ("docker.sock", 2)] {
        let ran = person.wharfd("install", &["--socket", socket]).output().expect("wharfd starts");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(code), "{socket}: {said}");
    }
    assert_eq!(wharf_tests::tree::read(&person.docker), before);
}

/// Root acts with the rights of whom it acts for: a link in that user's folder leads to nothing of root's.
fn as_another_user(person: &Person<'_>) {
    let (user, uid) = ("nobody", 65534);
    // What is above the socket lets others through.
    let above = person.world.server.folder.ancestors().take(2);
    above.for_each(|path| mode(path, 0o755));
    let folder = person.world.server.folder.join("nobody");
    std::fs::create_dir(&folder).expect("a folder of the test's");
    chown(&folder, Some(uid), Some(uid)).expect("the test is root");
    let docker = folder.join(".docker");
    let run = || {
        let mut command = Command::new(program("WHARFD_BIN", "wharfd"));
        command.args(["guard", "install", "--user", user, "--docker-config"]).arg(&docker);
        command.arg("--config").arg(person.world.server.folder.join("wharfd.toml"));
        command.output().expect("wharfd starts")
    };
    let ran = run();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.code() == Some(1) && said.contains("usermod -aG docker nobody"), "{said}");
    mode(&person.socket, 0o666);
    let roots = person.world.server.folder.join("roots");
    std::fs::create_dir(&roots).expect("a folder of the test's");
    std::os::unix::fs::symlink(&roots, &docker).expect("a link of the test's");
    let ran = run();
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(std::fs::read_dir(&roots).expect("it is there").count(), 0);
    std::fs::remove_file(&docker).expect("a link of the test's");
    let ran = run();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(docker.join("config.json")).expect("it was written").uid(), uid);
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a file of the test's");
}

impl Person<'_> {
    fn config(&self) -> PathBuf {
        self.docker.join("config.json")
    }

    fn wharfd(&self, what: &str, more: &[&str]) -> Command {
        let mut command = Command::new(program("WHARFD_BIN", "wharfd"));
        command.args(["guard", what, "--user", "root", "--docker-config"]).arg(&self.docker).args(more);
        if what == "install" {
            command.arg("--config").arg(self.world.server.folder.join("wharfd.toml"));
        }
        command.env_remove("DOCKER_HOST").env_remove("DOCKER_CONTEXT");
        command
    }

    #[track_caller]
    fn install(&self, more: &[&str]) -> String {
        let ran = self.wharfd("install", more).output().expect("wharfd starts");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    #[track_caller]
    fn remove(&self, code: i32) -> String {
        let ran = self.wharfd("remove", &[]).output().expect("wharfd starts");
        assert_eq!(ran.status.code(), Some(code), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    /// The person's own docker command, which goes where the context leads.
    fn compose(&self, arguments: &[&str]) -> Output {
        Command::new("docker")
            .args(arguments)
            .current_dir(&self.project)
            .env("DOCKER_CONFIG", &self.docker)
            .env("COMPOSE_PROJECT_NAME", &self.world.project)
            .env_remove("DOCKER_HOST")
            .env_remove("DOCKER_CONTEXT")
            .output()
            .expect("docker is there")
    }

    #[track_caller]
    fn runs(&self, arguments: &[&str]) -> String {
        let ran = self.compose(arguments);
        assert!(ran.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }
}
