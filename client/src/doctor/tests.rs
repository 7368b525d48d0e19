//! What is judged how: tables of facts, and the texts.

use super::{Clocks, Finding, Level, clock, git, network, server};
use crate::render::{self, Style};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use wharf_proto::doctor::{AppFacts, LogFacts, ServerFacts};
use wharf_proto::{Failure, FailureKind};
use wharf_ssh::Stage;

const NOW: &str = "2026-11-28T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A server that lacks nothing, and an app on it that is well.
fn healthy() -> ServerFacts {
    serde_json::from_value(json!({
        "agent": "0.1.0", "asked": NOW, "answered": NOW, "apps": 1, "user": "root", "root": true,
        "engine": {"version": "26.1.5", "api_version": "1.45"}, "compose": "2.26.1-4",
        "disks": [{"places": [{"holds": "state", "path": "/var/lib/wharf"}, {"holds": "docker", "path": "/var/lib/docker"},
            {"holds": "app", "path": "/srv/shop"}], "size_bytes": 80_000_000_000u64, "free_bytes": 40_000_000_000u64}],
        "memory": {"available_bytes": 2_000_000_000, "swap_bytes": 0},
        "app": {
            "status": {"app": "shop", "path": "/srv/shop", "project": "shop",
                "live": {"release": "v3", "live": true, "adopted": false, "created": "2026-11-20T12:00:00Z", "versions": {},
                    "message": null, "by": "ada", "git_commit": null, "backup": null},
                "containers": [{"service": "web", "name": "shop-web-1", "state": "running", "health": "healthy",
                    "restarts": 0, "image": "shop-web", "started": null}],
                "last_backup": "2026-11-28T03:00:00Z", "job": null, "warnings": [],
                "schedule": {"schedule": "0 3 * * *", "timezone": "UTC", "on": true, "next": null}},
            "backups": true, "key_saved": true, "backup_every_seconds": 86_400,
            "certificates": [{"host": "shop.example", "expires": "2027-01-20T12:00:00Z"}],
        }
    }))
    .unwrap()
}

fn in_time() -> Clocks {
    Clocks { sent: at(NOW), received: at(NOW), asked: at(NOW), answered: at(NOW) }
}

fn judged(change: impl FnOnce(&mut ServerFacts, &mut AppFacts)) -> Vec<Finding> {
    let mut facts = healthy();
    let mut app = facts.app.take().unwrap();
    change(&mut facts, &mut app);
    facts.app = Some(app);
    server("0.1.0", Some("shop"), &facts, &in_time())
}

/// What is not ok, each with whether it failed.
#[track_caller]
fn ails(findings: &[Finding]) -> Vec<(&'static str, Level)> {
    let ail = findings.iter().filter(|finding| finding.level > Level::Ok);
    ail.map(|finding| {
        assert!(!finding.remedy.is_empty(), "{finding:?}");
        (finding.check, finding.level)
    })
    .collect()
}

#[test]
fn nothing_ails_a_healthy_server() {
    let findings = judged(|_, _| ());
    assert_eq!(ails(&findings), []);
    insta::assert_snapshot!(render::findings(&findings, &Style::plain()));
}

#[test]
fn what_ails_a_server_is_told_with_its_remedy() {
    let findings = judged(|facts, app| {
        facts.agent = "0.4.0".into();
        (facts.root, facts.user) = (false, "deploy".into());
        facts.engine.as_mut().unwrap().api_version = "1.41".into();
        facts.compose = "2.9.0".into();
        facts.disks[0].free_bytes = 400_000_000;
        facts.memory.as_mut().unwrap().available_bytes = 100_000_000;
        app.no_restart_policy = vec!["web".into(), "worker".into()];
        app.oom_killed = vec!["worker".into()];
        app.unlimited_logs = vec![
            LogFacts { service: "web".into(), size_bytes: Some(3_400_000_000) },
            LogFacts { service: "worker".into(), size_bytes: None },
        ];
        app.key_saved = false;
        app.uncovered = vec!["the volume uploads".into()];
        app.status.containers[0].health = Some("unhealthy".into());
        app.status.schedule.as_mut().unwrap().on = false;
        app.status.last_drill = Some(
            serde_json::from_value(json!({"backup": "0123456789ab",
            "proof": {"state": "failed", "at": NOW, "why": "12 rows are missing"}}))
            .unwrap(),
        );
        app.chores = vec!["the scheduled backup failed: the disk is full (job 7); it is tried again".into()];
        app.copies = vec!["backups are not copied to nas since yesterday".into()];
        app.problems = vec!["[[volume]] names uploads, which is no volume of the app".into()];
        app.certificates[0].expires = Some(at("2026-12-10T12:00:00Z"));
    });
    insta::assert_snapshot!(
        render::findings(&findings, &Style::plain()) + &render::findings_summary(&findings)
    );
    assert_eq!(ails(&findings).len(), 18);
}

#[test]
fn versions_may_differ_by_a_minor_one() {
    for (ours, theirs, expected) in [
        ("0.1.0", "0.1.9", Level::Ok),
        ("0.2.0", "0.1.0", Level::Ok),
        ("0.1.0", "0.2.0", Level::Ok),
        ("0.3.0", "0.1.0", Level::Warning),
        ("0.1.0", "0.3.0", Level::Warning),
        ("1.0.0", "0.9.0", Level::Warning),
        ("0.1.0", "nightly", Level::Warning),
    ] {
        let facts = ServerFacts { agent: theirs.into(), ..healthy() };
        let found = server(ours, None, &facts, &in_time());
        assert_eq!(found[0].level, expected, "{ours} and {theirs}");
        let older = if ours > theirs { "the agent" } else { "upgrade wharf on this computer" };
        assert!(expected == Level::Ok || theirs == "nightly" || found[0].remedy[0].contains(older));
    }
}

#[test]
fn a_disk_may_be_small_or_full() {
    const GB: u64 = 1_000_000_000;
    for (size, free, expected) in [
        (80 * GB, 40 * GB, Level::Ok),
        (80 * GB, 9 * GB, Level::Ok),
        (80 * GB, 7 * GB, Level::Warning),
        (20 * GB, 4 * GB, Level::Warning),
        (20 * GB, 5 * GB, Level::Ok),
        (20 * GB, GB / 2, Level::Warning),
        (20 * GB, GB / 2 - 1, Level::Failed),
    ] {
        let found = judged(|facts, _| {
            facts.disks[0].size_bytes = size;
            facts.disks[0].free_bytes = free;
        });
        let ail: Vec<_> = (expected > Level::Ok).then_some(("disk", expected)).into_iter().collect();
        assert_eq!(ails(&found), ail, "{free} of {size}");
    }
}

#[test]
fn a_build_wants_memory_or_swap() {
    for (available_mib, swap, expected) in [(511, 0, 1), (512, 0, 0), (100, 1, 0)] {
        let found = judged(|facts, _| {
            let memory = facts.memory.as_mut().unwrap();
            (memory.available_bytes, memory.swap_bytes) = (available_mib << 20, swap);
        });
        assert_eq!(ails(&found).len(), expected, "{available_mib} MiB");
    }
}

#[test]
fn an_engine_may_be_old_or_away() {
    for (api, compose, expected) in [
        ("1.44", "2.20.0", vec![]),
        ("1.53", "5.0.1", vec![]),
        ("1.43", "2.20.0", vec!["engine"]),
        ("1.9", "2.3.4", vec!["engine", "compose"]),
        ("", "x", vec!["engine", "compose"]),
    ] {
        let found = judged(|facts, _| {
            facts.engine.as_mut().unwrap().api_version = api.into();
            facts.compose = compose.into();
        });
        let failed: Vec<_> = expected.into_iter().map(|check| (check, Level::Failed)).collect();
        assert_eq!(ails(&found), failed, "{api}, {compose}");
    }
    // Without it nothing is known of the app, and nothing is said of it.
    let facts = ServerFacts { engine: None, app: None, ..healthy() };
    assert_eq!(ails(&server("0.1.0", Some("shop"), &facts, &in_time())), [("engine", Level::Failed)]);
}

#[test]
fn an_app_that_was_never_deployed_lacks_nothing() {
    let facts = ServerFacts { app: None, ..healthy() };
    for wanted in [Some("shop"), None] {
        let found = server("0.1.0", wanted, &facts, &in_time());
        assert_eq!(ails(&found), []);
        assert_eq!(found.iter().any(|finding| finding.text.contains("was not deployed")), wanted.is_some());
    }
}

#[test]
fn clocks_are_compared_less_what_the_way_took() {
    let clocks = |ahead_seconds: i64, there_ms: i64, thought_ms: i64, back_ms: i64| {
        let ms = SignedDuration::from_millis;
        let sent = at(NOW);
        let asked = sent + ms(there_ms);
        let received = asked + ms(thought_ms + back_ms);
        let ahead = SignedDuration::from_secs(ahead_seconds);
        Clocks { sent, received, asked: asked + ahead, answered: asked + ms(thought_ms) + ahead }
    };
    for (clocks, expected) in [
        (clocks(0, 40, 2_000, 40), Level::Ok),
        (clocks(5, 0, 0, 0), Level::Ok),
        (clocks(6, 0, 0, 0), Level::Warning),
        (clocks(-6, 40, 90_000, 40), Level::Warning),
        (clocks(300, 0, 0, 0), Level::Warning),
        (clocks(302, 500, 0, 500), Level::Failed),
        (clocks(-86_400, 0, 0, 0), Level::Failed),
        // A line that is slow in one direction looks like a clock that is ahead.
        (clocks(0, 20_000, 0, 0), Level::Ok),
        (clocks(6, 20_000, 0, 20_000), Level::Ok),
    ] {
        assert_eq!(clock::clock(&clocks).level, expected, "{clocks:?}");
    }
    insta::assert_snapshot!(clock::clock(&clocks(-400, 0, 0, 0)).text, @"the server's is 6 min 40 s behind this computer's: schedules, logs and keys that expire go by it");
}

#[test]
fn backups_are_to_be_as_old_as_the_schedule_lets_them() {
    let judge = |last: Option<&str>, schedule: bool, on: bool| {
        judged(|_, app| {
            app.status.last_backup = last.map(at);
            app.status.schedule.as_mut().unwrap().on = on;
            app.status.schedule = app.status.schedule.take().filter(|_| schedule);
        })
    };
    for (last, schedule, on, fine) in [
        (Some("2026-11-28T03:00:00Z"), true, true, true),
        (Some("2026-11-26T12:00:01Z"), true, true, true),
        (Some("2026-11-26T11:59:59Z"), true, true, false),
        (Some("2026-11-28T03:00:00Z"), true, false, false),
        (Some("2026-11-28T03:00:00Z"), false, false, false),
        // It has been live for eight days.
        (None, true, true, false),
        // A clock that went back makes no backup old.
        (Some("2026-11-29T03:00:00Z"), true, true, true),
    ] {
        let found = judge(last, schedule, on);
        let ail: Vec<_> = (!fine).then_some(("backup age", Level::Warning)).into_iter().collect();
        assert_eq!(ails(&found), ail, "{last:?}, {schedule}, {on}");
    }
    let fresh = judged(|_, app| {
        app.status.last_backup = None;
        app.status.live.as_mut().unwrap().created = at("2026-11-28T11:00:00Z");
    });
    assert_eq!(ails(&fresh), [], "the first one is not due yet");
}

#[test]
fn certificates_end() {
    for (expires, expected) in [
        ("2026-12-19T12:00:00Z", Level::Ok),
        ("2026-12-19T11:59:59Z", Level::Warning),
        ("2026-11-28T12:00:00Z", Level::Warning),
        ("2026-11-28T11:59:59Z", Level::Failed),
        ("2025-01-01T00:00:00Z", Level::Failed),
    ] {
        let found = judged(|_, app| app.certificates[0].expires = Some(at(expires)));
        let ail: Vec<_> = (expected > Level::Ok).then_some(("certificate", expected)).into_iter().collect();
        assert_eq!(ails(&found), ail, "{expires}");
    }
    let found = judged(|_, app| {
        app.certificates[0].expires = None;
        app.certificates[0].problem = Some("connection refused".into());
    });
    assert_eq!(ails(&found), [("certificate", Level::Warning)]);
}

#[test]
fn containers_may_be_unwell_or_away() {
    for (state, health, expected) in [
        ("running", None, None),
        ("running", Some("starting"), None),
        ("exited (0)", None, None),
        ("running", Some("unhealthy"), Some(Level::Failed)),
        ("restarting", None, Some(Level::Failed)),
    ] {
        let found = judged(|_, app| {
            app.status.containers[0].state = state.into();
            app.status.containers[0].health = health.map(str::to_owned);
        });
        let ail: Vec<_> = expected.map(|level| ("containers", level)).into_iter().collect();
        assert_eq!(ails(&found), ail, "{state}, {health:?}");
    }
    // That one service is to have no container says nothing of the others.
    for none in [vec![], vec!["worker".to_owned()]] {
        let found = judged(|_, app| {
            app.status.containers.clear();
            app.status.scaled_to_zero = none.clone();
        });
        assert_eq!(ails(&found), [("containers", Level::Failed)], "{none:?}");
    }
    assert_eq!(ails(&judged(|_, app| app.status.live = None)), [("containers", Level::Warning)]);
}

#[test]
fn the_way_ends_where_it_failed() {
    let failure = Failure::new(FailureKind::Unauthorized, "the host key of home.example is not known")
        .cause("nobody was asked")
        .hint("compare the fingerprint");
    let findings = network("deploy@home.example", Err((Stage::HostKey, &failure)));
    insta::assert_snapshot!(render::findings(&findings, &Style::plain()), @"
    ok       ssh settings  they say how to reach deploy@home.example
    ok       address       the name leads to an address
    ok       connection    an SSH server answers
    failed   host key      the host key of home.example is not known; nobody was asked
                           -> compare the fingerprint
    ");
    assert_eq!(network("x", Ok(())).len(), 6);
}

#[test]
fn git_is_wanted_where_the_project_is_in_it() {
    let level = |in_git, ruled, version| git(in_git, ruled, version).map(|finding| finding.level);
    for (in_git, ruled, version, expected) in [
        (false, false, None, None),
        (true, false, Some("git version 2.39"), Some(Level::Ok)),
        (true, false, None, Some(Level::Warning)),
        (true, true, None, Some(Level::Failed)),
        (false, true, Some("git version 2.39"), Some(Level::Failed)),
    ] {
        assert_eq!(level(in_git, ruled, version), expected, "{in_git} {ruled} {version:?}");
    }
}
