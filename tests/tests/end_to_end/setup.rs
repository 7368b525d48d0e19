//! From a server without Wharf to a deployed app, and back: Shows 1 and 2 of the operate issue.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use wharf_tests::machine::PASSWORD;
use wharf_tests::terminal::Terminal;
use wharf_tests::{Laptop, Machine, await_that, docker, http, program, screen, tree, unique, world};

/// A server, a laptop, and a project that was never deployed.
struct Start {
    machine: Machine,
    laptop: Laptop,
    app: String,
    app_dir: PathBuf,
    web_port: u16,
    folder: TempDir,
}

impl Start {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("wharf-test-").tempdir().expect("a temporary folder");
        let mut laptop = Laptop::new(&folder.path().join("laptop"));
        let app = format!("t{}", unique());
        laptop.agent = Some(stripped(folder.path()));
        std::fs::create_dir(laptop.folder.join(".ssh")).expect("a folder of the test's");
        std::fs::copy(laptop.key(), laptop.folder.join(".ssh/id_ed25519")).expect("a key of the test's");
        let web_port = http::free_port();
        project(&laptop, &app, web_port);
        let machine = Machine::start(&folder.path().join("home"), &laptop.public_key());
        let app_dir = machine.home.join(&app);
        Self { machine, laptop, app, app_dir, web_port, folder }
    }

    /// A command at a terminal: each question is awaited, then answered. What was left on the terminal.
    #[track_caller]
    fn at_a_terminal(&self, arguments: &[&str], answers: &[(&str, &str)], last: &str) -> String {
        let mut terminal = Terminal::start(&self.laptop, arguments, 200, 50);
        let mut written = String::new();
        for (question, answer) in answers {
            written += &terminal.answer(question, answer);
        }
        written += &terminal.wait_for(last);
        written += &terminal.wait_for("\n");
        assert_eq!(terminal.finish(), 0, "{written}");
        screen::shown(&written).join("\n")
    }

    fn setup(&self, more: &[&str]) -> wharf_tests::Ran {
        self.laptop.wharf(&[&["setup", "--yes"], more].concat())
    }

    fn serves(&self) {
        assert_eq!(http::get(self.web_port, "/health").map(|answer| answer.status), Some(200));
    }

    /// What a reader would not see on a machine of theirs.
    fn masked(&self, text: &str) -> String {
        let home = self.machine.home.display().to_string();
        let laptop = self.laptop.folder.display().to_string();
        let mut text = text.replace(&home, "/home/deploy").replace(&laptop, "/home/ada");
        let port = self.machine.host();
        let port = port.rsplit(':').next().expect("a port");
        for (from, to) in [
            (format!("deploy@127.0.0.1_{port}"), "deploy@home.example"),
            (format!("127.0.0.1:{port}"), "home.example"),
            (format!("[127.0.0.1]:{port}"), "home.example"),
            (self.app.clone(), "fitnessapp"),
            (self.web_port.to_string(), "8080"),
        ] {
            text = text.replace(&from, to);
        }
        for (pattern, to) in MASKS {
            text = regex::Regex::new(pattern)
                .expect("a pattern of the test's")
                .replace_all(&text, *to)
                .into_owned();
        }
        text.trim_end().to_owned()
    }
}

impl Drop for Start {
    fn drop(&mut self) {
        docker::remove_project(&self.app, &self.app);
    }
}

/// What differs from run to run.
const MASKS: &[(&str, &str)] = &[
    (r"ed25519 SHA256:[A-Za-z0-9+/]{43}", "ed25519 SHA256:…"),
    (r"SHA-256 [0-9a-f]{12}…", "SHA-256 …"),
    // A rate has whatever unit the machine's speed gives it.
    (r"\d+(\.\d+)? (B|kB|MB|GB)/s", "… MB/s"),
    (r"\d+(\.\d+)? (B|kB|KB|MB|GB|KiB|MiB|GiB|bytes)\b", "… $2"),
    (r"\b\d+(\.\d+)? ?(ms|s)\b", "… s"),
    (r"(Docker|Compose) [0-9][0-9a-z.+~-]*", "$1 …"),
    (r"wharfd [0-9]+\.[0-9]+\.[0-9]+", "wharfd …"),
    (r"backup [0-9a-f]{8}", "backup …"),
    // What the machine that runs the test is short of.
    (r"warning: (disk|memory): [^\n]*\n", ""),
    // The agent under test is not the one that people install.
    (r"warning: \S+ is not static: [^\n]*\n", ""),
    // Docker's own words, whose order is left to it.
    (r"(      +(Network|Volume|Container|[a-z]+ \|) [^\n]*\n)+", "      …\n"),
];

/// A `wharfd` without what debuggers want, which takes its time through a connection.
fn stripped(folder: &Path) -> PathBuf {
    let to = folder.join("wharfd");
    let status = Command::new("strip").arg("-o").arg(&to).arg(program("WHARFD_BIN", "wharfd")).status();
    if !status.is_ok_and(|status| status.success()) {
        std::fs::copy(program("WHARFD_BIN", "wharfd"), &to).expect("a file of the test's");
    }
    to
}

/// The example, as somebody has it who never heard of Wharf.
fn project(laptop: &Laptop, app: &str, web_port: u16) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("projects/fitnessapp");
    tree::copy(&example, &laptop.project);
    world::label_images(&laptop.project, app);
    std::fs::remove_file(laptop.project.join("wharf.toml")).expect("the example has one");
    let named = format!("name: {app}\nservices:\n  db:");
    laptop.edit("docker/docker-compose.prod.yml", "services:\n  db:", &named);
    laptop.edit(".env.prod.example", "WEB_PORT=8080", &format!("WEB_PORT={web_port}"));
    let env = format!(
        "DB_USER=fitness\nDB_NAME=fitness\nDB_PASSWORD=planted-secret\nSECRET_KEY=another\nWEB_PORT={web_port}\n\
         POSTGRES_IMAGE=wharf-base/postgres:17\nPYTHON_IMAGE=wharf-base/python:3\nNGINX_IMAGE=wharf-base/nginx:1\n"
    );
    laptop.write(".env.prod", env);
}

#[test]
fn a_new_user_is_live_in_five_minutes_and_the_agent_can_be_replaced_and_taken_away() {
    let start = Start::new();
    let transcript = first_deploy(&start);
    is_as_documented(&transcript);
    nothing_is_opened_but_the_agent(&start);
    the_second_time_nothing_changes(&start);
    one_that_does_not_start_is_put_back(&start);
    an_upgrade_waits_for_the_job(&start);
    removed(&start);
}

/// Show 1: nothing is typed but commands and answers.
fn first_deploy(start: &Start) -> String {
    let host = start.machine.host();
    let path = start.app_dir.display().to_string();
    let mut told = Vec::new();
    let shown = start.at_a_terminal(
        &["init"],
        &[("Server", &format!("{host}\r")), ("The app's folder on the server", &format!("{path}\r"))],
        "wharf deploy --dry-run",
    );
    told.push(("wharf init", shown));
    let shown = start.at_a_terminal(
        &["setup"],
        &[("from now on?", "y"), ("for sudo", &format!("{PASSWORD}\r")), ("Go on?", "y")],
        "Next:",
    );
    told.push(("wharf setup", shown));
    let shown = start.at_a_terminal(&["secrets", "import", ".env.prod"], &[], "SECRET_KEY");
    told.push(("wharf secrets import .env.prod", shown));
    let shown = start.at_a_terminal(&["deploy"], &[], "v1 is live");
    told.push(("wharf deploy", shown));
    start.serves();
    let shown: Vec<String> =
        told.iter().map(|(command, shown)| format!("$ {command}\n{}", start.masked(shown))).collect();
    shown.join("\n\n")
}

/// `docs/FIRST-DEPLOY.md` shows what happened just now; `WHARF_UPDATE_DOCS=1` writes it.
fn is_as_documented(transcript: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/FIRST-DEPLOY.md");
    let text = std::fs::read_to_string(&path).expect("the document");
    let (head, rest) = text.split_once("```text\n").expect("the transcript's beginning");
    let (shown, tail) = rest.split_once("\n```").expect("the transcript's end");
    if std::env::var_os("WHARF_UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{head}```text\n{transcript}\n```{tail}"))
            .expect("the document is written");
        return;
    }
    assert_eq!(
        transcript, shown,
        "run this test with WHARF_UPDATE_DOCS=1 and look at what it changes in the document"
    );
}

/// The deploy key gets the agent and no shell; the password of sudo is nowhere.
fn nothing_is_opened_but_the_agent(start: &Start) {
    let host = start.machine.host();
    let (user_at, port) = host.rsplit_once(':').expect("a port");
    let key = start.laptop.folder.join(".config/wharf/keys").join(host.replace(':', "_"));
    let output = Command::new("ssh")
        .args(["-F", "none", "-p", port, "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"])
        .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i"])
        .arg(&key)
        .args([user_at, "id"])
        .env_remove("SSH_AUTH_SOCK")
        .output()
        .expect("ssh is installed");
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&key).expect("the key"));
    assert_eq!(mode & 0o777, 0o600);
    let found = start.machine.sh(&format!(
        "grep -rlsF {PASSWORD} /etc/wharf /var/lib/wharf /var/log {} || true",
        start.machine.home.display()
    ));
    assert_eq!(found, "", "the password for sudo was written down");
    // The agent has no port.
    let listens = start.machine.sh("cat /etc/wharf/wharfd.toml");
    assert!(listens.contains("listen = \"none\""), "{listens}");
}

fn the_second_time_nothing_changes(start: &Start) {
    start.machine.sudo_asks_nothing();
    let look =
        "stat -c '%n %i %Y %Z' /usr/local/bin/* /etc/wharf/* ~deploy/.ssh/*; cat /run/wharf/wharfd.pid";
    let before = start.machine.sh(look);
    let again = start.setup(&[]).exits(0);
    assert!(again.stderr.contains("nothing is to be done"), "{}", again.stderr);
    assert_eq!(start.machine.sh(look), before);
    let refused = start.laptop.wharf(&["setup", "--upgrade", "--agent", "/bin/true"]).exits(3);
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    // A program that is no wharfd does not get into its place.
    let other = start.setup(&["--upgrade", "--agent", "/bin/true"]).exits(1);
    assert!(other.stderr.contains("does not run there"), "{}", other.stderr);
    assert_eq!(start.machine.sh(look), before);
}

/// Says that it is a wharfd, ruins the state and ends.
const BROKEN: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int count, char **words) {
    if (count > 1 && strcmp(words[1], "--version") == 0) { puts("wharfd 99.0.0"); return 0; }
    if (count > 1 && strcmp(words[1], "serve") == 0) {
        int ruined = system("for f in /var/lib/wharf/*.sqlite; do echo ruined >$f; done");
        fputs("cannot open what the future brings\n", stderr);
        return ruined ? 2 : 1;
    }
    return 1;
}
"#;

/// Show 2, first half.
fn one_that_does_not_start_is_put_back(start: &Start) {
    let (source, broken) = (start.folder.path().join("broken.c"), start.folder.path().join("broken"));
    std::fs::write(&source, BROKEN).expect("a file of the test's");
    let built = Command::new("cc").arg("-o").arg(&broken).arg(&source).status().expect("a C compiler");
    assert!(built.success());
    let before = start.machine.sha256("/usr/local/bin/wharfd");
    let failed = start.setup(&["--upgrade", "--agent", &broken.display().to_string()]).exits(1);
    assert!(failed.stderr.contains("serves again"), "{}", failed.stderr);
    assert!(failed.stderr.contains("what the future brings"), "the log is shown: {}", failed.stderr);
    assert_eq!(start.machine.sha256("/usr/local/bin/wharfd"), before);
    let releases = start.laptop.wharf(&["releases", "--json"]).exits(0).json();
    assert_eq!(releases.len(), 1, "{releases:?}");
    start.serves();
}

fn an_upgrade_waits_for_the_job(start: &Start) {
    // The same program under another hash.
    let next = start.folder.path().join("next");
    let mut bytes = std::fs::read(start.laptop.agent.as_ref().expect("it was set")).expect("the agent");
    bytes.extend_from_slice(b"next");
    std::fs::write(&next, bytes).expect("a file of the test's");
    start.laptop.edit("backend/version.py", "1.0.0", "2.0.0");
    let mut deploy = start.laptop.wharf_json(&["deploy", "--yes"]);
    deploy.wait_for_step("build");
    let upgraded = start.setup(&["--upgrade", "--agent", &next.display().to_string()]).exits(0);
    assert!(upgraded.stderr.contains("wait for what runs"), "{}", upgraded.stderr);
    assert_eq!(deploy.finish(), 0, "the job was lost");
    let releases = start.laptop.wharf(&["releases", "--json"]).exits(0).json();
    assert_eq!(releases.len(), 2, "{releases:?}");
    let same = start.setup(&["--upgrade", "--agent", &next.display().to_string()]).exits(0);
    assert!(same.stderr.contains("runs there already"), "{}", same.stderr);
}

/// Show 2, second half.
fn removed(start: &Start) {
    let containers = docker::containers(&start.app);
    let volumes = docker::volumes(&start.app);
    let files = tree::read(&start.app_dir);
    let ran = start.setup(&["--remove"]).exits(0);
    let backups = format!("/var/lib/wharf/apps/{}", start.app);
    assert!(ran.stderr.contains(&format!("kept {backups}/backups")), "{}", ran.stderr);
    start.serves();
    assert_eq!(docker::containers(&start.app), containers);
    assert_eq!(docker::volumes(&start.app), volumes);
    assert!(tree::read(&start.app_dir) == files, "files of the app changed");
    await_that("the agent is gone", || start.machine.agents() == 0);
    let left = start.machine.sh(&format!(
        "find / -xdev \\( -iname '*wharf*' -o -path '/var/lib/wharf/*' \\) -not -path '/proc/*' -not -path '{0}' -not -path '{0}/*' | sort",
        start.folder.path().display()
    ));
    let data =
        [backups.clone() + "/backups", backups.clone() + "/backups.key", backups.clone() + "/saved-aside"];
    let kept = |path: &str| data.iter().any(|data| path.starts_with(data.as_str()));
    let others: Vec<&str> = left.lines().filter(|path| !kept(path)).collect();
    let folders = ["/var/lib/wharf", "/var/lib/wharf/apps", backups.as_str()];
    assert_eq!(others, folders, "something of Wharf's is left");
    let keys = start.machine.sh("cat ~deploy/.ssh/authorized_keys");
    assert_eq!(keys.trim(), start.laptop.public_key().trim(), "the person's own key, and no other");
    // And it can be set up again over what was kept.
    start.setup(&[]).exits(0);
}
