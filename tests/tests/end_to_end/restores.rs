//! A backup comes back: beside what is live, or over it, wholly or not at all, also when the agent is killed. Part of R25.

use super::backups::{checksum, databases, nothing_is_left, world};
use wharf_tests::crash::{RESTORE_OVER, points};
use wharf_tests::{docker, tree};

/// What of [`RESTORE_OVER`] runs in CI. `scripts/test --long` runs all.
const SAMPLE: &[&str] = &["restore.made", "restore.inside", "swap.stopped", "swap.inside", "swap.started"];

/// Where the agent is killed while what was live is put back, and where it is killed again when it goes on with that.
const PUT_BACK_POINTS: &[(&str, Option<&str>)] = &[
    ("swap.after", None),
    ("put_back.before", Some("put_back.stopped")),
    ("put_back.stopped", Some("put_back.inside")),
    ("put_back.inside", Some("put_back.started")),
    ("put_back.started", None),
    ("put_back.after", Some("put_back.after")),
];

/// What of it runs in CI.
const PUT_BACK_SAMPLE: &[(&str, Option<&str>)] =
    &[("put_back.stopped", Some("put_back.inside")), ("put_back.after", None)];

#[test]
fn a_backup_comes_back_as_files_and_as_a_database_beside() {
    let world = world();
    let id = world.back_up();
    world.add_workout("bench");
    let to = world.server.folder.join("looked-at");
    let to_text = to.to_str().expect("UTF-8");
    world.laptop.wharf(&["backup", "restore", &id, "--to", to_text]).exits(0);
    let live = tree::read(&world.app_dir);
    assert_eq!(tree::read(&to.join("project")), live);
    assert!(std::fs::read(to.join("dumps/db.pgdump")).expect("the dump").starts_with(b"PGDMP"));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(to.metadata().expect("the folder").permissions().mode() & 0o777, 0o700);
    // Not over what is there, nor into the app.
    world.laptop.wharf(&["backup", "restore", &id, "--to", to_text]).exits(2);
    let inside = world.app_dir.join("restored");
    world.laptop.wharf(&["backup", "restore", &id, "--to", inside.to_str().expect("UTF-8")]).exits(2);

    let beside =
        |name: &str| world.laptop.wharf(&["backup", "restore", &id, "--database", "db", "--as", name]);
    beside("scratch").exits(0);
    assert_eq!(world.sql("scratch", "SELECT count(*) FROM workouts"), "2");
    assert_eq!(world.workouts().len(), 3);
    for taken in ["scratch", "fitness"] {
        beside(taken).exits(2);
    }
    nothing_is_left(&world);
}

#[test]
fn a_restore_over_brings_a_deleted_row_back_and_keeps_what_was_live() {
    let world = world();
    world.sql("fitness", "ALTER DATABASE fitness SET search_path TO \"$user\", public");
    let id = world.back_up();
    world.sql("fitness", "DELETE FROM workouts WHERE name = 'squats'");
    world.add_workout("later");
    let before = docker::containers(&world.project);

    world.laptop.wharf(&["backup", "restore", &id, "--yes"]).exits(2);
    world.laptop.wharf(&["backup", "restore", &id, "--confirm", "another"]).exits(3);
    assert_eq!(world.workouts(), ["rows", "later"]);

    let restored = world.laptop.wharf(&["backup", "restore", &id, "--confirm", &world.app]).exits(0);
    assert_eq!(world.workouts(), ["squats", "rows"]);
    assert_eq!(docker::containers(&world.project), before, "the very same containers serve");
    let kept: Vec<String> =
        databases(&world).into_iter().filter(|name| name.starts_with("fitness_before_")).collect();
    let [kept] = kept.as_slice() else { panic!("{kept:?}") };
    assert!(restored.stderr.contains(kept), "{}", restored.stderr);
    assert_eq!(world.sql(kept, "SELECT string_agg(name, ',' ORDER BY id) FROM workouts"), "rows,later");
    assert_eq!(world.sql("fitness", "SHOW search_path"), "\"$user\", public");
    // The safety backup holds what was live, too.
    assert_eq!(world.backups()[0]["message"], "before a restore");
    nothing_is_left(&world);
    // A database that somebody dropped is made anew.
    docker::docker(&["stop", &world.container("backend")]);
    world.sql("postgres", "DROP DATABASE fitness WITH (FORCE)");
    world.laptop.wharf(&["backup", "restore", &id, "--confirm", &world.app]).exits(0);
    docker::docker(&["start", &world.container("backend")]);
    assert_eq!(world.sql("fitness", "SELECT count(*) FROM workouts"), "2");
}

#[test]
fn a_restore_that_the_app_cannot_serve_with_is_put_back() {
    let mut world = world();
    // A backup that the app's code cannot read: a column has another name.
    world.sql("fitness", "ALTER TABLE workouts RENAME COLUMN name TO title");
    let id = world.back_up();
    world.sql("fitness", "ALTER TABLE workouts RENAME COLUMN title TO name");
    let port = world.web_port;
    let config = world.laptop.read("wharf.toml");
    let probe = format!("[[health]]\nurl = \"http://127.0.0.1:{port}/api/workouts\"\nwithin_seconds = 3\n");
    world.laptop.write("wharf.toml", config + &probe);
    world.deploy(&[]).exits(0);
    let before = checksum(&world, "fitness");
    let failed = world.laptop.wharf(&["backup", "restore", &id, "--confirm", &world.app]).exits(1);
    assert!(failed.stderr.contains("put back"), "{}", failed.stderr);
    assert_eq!(checksum(&world, "fitness"), before);
    assert_eq!(world.workouts(), ["squats", "rows"]);
    nothing_is_left(&world);

    for (point, again) in points(PUT_BACK_POINTS, PUT_BACK_SAMPLE) {
        println!("killing the agent at {point}, and then at {again:?}");
        let restore = ["backup", "restore", &id, "--confirm", &world.app];
        world.server.is_killed_at(point, *again, &world.laptop, &restore);
        wharf_tests::http::get_when_up(world.web_port, "/api/workouts");
        let jobs = world.jobs();
        assert_eq!(jobs[0]["outcome"]["result"], "put_back", "{point}: {}", jobs[0]);
        assert_eq!(checksum(&world, "fitness"), before, "{point}");
        assert_eq!(world.workouts(), ["squats", "rows"], "{point}");
        nothing_is_left(&world);
    }
}

#[test]
fn a_restore_that_is_killed_leaves_wholly_the_old_or_wholly_the_new() {
    let mut world = world();
    let id = world.back_up();
    world.sql("fitness", "DELETE FROM workouts WHERE name = 'squats'");
    let points = points(RESTORE_OVER, SAMPLE);
    for point in points {
        println!("killing the agent at {point}");
        let restore = ["backup", "restore", &id, "--confirm", &world.app];
        world.server.is_killed_at(point, None, &world.laptop, &restore);
        wharf_tests::http::get_when_up(world.web_port, "/api/workouts");
        let rows = world.workouts();
        let jobs = world.jobs();
        let outcome = &jobs[0]["outcome"]["result"];
        match rows.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["rows"] => assert!(outcome == "failed" || outcome == "put_back", "{point}: {outcome}"),
            ["squats", "rows"] => assert_eq!(outcome, "done", "{point}"),
            other => panic!("{point}: {other:?}"),
        }
        nothing_is_left(&world);
        if rows.len() == 2 {
            world.sql("fitness", "DELETE FROM workouts WHERE name = 'squats'");
        }
    }
    world.laptop.wharf(&["backup", "restore", &id, "--confirm", &world.app]).exits(0);
    assert_eq!(world.workouts(), ["squats", "rows"]);
}
