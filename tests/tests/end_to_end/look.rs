//! Looking at what runs: logs over a deploy and a restart, a status that is watched, reports. Issue 4 (R32, R33, R37).

use std::time::Duration;
use wharf_tests::laptop::Running;
use wharf_tests::terminal::Terminal;
use wharf_tests::{Laptop, World, docker, tree};

/// However slow the machine is, no line takes as long.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn what_runs_can_be_looked_at() {
    let world = World::fitnessapp();
    let bad = world.laptop.wharf(&["logs", "--grep", "a(", "--accept-new-host-key"]).exits(2);
    assert!(bad.stderr.contains("unclosed group"), "{}", bad.stderr);
    world.deploy(&[]).exits(0);
    looked_for(&world);
    followed(&world);
    watched(&world);
    reported(&world);
}

/// Lets the back end's container write lines.
fn write(world: &World, lines: &str) {
    let script = format!("printf '%s\\n' {lines} >/proc/1/fd/1");
    docker::docker(&["exec", &world.container("backend"), "sh", "-c", &script]);
}

fn looked_for(world: &World) {
    write(world, "planted-1 other planted-2 other planted-3 other ERROR-4");
    let logs = |more: &[&str]| {
        let arguments = ["logs", "--json", "--grep", "^planted-"];
        let lines = world.laptop.wharf(&[&arguments, more].concat()).exits(0).json();
        let text = |line: &serde_json::Value| line["line"].as_str().expect("a line").to_owned();
        (lines.iter().map(text).collect::<Vec<_>>(), lines)
    };
    assert_eq!(logs(&[]).0, ["planted-1", "planted-2", "planted-3"]);
    assert_eq!(logs(&["-n", "2", "backend"]).0, ["planted-2", "planted-3"]);
    assert_eq!(logs(&["-n", "all", "--since", "1h"]).0.len(), 3);
    assert_eq!(logs(&["db"]).0.len(), 0);
    let (lines, all) = logs(&["--all", "-n", "1", "backend"]);
    assert_eq!(
        (lines[0].as_str(), all[0]["app"].as_str(), all[0]["service"].as_str()),
        ("planted-3", Some(world.app.as_str()), Some("backend"))
    );
    let counted = world.laptop.wharf(&["logs", "--errors", "--json", "backend"]).exits(0).json();
    let count = &counted[0]["counts"][0];
    assert!(count["service"] == "backend" && count["lines"].as_u64() >= Some(1), "{counted:?}");
    let text = world.laptop.wharf(&["logs", "--all", "-n", "1", "--grep", "^planted-"]).exits(0).stdout;
    assert_eq!(text, format!("{}/backend | planted-3\n", world.app));
}

/// Every line up to `last`.
fn up_to(client: &mut Running, last: &str) -> Vec<String> {
    client.within(PATIENCE, |client| {
        let mut lines = Vec::new();
        loop {
            let line = client.next_line().unwrap_or_else(|| panic!("it ended before {last}: {lines:?}"));
            lines.push(line["line"].as_str().expect("a line").to_owned());
            if lines.last().is_some_and(|line| line == last) {
                return lines;
            }
        }
    })
}

/// One conversation goes on over a container that is made anew by a deploy, and over one that is stopped and started. No
/// line comes twice.
fn followed(world: &World) {
    let mut client = world.laptop.wharf_json(&["logs", "-f", "-n", "1", "--grep", "^planted-"]);
    let mut plain = world.laptop.wharf_json(&["logs", "-f", "-n", "1", "backend"]);
    assert_eq!(up_to(&mut client, "planted-3"), ["planted-3"]);
    assert_eq!(up_to(&mut plain, "ERROR-4"), ["ERROR-4"]);
    let before = world.container("backend");
    write(world, "planted-4");
    assert_eq!(up_to(&mut client, "planted-4"), ["planted-4"]);
    world.laptop.edit("backend/version.py", "1.0.0", "2.0.0");
    world.deploy(&[]).exits(0);
    assert_ne!(world.container("backend"), before);
    write(world, "planted-5");
    assert_eq!(up_to(&mut client, "planted-5"), ["planted-5"]);
    world.laptop.wharf(&["restart", "backend"]).exits(0);
    write(world, "planted-6");
    assert_eq!(up_to(&mut client, "planted-6"), ["planted-6"]);
    let all = up_to(&mut plain, "planted-6");
    for line in ["planted-4", "planted-5", "planted-6"] {
        assert_eq!(all.iter().filter(|said| *said == line).count(), 1, "{all:?}");
    }
    client.kill();
    plain.kill();
}

fn watched(world: &World) {
    let status = world.laptop.wharf(&["status", "--json"]).exits(0).json();
    let of = |service: &str| {
        let containers = status[0]["containers"].as_array().expect("containers");
        containers.iter().find(|container| container["service"] == service).expect("its container").clone()
    };
    assert!(of("backend")["memory_bytes"].as_u64() > Some(0), "{status:?}");
    assert!(status[0]["disk"]["free_bytes"].as_u64() > Some(0), "{status:?}");
    let mut terminal = Terminal::start(&world.laptop, &["status", "--watch", "--interval", "1"], 150, 40);
    let first = terminal.wait_for("\x1b[J");
    assert!(first.contains("every 1 s; Ctrl-C ends") && first.contains("MEMORY"), "{first}");
    let second = terminal.wait_for("\x1b[J");
    assert!(second.starts_with("\x1b[H") && second.contains("backend"), "{second}");
    terminal.type_in("\x03");
    assert_eq!(terminal.finish(), 130);
    // Elsewhere it tells of changes.
    let mut client = world.laptop.wharf_json(&["status", "--watch", "--interval", "1"]);
    let live = client.wait_for(|line| line["type"] == "status");
    assert_eq!(live["live"]["release"], "v2");
    world.laptop.wharf(&["scale", "web", "--memory", "256m"]).exits(0);
    let limit = |line: &serde_json::Value| {
        let containers = line["containers"].as_array().cloned().unwrap_or_default();
        containers.iter().any(|container| container["memory_limit_bytes"] == 268_435_456)
    };
    client.wait_for(limit);
    client.kill();
}

fn reported(world: &World) {
    let dockerfile = world.laptop.read("backend/Dockerfile") + "RUN echo planted-failure && false\n";
    world.laptop.write("backend/Dockerfile", dockerfile);
    world.deploy(&[]).exits(1);
    let report = |laptop: &Laptop, arguments: &[&str]| {
        laptop.wharf(&[&["report"], arguments].concat()).exits(0).stdout
    };
    let has = |text: &str, wanted: &[&str]| {
        wanted.iter().for_each(|wanted| assert!(text.contains(wanted), "{wanted} in\n{text}"));
    };
    let deploy = report(&world.laptop, &["deploy"]);
    has(
        &deploy,
        &[": deploy v3\n", "failed before anything was changed", "planted-failure", "| build | FAILED"],
    );
    let first = report(&world.laptop, &["deploy", "1"]);
    has(&first, &["# Job 1 of", "v1 is live", "| verify | done |"]);
    world.laptop.wharf(&["report", "deploy", "999"]).exits(2);
    let health = report(&world.laptop, &["health"]);
    has(&health, &["## Backups", " in all, ", "3 of 3 run", "| backend | running |", "free of"]);
    world.laptop.wharf(&["report", "incident", "--since", "yesterday"]).exits(2);
    write(world, "ERROR-5 FATAL");
    let incident = report(&world.laptop, &["incident", "--since", "1h"]);
    let row = |line: &str| line.strip_prefix("| backend | ")?.strip_suffix(" |")?.parse::<u64>().ok();
    assert!(incident.lines().find_map(row) >= Some(2), "{incident}");
    has(&incident, &["deploy v3 |", "restart backend |", "## Root cause"]);
    // A key that may look, and no more, does not get to see the audit.
    let other = Laptop::new(&world.server.folder.join("other"));
    let (public, private) = (other.folder.join("id_ed25519.pub"), other.key().display().to_string());
    world.laptop.wharf(&["keys", "add", &public.display().to_string(), "--role", "read"]).exits(0);
    tree::copy(&world.laptop.project, &other.project);
    let config = world.laptop.read("wharf.toml").replace(&world.laptop.key().display().to_string(), &private);
    other.write("wharf.toml", config);
    let limited = report(&other, &["incident", "--accept-new-host-key"]);
    has(&limited, &["The audit could not be read", "operate is needed", "deploy v3 |"]);
}
