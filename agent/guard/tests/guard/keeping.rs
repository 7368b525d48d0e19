//! `run --rm` of an image that declares volumes: the container goes as ever, its volume stays.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::{BUSYBOX, DATA, Guard, Turn, shell, until};

const SOON: Duration = Duration::from_secs(15);

fn gone(turn: &Turn, name: &str) {
    until(SOON, || !turn.exists(name), || format!("{name} is still there"));
}

#[test]
fn the_container_goes_and_its_volume_stays() {
    let turn = Turn::take();
    let guard = Guard::open(&turn);
    let here = tempfile::tempdir().unwrap();
    let run = |script: &str| shell(&guard.socket(), here.path(), "keeping", script);

    // In front: gone when the command returns, as with the engine; exit code and output are the container's.
    let output =
        run("docker run --rm --name aa guard-data:1 sh -c 'echo kept > /data/file; echo said; exit 7'");
    assert_eq!(
        (output.status.code(), &*output.stdout),
        (Some(7), &b"said\n"[..]),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!turn.exists("aa"));
    let volumes = turn.volumes();
    assert_eq!(volumes.len(), 1);
    let volume = volumes.first().unwrap();
    assert_eq!(
        turn.docker(&["run", "--rm", "-v", &format!("{volume}:/v"), BUSYBOX, "cat", "/v/file"]),
        "kept"
    );

    // In the background: gone when it has been stopped.
    assert!(run("docker run -d --rm --name bb guard-data:1 sleep 3600 && docker restart -t 0 bb && docker exec bb true").status.success());
    assert!(turn.exists("bb"));
    assert!(run("docker stop -t 0 bb").status.success());
    gone(&turn, "bb");

    // One that cannot start does not stay, and the command does not hang.
    let output = run("docker run --rm --name cc guard-data:1 /no/such/command");
    assert_eq!(output.status.code(), Some(127), "{}", String::from_utf8_lossy(&output.stderr));
    gone(&turn, "cc");

    // Input, a fast end, a volume from another container.
    let output = run(
        "docker create --name origin -v /shared wharf-base/busybox:1 && echo hello | docker run -i --rm --name dd --volumes-from origin wharf-base/busybox:1 cat && docker rm origin",
    );
    assert!(output.status.success() && output.stdout.ends_with(b"hello\norigin\n"), "{output:?}");
    gone(&turn, "dd");
    assert_eq!(turn.volumes().len(), 4);
}

#[test]
fn compose_run_with_rm_too() {
    let turn = Turn::take();
    let guard = Guard::open(&turn);
    let here = tempfile::tempdir().unwrap();
    fs::write(
        here.path().join("compose.yml"),
        "services: {job: {image: 'guard-data:1', network_mode: none}}",
    )
    .unwrap();
    let output = shell(
        &guard.socket(),
        here.path(),
        "job",
        "docker compose run --rm --name job job sh -c 'echo x > /data/x; echo done; exit 3'",
    );
    assert_eq!(
        (output.status.code(), &*output.stdout),
        (Some(3), &b"done\n"[..]),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    gone(&turn, "job");
    assert_eq!(turn.volumes().len(), 1);
}

#[test]
fn the_next_guard_sees_through_what_the_last_one_left() {
    let turn = Turn::take();
    let guard = Guard::open(&turn);
    for (name, seconds) in [("ended", "0.2"), ("running", "3600")] {
        let made = guard.docker(&[
            "run",
            "-d",
            "--rm",
            "--name",
            name,
            "--stop-timeout",
            "0",
            DATA,
            "sleep",
            if name == "ended" { "1" } else { seconds },
        ]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    drop(guard);
    turn.api("POST", "/containers/ended/wait", Value::Null);
    assert!(turn.exists("ended") && turn.exists("running"));

    let _next = Guard::open(&turn);
    gone(&turn, "ended");
    assert!(turn.exists("running"));
    turn.docker(&["stop", "running"]);
    gone(&turn, "running");
    assert_eq!(turn.volumes().len(), 2);
}

#[test]
fn the_engine_removes_what_has_no_volumes() {
    let turn = Turn::take();
    let guard = Guard::open(&turn);
    let made = guard.docker(&["run", "-d", "--rm", "--name", "plain", BUSYBOX, "sleep", "3600"]);
    assert!(made.status.success());
    let (_, inspected) = turn.api("GET", "/containers/plain/json", Value::Null);
    assert_eq!(
        (&inspected["HostConfig"]["AutoRemove"], &inspected["Config"]["Image"]),
        (&json!(true), &json!(BUSYBOX))
    );
    assert!(guard.docker(&["stop", "-t", "0", "plain"]).status.success());
    gone(&turn, "plain");
}
