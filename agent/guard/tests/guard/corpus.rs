//! The corpus, sent raw: every volume is still there afterwards. And the control: the same requests do delete without a guard.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::{BUSYBOX, DATA, Guard, Turn, until};
use crate::hostile::{CONTAINER, FLEETING, Hostile, VOLUME, table};
use crate::mutate::{Dice, mutate};
use crate::raw;

const PATIENCE: Duration = Duration::from_millis(1500);
const SEED: u64 = 20_260_914;

fn long() -> bool {
    std::env::var_os("WHARF_TEST_LONG").is_some_and(|value| value == "1")
}

#[test]
fn no_hostile_request_deletes_a_volume() {
    let turn = Turn::take();
    let guard = Guard::open(&turn);
    for hostile in &corpus() {
        prepare(&turn);
        let lost = attack(&turn, &guard.socket(), hostile);
        assert!(
            lost.is_empty(),
            "{}: {lost:?} deleted by {:?}",
            hostile.name,
            String::from_utf8_lossy(&hostile.bytes())
        );
    }
    // The guard still serves after all that.
    assert!(guard.docker(&["version"]).status.success());
}

/// The table, and mutations of it.
pub fn corpus() -> Vec<Hostile> {
    let (table, mut dice) = (table(), Dice::new(SEED));
    let mutations = if long() { 3000 } else { 240 - table.len().min(140) };
    let corpus: Vec<Hostile> =
        table.iter().cloned().chain((0..mutations).map(|_| mutate(&table, &mut dice))).collect();
    assert!(corpus.len() >= 200, "{}", corpus.len());
    corpus
}

/// The corpus is worth something: most of it does delete. Which of it was measured with Engine 26.1; others may be stricter.
#[test]
fn the_same_requests_delete_without_the_guard() {
    let turn = Turn::take();
    let (mut surprising, mut deadly) = (Vec::new(), 0);
    for hostile in table() {
        prepare(&turn);
        let deleted = !attack(&turn, &turn.socket(), &hostile).is_empty();
        deadly += usize::from(deleted);
        if deleted != hostile.deadly {
            let what = if deleted { "deletes" } else { "deletes nothing" };
            surprising.push(format!("{} ({what})", hostile.name));
        }
    }
    assert!(deadly >= 50, "{deadly} delete; {surprising:#?}");
    let version = turn.docker(&["version", "--format", "{{.Server.Version}}"]);
    assert!(!version.starts_with("26.1") || surprising.is_empty(), "{surprising:#?}");
}

/// Everything that a request may be about is there.
pub fn prepare(turn: &Turn) {
    turn.api("POST", "/volumes/create", json!({"Name": VOLUME}));
    if !turn.exists(CONTAINER) {
        turn.container(CONTAINER, json!({"Image": DATA}));
    }
    if !turn.exists(FLEETING) {
        turn.container(
            FLEETING,
            json!({"Image": DATA, "Cmd": ["sleep", "3600"], "HostConfig": {"AutoRemove": true}}),
        );
        turn.api("POST", &format!("/containers/{FLEETING}/start"), Value::Null);
    }
    assert_eq!(turn.api("GET", &format!("/images/{BUSYBOX}/json"), Value::Null).0, 200);
}

/// Sends, runs what was made by it to its end, and says which volumes are gone.
pub fn attack(turn: &Turn, socket: &Path, hostile: &Hostile) -> Vec<String> {
    let (volumes, containers) = (turn.volumes(), ids(turn));
    raw::send(socket, &hostile.bytes(), PATIENCE);
    let mut all: BTreeSet<String> = volumes;
    let made: Vec<String> = ids(turn).difference(&containers).cloned().collect();
    if !made.is_empty() {
        all.extend(turn.volumes());
    }
    for id in &made {
        let (_, inspected) = turn.api("GET", &format!("/containers/{id}/json"), Value::Null);
        turn.api("POST", &format!("/containers/{id}/start"), Value::Null);
        let fleeting = inspected["HostConfig"]["AutoRemove"] == true
            || inspected["Config"]["Labels"].to_string().contains("dev.wharf.guard");
        if fleeting {
            until(
                Duration::from_secs(20),
                || !turn.exists(id),
                || format!("{} left a container", hostile.name),
            );
        } else {
            turn.api("POST", &format!("/containers/{id}/wait"), Value::Null);
            turn.api("DELETE", &format!("/containers/{id}"), Value::Null);
        }
    }
    if hostile.path.contains(FLEETING) {
        // A stop is answered before the engine has removed the container.
        let (_, inspected) = turn.api("GET", &format!("/containers/{FLEETING}/json"), Value::Null);
        if inspected["State"]["Running"] != true {
            until(Duration::from_secs(20), || !turn.exists(FLEETING), || "the engine removes it".to_owned());
        }
    }
    let left = turn.volumes();
    all.difference(&left).cloned().collect()
}

fn ids(turn: &Turn) -> BTreeSet<String> {
    let (_, listed) = turn.api("GET", "/containers/json?all=1", Value::Null);
    listed.as_array().unwrap().iter().map(|container| container["Id"].as_str().unwrap().to_owned()).collect()
}
