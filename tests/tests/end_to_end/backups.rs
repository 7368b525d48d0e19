//! Backups on demand, drills and restores. Shows 4 and 5 of the data issue (R24, R25).

use std::path::{Path, PathBuf};
use wharf_tests::{World, docker};

/// Where the agent is killed during a restore over what is live.
const POINTS: &[&str] = &[
    "back_up.before",
    "back_up.after",
    "restore.before",
    "restore.made",
    "restore.inside",
    "restore.after",
    "check.before",
    "check.after",
    "swap.before",
    "swap.stopped",
    "swap.inside",
    "swap.started",
    "swap.after",
];

/// What runs in CI. `scripts/test --long` runs all.
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

/// What is done to the content of a file.
type Damage = fn(&mut Vec<u8>);

/// A deployed app with two rows.
fn world() -> World {
    let world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    world.add_workout("rows");
    world
}

/// Makes a backup and returns its ID.
fn backup(world: &World) -> String {
    let lines = world.laptop.wharf(&["backup", "create", "--json"]).exits(0).json();
    let result = lines.last().expect("a result");
    assert_eq!(result["result"], "done", "{result}");
    result["backup"].as_str().expect("a backup").to_owned()
}

fn list(world: &World) -> Vec<serde_json::Value> {
    world.laptop.wharf(&["backup", "list", "--json"]).exits(0).json()
}

fn listed(world: &World, id: &str) -> serde_json::Value {
    list(world).into_iter().find(|backup| backup["id"] == id).expect("the backup is listed")
}

fn sql(world: &World, database: &str, statement: &str) -> String {
    docker::docker(&[
        "exec",
        &world.container("db"),
        "psql",
        "-XqAt",
        "-v",
        "ON_ERROR_STOP=1",
        "-U",
        "fitness",
        "-d",
        database,
        "-c",
        statement,
    ])
}

/// Every row that the app keeps, in one number.
fn checksum(world: &World, database: &str) -> String {
    sql(world, database, "SELECT count(*), sum(hashtextextended(w::text, 0)) FROM workouts w")
}

fn databases(world: &World) -> Vec<String> {
    let all = sql(world, "postgres", "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1");
    all.lines().map(str::to_owned).collect()
}

/// Nothing of a job's own is left: no container, no folder, no database.
fn nothing_is_left(world: &World) {
    assert_eq!(world.leftovers(), Vec::<PathBuf>::new());
    let prefix = format!("name=wharf-{}-", world.app);
    assert_eq!(docker::docker(&["ps", "-aq", "--filter", &prefix]), "");
    let own: Vec<String> =
        databases(world).into_iter().filter(|name| name.starts_with("wharf_restore")).collect();
    assert_eq!(own, Vec::<String>::new());
}

fn repository(world: &World) -> PathBuf {
    world.server.folder.join("state/apps").join(&world.app).join("backups")
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of the repository").flatten() {
        let path = entry.path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort_by_key(|path| std::cmp::Reverse(std::fs::metadata(path).map_or(0, |found| found.len())));
    files
}

fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    use std::os::unix::fs::PermissionsExt;
    let before = std::fs::read(path).expect("a file of the repository");
    let mut after = before.clone();
    change(&mut after);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("the test's own file");
    std::fs::write(path, after).expect("the test's own file");
    before
}

#[test]
fn a_backup_is_made_listed_and_proven() {
    let world = world();
    let id = backup(&world);
    let made = listed(&world, &id);
    assert_eq!(made["release"], "v1");
    assert_eq!(made["checked"], true);
    assert_eq!(made["proof"]["state"], "unproven");
    assert_eq!(made["databases"][0]["service"], "db");
    assert_eq!(made["databases"][0]["rows"], 2);
    let table = world.laptop.wharf(&["backup", "list"]).exits(0);
    assert!(table.stdout.contains("unproven") && table.stderr.contains("backup key"), "{table:?}");

    let before = (checksum(&world, "fitness"), world.fingerprint(), databases(&world));
    let verified = world.laptop.wharf(&["backup", "verify"]).exits(0);
    assert!(verified.stderr.contains("is proven"), "{}", verified.stderr);
    assert_eq!(listed(&world, &id)["proof"]["state"], "proven");
    assert_eq!((checksum(&world, "fitness"), world.fingerprint(), databases(&world)), before);
    nothing_is_left(&world);
    world.laptop.wharf(&["backup", "verify", "0000000"]).exits(2);
}

#[test]
fn the_key_opens_the_backups_and_is_asked_for_until_it_is_saved() {
    let world = world();
    let status = || world.laptop.wharf(&["status"]).exits(0).stdout;
    assert!(status().contains("wharf backup key"), "{}", status());
    let deployed = || world.deploy(&[]).exits(0).stderr;
    assert!(deployed().contains("the recovery key is not saved"), "{}", status());
    let key = world.laptop.wharf(&["backup", "key", "-q"]).exits(0).stdout;
    let recovery = repository(&world).with_file_name("backups.key.recovery");
    assert_eq!(key.trim(), std::fs::read_to_string(recovery).expect("the key on the server").trim());
    world.laptop.wharf(&["backup", "key", "--saved"]).exits(0);
    assert!(!status().contains("wharf backup key"), "{}", status());
    assert!(!deployed().contains("wharf backup key"), "{}", status());
    let log = world.laptop.wharf(&["audit", "--json"]).exits(0).stdout;
    assert!(log.contains("backup key --saved") && !log.contains(key.trim()));
}

#[test]
fn a_drill_notices_what_is_damaged() {
    let world = world();
    let id = backup(&world);
    let before = checksum(&world, "fitness");
    let repository = repository(&world);
    let pack = files_below(&repository.join("data")).remove(0);
    let index = files_below(&repository.join("index")).remove(0);

    let middle = |content: &mut Vec<u8>| {
        let at = content.len() / 2;
        content[at] ^= 1;
    };
    let sound = rewrite(&pack, middle);
    let failed = world.laptop.wharf(&["backup", "verify", &id]).exits(1);
    assert!(failed.stderr.contains("damaged"), "{}", failed.stderr);
    assert_eq!(listed(&world, &id)["proof"]["state"], "failed");
    let sound_again = |_: &mut Vec<u8>| {};
    rewrite(&pack, |content| *content = sound);
    rewrite(&pack, sound_again);
    world.laptop.wharf(&["backup", "verify", &id]).exits(0);
    assert_eq!(listed(&world, &id)["proof"]["state"], "proven");

    let (half, nothing): (Damage, Damage) = (|all| all.truncate(all.len() / 2), Vec::clear);
    for (path, change) in [(&pack, half), (&pack, nothing), (&index, half)] {
        let sound = rewrite(path, change);
        let failed = world.laptop.wharf(&["backup", "verify", &id]);
        assert_eq!(failed.code, 1, "{}: {}", path.display(), failed.stderr);
        assert_eq!(listed(&world, &id)["proof"]["state"], "failed", "{}", path.display());
        rewrite(path, |content| *content = sound);
    }
    world.laptop.wharf(&["backup", "verify", &id]).exits(0);
    assert_eq!(checksum(&world, "fitness"), before);
    nothing_is_left(&world);
}

#[test]
fn a_dump_that_lacks_a_table_or_its_rows_is_not_proven() {
    let world = world();
    for (option, told) in [
        ("--exclude-table=workouts", "public.workouts: it had 2 rows and did not come back"),
        ("--exclude-table-data=workouts", "public.workouts: it had 2 rows, 0 came back"),
    ] {
        // A pg_dump that leaves something out, before the real one on the path.
        let script = format!(
            "real=$(dirname \"$(command -v pg_restore)\")/pg_dump.real; here=${{real%.real}}; \
             [ -e \"$real\" ] || mv \"$here\" \"$real\"; \
             printf '#!/bin/sh\\nexec %s \"$@\" {option}\\n' \"$real\" > \"$here\"; chmod 755 \"$here\""
        );
        docker::docker(&["exec", "-u", "root", &world.container("db"), "sh", "-c", &script]);
        let id = backup(&world);
        let failed = world.laptop.wharf(&["backup", "verify", &id]).exits(1);
        assert!(failed.stderr.contains(told), "{}", failed.stderr);
        let proof = &listed(&world, &id)["proof"];
        assert_eq!(proof["state"], "failed");
        assert!(proof["why"].as_str().expect("a reason").contains(told), "{proof}");
    }
    assert_eq!(world.workouts(), ["squats", "rows"]);
    nothing_is_left(&world);
}

/// Stock restic on the app's repository.
fn restic(world: &World, within: &Path, arguments: &[&str]) -> String {
    let repository = repository(world);
    let output = std::process::Command::new("restic")
        .args(["--no-cache", "--json", "-r"])
        .arg(&repository)
        .arg("--password-file")
        .arg(repository.with_file_name("backups.key.recovery"))
        .args(arguments)
        .current_dir(within)
        .output()
        .expect("restic is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("restic writes UTF-8")
}

#[test]
fn a_dump_that_is_cut_short_emptied_or_changed_fails_its_drill() {
    let world = world();
    let id = backup(&world);
    let before = (checksum(&world, "fitness"), world.fingerprint(), databases(&world));
    // Backups that are whole to the repository, with dumps that are not: only restoring them can tell.
    let crafted = world.server.folder.join("crafted");
    restic(&world, &world.server.folder, &["restore", &id, "--target", crafted.to_str().expect("UTF-8")]);
    let dump = crafted.join("dumps/db.pgdump");
    let sound = std::fs::read(&dump).expect("the dump");
    let cases: [(&str, Damage, i32); 5] = [
        ("cut in half", |dump| dump.truncate(dump.len() / 2), 1),
        ("without its end", |dump| dump.truncate(dump.len() - 8), 1),
        ("emptied", Vec::clear, 1),
        ("with another byte in its head", |dump| dump[0] ^= 1, 1),
        ("as it was", |_| {}, 0),
    ];
    for (what, change, code) in cases {
        let mut content = sound.clone();
        change(&mut content);
        std::fs::write(&dump, content).expect("the test's own file");
        let said = restic(&world, &crafted, &["backup", "."]);
        let last: serde_json::Value =
            serde_json::from_str(said.lines().last().expect("a summary")).expect("JSON");
        let made = last["snapshot_id"].as_str().expect("an ID");
        let verified = world.laptop.wharf(&["backup", "verify", made]);
        assert_eq!(verified.code, code, "{what}: {}", verified.stderr);
        let told = if code == 0 { "is proven" } else { "the dump of db could not be restored" };
        assert!(verified.stderr.contains(told), "{what}: {}", verified.stderr);
    }
    assert_eq!((checksum(&world, "fitness"), world.fingerprint(), databases(&world)), before);
    nothing_is_left(&world);
}

#[test]
fn the_project_s_own_check_decides_too() {
    let world = world();
    world.laptop.edit(
        "wharf.toml",
        "service = \"db\"",
        "service = \"db\"\ncheck_sql = \"SELECT count(*) > 2 FROM workouts\"",
    );
    world.deploy(&[]).exits(0);
    let id = backup(&world);
    let failed = world.laptop.wharf(&["backup", "verify", &id]).exits(1);
    assert!(failed.stderr.contains("check_sql"), "{}", failed.stderr);
    world.add_workout("bench");
    let id = backup(&world);
    world.laptop.wharf(&["backup", "verify", &id]).exits(0);
}

#[test]
fn a_backup_comes_back_as_files_and_as_a_database_beside() {
    let world = world();
    let id = backup(&world);
    world.add_workout("bench");
    let to = world.server.folder.join("looked-at");
    let to_text = to.to_str().expect("UTF-8");
    world.laptop.wharf(&["backup", "restore", &id, "--to", to_text]).exits(0);
    let live = wharf_tests::tree::read(&world.app_dir);
    assert_eq!(wharf_tests::tree::read(&to.join("project")), live);
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
    assert_eq!(sql(&world, "scratch", "SELECT count(*) FROM workouts"), "2");
    assert_eq!(world.workouts().len(), 3);
    for taken in ["scratch", "fitness"] {
        beside(taken).exits(2);
    }
    nothing_is_left(&world);
}

#[test]
fn a_restore_over_brings_a_deleted_row_back_and_keeps_what_was_live() {
    let world = world();
    sql(&world, "fitness", "ALTER DATABASE fitness SET search_path TO \"$user\", public");
    let id = backup(&world);
    sql(&world, "fitness", "DELETE FROM workouts WHERE name = 'squats'");
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
    assert_eq!(sql(&world, kept, "SELECT string_agg(name, ',' ORDER BY id) FROM workouts"), "rows,later");
    assert_eq!(sql(&world, "fitness", "SHOW search_path"), "\"$user\", public");
    // The safety backup holds what was live, too.
    assert_eq!(list(&world)[0]["message"], "before a restore");
    nothing_is_left(&world);
    // A database that somebody dropped is made anew.
    docker::docker(&["stop", &world.container("backend")]);
    sql(&world, "postgres", "DROP DATABASE fitness WITH (FORCE)");
    world.laptop.wharf(&["backup", "restore", &id, "--confirm", &world.app]).exits(0);
    docker::docker(&["start", &world.container("backend")]);
    assert_eq!(sql(&world, "fitness", "SELECT count(*) FROM workouts"), "2");
}

#[test]
fn a_restore_that_the_app_cannot_serve_with_is_put_back() {
    let mut world = world();
    // A backup that the app's code cannot read: a column has another name.
    sql(&world, "fitness", "ALTER TABLE workouts RENAME COLUMN name TO title");
    let id = backup(&world);
    sql(&world, "fitness", "ALTER TABLE workouts RENAME COLUMN title TO name");
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

    for (point, again) in if wharf_tests::long() { PUT_BACK_POINTS } else { PUT_BACK_SAMPLE } {
        println!("killing the agent at {point}, and then at {again:?}");
        world.server.restart(&[("WHARFD_CRASH_AT", point)]);
        let client = world.laptop.wharf_json(&["backup", "restore", &id, "--confirm", &world.app]);
        world.server.wait_for_death();
        client.kill();
        if let Some(again) = again {
            world.server.dies_again(again);
        }
        world.server.restart(&[]);
        wharf_tests::http::get_when_up(world.web_port, "/api/workouts");
        let jobs = world.laptop.wharf(&["jobs", "--json"]).exits(0).json();
        assert_eq!(jobs[0]["outcome"]["result"], "put_back", "{point}: {}", jobs[0]);
        assert_eq!(checksum(&world, "fitness"), before, "{point}");
        assert_eq!(world.workouts(), ["squats", "rows"], "{point}");
        nothing_is_left(&world);
    }
}

#[test]
fn a_restore_that_is_killed_leaves_wholly_the_old_or_wholly_the_new() {
    let mut world = world();
    let id = backup(&world);
    sql(&world, "fitness", "DELETE FROM workouts WHERE name = 'squats'");
    let points = if wharf_tests::long() { POINTS } else { SAMPLE };
    for point in points {
        println!("killing the agent at {point}");
        world.server.restart(&[("WHARFD_CRASH_AT", point)]);
        let client = world.laptop.wharf_json(&["backup", "restore", &id, "--confirm", &world.app]);
        world.server.wait_for_death();
        client.kill();
        world.server.restart(&[]);
        wharf_tests::http::get_when_up(world.web_port, "/api/workouts");
        let rows = world.workouts();
        let jobs = world.laptop.wharf(&["jobs", "--json"]).exits(0).json();
        let outcome = &jobs[0]["outcome"]["result"];
        match rows.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["rows"] => assert!(outcome == "failed" || outcome == "put_back", "{point}: {outcome}"),
            ["squats", "rows"] => assert_eq!(outcome, "done", "{point}"),
            other => panic!("{point}: {other:?}"),
        }
        nothing_is_left(&world);
        if rows.len() == 2 {
            sql(&world, "fitness", "DELETE FROM workouts WHERE name = 'squats'");
        }
    }
    world.laptop.wharf(&["backup", "restore", &id, "--confirm", &world.app]).exits(0);
    assert_eq!(world.workouts(), ["squats", "rows"]);
}

#[test]
fn a_drill_that_is_killed_leaves_nothing() {
    let mut world = world();
    let id = backup(&world);
    world.server.restart(&[("WHARFD_CRASH_AT", "drill.inside")]);
    let client = world.laptop.wharf_json(&["backup", "verify", &id]);
    world.server.wait_for_death();
    client.kill();
    world.server.restart(&[]);
    nothing_is_left(&world);
    assert_eq!(listed(&world, &id)["proof"]["state"], "unproven");
    world.laptop.wharf(&["backup", "verify", &id]).exits(0);
}

#[test]
fn cron_s_command_is_quiet_and_its_exit_code_tells() {
    let world = world();
    let state = world.server.folder.join("state");
    let run = |app: &str, state: &Path| {
        let program = wharf_tests::program("WHARFD_BIN", "wharfd");
        let output = std::process::Command::new(program).args(["backup", app, "--state"]).arg(state).output();
        let output = output.expect("wharfd starts");
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said)
    };
    let before = list(&world).len();
    assert_eq!(run(&world.app, &state), (Some(0), String::new()));
    assert_eq!(list(&world).len(), before + 1);
    let (code, said) = run("unknown", &state);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no app called unknown"), "{said}");
    let (code, said) = run(&world.app, &world.server.folder);
    assert_eq!(code, Some(4), "{said}");
    let audit = world.laptop.wharf(&["audit"]).exits(0).stdout;
    assert!(audit.contains("uid 0 on the server") || audit.contains("on the server"), "{audit}");
}

#[test]
fn several_databases_of_one_server_are_dumped_proven_and_restored_each_on_its_own() {
    let world = world();
    sql(&world, "postgres", "CREATE ROLE reader LOGIN");
    sql(&world, "postgres", "CREATE DATABASE analytics");
    sql(&world, "analytics", "CREATE TABLE visits AS SELECT n FROM generate_series(1, 30) n");
    sql(&world, "postgres", "CREATE DATABASE unnamed");

    // One that nobody named is told of.
    let told = world.laptop.wharf(&["backup", "create"]).exits(0);
    assert!(told.stderr.contains("not in the backup: analytics, unnamed of db"), "{}", told.stderr);

    let one = "[[postgres]]\nservice = \"db\"\n";
    let both = "[[postgres]]\nservice = \"db\"\ndatabases = [\"fitness\", \"analytics\"]\n";
    world.laptop.edit("wharf.toml", one, both);
    world.deploy(&[]).exits(0);
    let id = backup(&world);
    let found = listed(&world, &id)["databases"].clone();
    let of = |name: &str| {
        let all = found.as_array().expect("databases").iter();
        let found = all.clone().find(|one| one["database"] == name).expect("the database is in the backup");
        (found["service"].as_str().expect("a service").to_owned(), found["rows"].clone())
    };
    assert_eq!(of("fitness"), ("db".to_owned(), 2.into()));
    assert_eq!(of("analytics"), ("db".to_owned(), 30.into()));

    let proven = world.laptop.wharf(&["backup", "verify", &id]).exits(0);
    assert!(proven.stderr.contains("2 databases restored"), "{}", proven.stderr);

    world.laptop.wharf(&["backup", "restore", &id, "--database", "analytics", "--as", "scratch"]).exits(0);
    assert_eq!(sql(&world, "scratch", "SELECT count(*) FROM visits"), "30");

    // Over: both go back together, one of them made anew.
    let before = checksum(&world, "fitness");
    world.add_workout("lunges");
    sql(&world, "postgres", "DROP DATABASE analytics");
    world.laptop.wharf(&["backup", "restore", &id, "--confirm", &world.app]).exits(0);
    assert_eq!(checksum(&world, "fitness"), before);
    assert_eq!(sql(&world, "analytics", "SELECT sum(n) FROM visits"), "465");
    let status = world.laptop.wharf(&["db", "status", "--json"]).exits(0);
    assert!(status.stdout.contains("\"analytics\""), "{}", status.stdout);
    nothing_is_left(&world);
}
