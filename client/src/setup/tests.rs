//! Plans, from facts as the scripts tell them.

use super::{facts::Sudo, *};
use std::path::Path;
use wharf_proto::{FailureKind, Role};

const LOGIN: &str = "Welcome to the server\nwharf: uid 1000\nwharf: user deploy\nwharf: home /home/deploy\nwharf: system Linux\n\
    wharf: arch amd64\nwharf: os Debian GNU/Linux 13 (trixie)\nwharf: sudo free\nwharf: key # mine\nwharf: key ssh-ed25519 BBBB ada\n";
const FACTS: &str = "wharf: systemd\nwharf: docker 26.1.5\nwharf: compose 2.26.1\nwharf: free 40000000\nwharf: free 39000000\n";

fn agent() -> AgentFile {
    AgentFile { path: "wharfd".into(), sha256: "ab".repeat(32), size_bytes: 31 << 20, is_static: true }
}

fn laptop() -> Laptop {
    Laptop {
        key_file: "/home/ada/.config/wharf/keys/deploy@home".into(),
        public: None,
        key_name: "ada@laptop".into(),
        role: Role::Admin,
    }
}

fn planned(login: &str, facts: &str, laptop: &Laptop) -> Result<Plan, SetupError> {
    plan(&Login::parse(login), &Facts::parse(facts), laptop, || Ok(agent()))
}

fn shown(plan: &Plan) -> String {
    let mut lines: Vec<String> = plan.steps.iter().map(Step::text).collect();
    lines.extend(plan.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

/// What the scripts tell of a server where everything was done.
fn set_up(login: &str, facts: &str) -> (String, String, Laptop) {
    let laptop = Laptop { public: Some("ssh-ed25519 AAAA".into()), ..laptop() };
    let plan = planned(login, facts, &laptop).unwrap();
    let line = KeyLine {
        public: "ssh-ed25519 AAAA".into(),
        name: laptop.key_name.clone(),
        role: laptop.role,
        socket: plan.socket.clone(),
    };
    let login = format!("{login}wharf: key {}\n", line.text());
    let mut facts = format!(
        "{facts}wharf: runs\nwharf: binary {}\nwharf: version wharfd 0.1.0\nwharf: hello wharfd 0.1.0\n",
        agent().sha256
    );
    for step in plan.steps {
        match step {
            Step::WriteConfig { text, .. } => {
                facts += "wharf: config_there\n";
                text.lines().for_each(|line| facts += &format!("wharf: config {line}\n"));
            }
            Step::WriteUnit => {
                facts += "wharf: unit_there\n";
                unit::TEXT.lines().for_each(|line| facts += &format!("wharf: unit {line}\n"));
            }
            _ => {}
        }
    }
    (login, facts, laptop)
}

#[test]
fn a_fresh_server_is_given_everything_and_the_second_time_nothing() {
    let login = Login::parse(LOGIN);
    assert_eq!((login.uid, login.arch.as_str(), login.sudo), (1000, "x86_64", Sudo::Free));
    insta::assert_snapshot!(Facts::parse(FACTS).shown(&login));
    insta::assert_snapshot!(shown(&planned(LOGIN, FACTS, &laptop()).unwrap()));
    let (login, facts, laptop) = set_up(LOGIN, FACTS);
    let again = planned(&login, &facts, &laptop).unwrap();
    assert_eq!((again.steps, again.notes), (vec![], vec![]));
}

#[test]
fn a_server_without_systemd_as_root() {
    let facts = FACTS.replace("wharf: systemd\n", "");
    let login = LOGIN.replace("uid 1000", "uid 0");
    let plan = planned(&login, &facts, &laptop()).unwrap();
    assert!(!plan.steps.contains(&Step::WriteUnit));
    assert!(plan.notes.iter().any(|note| note.contains("reboot")), "{:?}", plan.notes);
    let (login, facts, laptop) = set_up(&login, &facts);
    assert_eq!(planned(&login, &facts, &laptop).unwrap().steps, []);
}

#[test]
fn what_is_there_is_left_alone_and_told_of() {
    let (login, facts, mut laptop) = set_up(LOGIN, FACTS);
    // Another build, another unit, a key with other limits.
    let facts = facts.replace("abab", "cdcd").replace("RestartSec=5", "RestartSec=50");
    laptop.role = Role::Read;
    let plan = planned(&login, &facts, &laptop).unwrap();
    assert_eq!(plan.steps, []);
    insta::assert_snapshot!(shown(&plan));
    // A second laptop needs its key, and no agent of its own.
    let second = Laptop { public: None, ..laptop };
    let none = || Err(SetupError::NoAgent { arch: "x86_64".into(), looked: vec![] });
    let plan = super::plan(&Login::parse(&login), &Facts::parse(&facts), &second, none).unwrap();
    let kinds: Vec<bool> =
        plan.steps.iter().map(|step| matches!(step, Step::MakeKey { .. } | Step::AllowKey { .. })).collect();
    assert_eq!(kinds, [true, true]);
    // A changed configuration takes effect when no job runs.
    let facts = facts.replace("wharf: config uid = 1000\n", "wharf: config uid = 1001\n");
    let plan = planned(&login, &facts, &second).unwrap();
    assert!(plan.steps.contains(&Step::Start { restart: true, systemd: true }), "{:?}", plan.steps);
}

#[test]
fn servers_that_cannot_have_an_agent_are_refused_before_anything_is_done() {
    for (from, to, kind) in [
        (
            "wharf: docker 26.1.5",
            "wharf: docker_said Cannot connect to the Docker daemon",
            FailureKind::Environment,
        ),
        ("wharf: compose 2.26.1\n", "", FailureKind::Environment),
        ("compose 2.26.1", "compose v2.19.9", FailureKind::Environment),
        ("free 39000000", "free 39000", FailureKind::Environment),
        ("wharf: systemd\n", "wharf: lacks sha256sum\n", FailureKind::Environment),
        ("wharf: systemd\n", "wharf: binary ff\nwharf: hello wharfd 0.1.0\n", FailureKind::Refused),
    ] {
        let facts = FACTS.replace(from, to);
        assert_ne!(facts, FACTS);
        let failure = planned(LOGIN, &facts, &laptop()).unwrap_err().failure();
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(!failure.hints.is_empty(), "{failure}");
    }
}

#[test]
fn upgrades_and_removals_say_what_they_do() {
    let (login, facts, _) = set_up(LOGIN, FACTS);
    let (login, mut facts) = (Login::parse(&login), Facts::parse(&facts));
    assert!(Upgrade::of(&facts, "/var/lib/wharf".into(), agent()).unwrap().is_none(), "it runs already");
    let other = AgentFile { sha256: "cd".repeat(32), ..agent() };
    facts.jobs = vec!["job 7 of fitnessapp runs".into()];
    let upgrade = Upgrade::of(&facts, "/var/lib/wharf".into(), other.clone()).unwrap().unwrap();
    let config =
        config_file::ConfigFile::of(facts.config.as_deref(), &login.user, login.uid, Role::Admin).unwrap();
    let removal = Removal::of(&login, &facts, &config).unwrap();
    insta::assert_snapshot!(format!(
        "{}\n\n{}",
        upgrade.texts(&facts).join("\n"),
        removal.texts(&facts).join("\n")
    ));
    // A configuration that somebody changed stays.
    let mine = facts.config.clone().unwrap() + "[app.blog]\nhooks = true\n";
    let config = config_file::ConfigFile::of(Some(&mine), &login.user, login.uid, Role::Admin).unwrap();
    let removal = Removal::of(&login, &facts, &config).unwrap();
    assert!(!removal.config_goes);
    // What is Docker's is said before it is changed.
    let tells = |facts: &Facts| removal.texts(facts).iter().any(|text| text.contains("daemon.json"));
    assert!(!tells(&facts));
    facts.guard = true;
    assert!(tells(&facts));
    facts.runs = false;
    assert!(matches!(Upgrade::of(&facts, String::new(), other.clone()), Err(SetupError::Foreign)));
    facts.binary = None;
    assert!(matches!(Upgrade::of(&facts, String::new(), other), Err(SetupError::NoneThere)));
}

#[test]
fn a_missing_agent_is_looked_for_beside_the_program() {
    let error = AgentFile::find(Some(Path::new("/nowhere/wharfd")), "x86_64").unwrap_err();
    assert!(matches!(error, SetupError::Agent { path, .. } if path == Path::new("/nowhere/wharfd")));
}
