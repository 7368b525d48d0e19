use super::*;

fn found() -> Found {
    Found {
        program: "/usr/local/bin/wharfd".into(),
        docker: "/var/run/docker.sock".into(),
        systemd: true,
        engine: Some(Engine {
            pid: 1,
            arguments: vec!["dockerd".into()],
            version: "27.5.1".into(),
            ..Engine::default()
        }),
        json_path: "/etc/docker/daemon.json".into(),
        docker_unit_pid: Some(1),
        ..Found::default()
    }
}

fn installed() -> Found {
    let mut found = found();
    found.unit = Some(unit::text(&found.program, &found.docker, &found.json_path));
    found.json = Some(daemon_json::with(daemon_json::EMPTY, NAME).unwrap());
    found.answers = true;
    found
}

#[test]
fn docker_is_told_last_and_the_plugin_goes_last() {
    let names = |steps: &[Step]| -> Vec<String> {
        steps.iter().map(|step| format!("{step:?}").split(['(', ' ']).next().unwrap().to_owned()).collect()
    };
    assert_eq!(
        names(&install(&found()).unwrap()),
        ["WriteUnit", "StartUnit", "AwaitPlugin", "WriteJson", "Reload"]
    );
    assert_eq!(names(&install(&installed()).unwrap()), ["StartUnit", "AwaitPlugin", "Reload"]);
    assert_eq!(names(&remove(&installed()).unwrap()), ["DeleteJson", "Reload", "StopUnit", "RemoveUnit"]);
    assert!(remove(&Found { asked: Some(false), ..found() }).unwrap().is_empty());
    // Half done: Docker was told, and is told once more, for nobody knows whether it heard.
    let mut half = installed();
    half.json = Some("{\"debug\": true}".into());
    assert_eq!(names(&remove(&half).unwrap()), ["Reload", "StopUnit", "RemoveUnit"]);
    // The same without a unit: only Docker itself tells. One that does not answer may be waiting for the plugin.
    half.unit = None;
    for (asked, expected) in [(Some(false), 0), (Some(true), 1), (None, 1)] {
        half.asked = asked;
        let steps = remove(&half).unwrap();
        assert!(steps.len() == expected && steps.iter().all(|step| *step == Step::Reload { asks: false }));
    }
    // A dockerd that does not come up without the plugin: nobody is there to be told.
    let mut down = installed();
    down.engine = None;
    down.json = Some("{\"debug\": true, \"authorization-plugins\": [\"wharf-guard\"]}".into());
    let steps = remove(&down).unwrap();
    assert_eq!(names(&steps), ["WriteJson", "StopUnit", "RemoveUnit"]);
    assert_eq!(steps[0], Step::WriteJson("{\"debug\": true}".into()));
}

#[test]
fn where_it_cannot_be_safe_nothing_is_planned() {
    type Spoil = fn(&mut Found);
    let cases: [(&str, Spoil, &str); 11] = [
        ("no engine", |f| f.engine = None, "no dockerd"),
        ("rootless", |f| f.engine.as_mut().unwrap().rootless = true, "rootless"),
        (
            "by flag",
            |f| f.engine.as_mut().unwrap().arguments.push("--authorization-plugin=x".into()),
            "--authorization-plugin",
        ),
        ("at home", |f| f.program = "/home/ada/wharfd".into(), "cannot see"),
        ("its socket at home", |f| f.docker = "/run/user/1000/docker.sock".into(), "cannot see"),
        ("started by another unit", |f| f.docker_unit_pid = Some(2), "process 1"),
        (
            "started by hand, the unit there",
            |f| {
                f.docker_unit_pid = None;
                f.answers = true;
                f.unit = Some(unit::text(&f.program, &f.docker, &f.json_path));
            },
            "process 1",
        ),
        ("no systemd", |f| f.systemd = false, "no systemd"),
        ("foreign unit", |f| f.unit = Some("[Unit]\n".into()), "not written by Wharf"),
        ("no JSON", |f| f.json = Some("nonsense".into()), "no JSON object"),
        ("no list", |f| f.json = Some("{\"authorization-plugins\": \"x\"}".into()), "no list"),
    ];
    for (what, spoil, told) in cases {
        let mut found = found();
        spoil(&mut found);
        let failure = install(&found).expect_err(what).failure();
        assert!(failure.message.contains(told), "{what}: {failure}");
        assert!(!failure.hints.is_empty(), "{what}");
    }
    let mut served = found();
    served.systemd = false;
    served.answers = true;
    assert_eq!(install(&served).unwrap()[0], Step::AwaitPlugin);
    // Served by a unit of somebody's own.
    served.systemd = true;
    served.docker_unit_pid = None;
    assert_eq!(install(&served).unwrap()[0], Step::AwaitPlugin);
}

#[test]
fn what_changes_while_somebody_thinks_is_seen() {
    let (before, mut now) = (found(), found());
    assert!(before.is_still(&now));
    now.json = Some("{}".into());
    assert!(!before.is_still(&now));
    now = found();
    now.engine.as_mut().unwrap().pid = 2;
    assert!(!before.is_still(&now));
}

#[test]
fn the_risk_and_what_to_do_are_told_where_it_is_enabled() {
    insta::assert_snapshot!(risk(Path::new("/etc/docker/daemon.json"), true));
    let steps = install(&found()).unwrap();
    let texts: Vec<String> = steps.iter().map(|step| step.text(&found())).collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn the_engines_with_the_known_bypass_are_told_of() {
    for (version, expected) in [
        ("19.03.15", true),
        ("20.10.24+dfsg1", true),
        ("23.0.14", true),
        ("24.0.9", true),
        ("26.1.4", true),
        ("26.1.5+dfsg1", false),
        ("27.1.0", true),
        ("27.1.1", false),
        ("27.5.1", false),
        ("28.0.0-rc.1", false),
        ("29.1.2", false),
        ("dev", false),
    ] {
        assert_eq!(known_bypass(version), expected, "{version}");
        let engine = Engine { version: version.into(), swarm: true, ..Engine::default() };
        assert_eq!(warnings(&engine).len(), 1 + usize::from(expected));
    }
}
