//! Backups on demand, drills and restores. Shows 4 and 5 of the data issue (R24, R25).

use std::path::{Path, PathBuf};
use wharf_tests::{World, docker, tree};

/// What is done to the content of a file.
type Damage = fn(&mut Vec<u8>);

/// A deployed app with two rows.
pub fn world() -> World {
    let world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    world.add_workout("rows");
    world
}

/// Every row that the app keeps, in one number.
pub fn checksum(world: &World, database: &str) -> String {
    world.sql(database, "SELECT count(*), sum(hashtextextended(w::text, 0)) FROM workouts w")
}

pub fn databases(world: &World) -> Vec<String> {
    let all = world.sql("postgres", "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1");
    all.lines().map(str::to_owned).collect()
}

/// Nothing of a job's own is left: no container, no folder, no database.
pub fn nothing_is_left(world: &World) {
    assert_eq!(world.leftovers(), Vec::<PathBuf>::new());
    let prefix = format!("name=wharf-{}-", world.app);
    assert_eq!(docker::docker(&["ps", "-aq", "--filter", &prefix]), "");
    let own: Vec<String> =
        databases(world).into_iter().filter(|name| name.starts_with("wharf_restore")).collect();
    assert_eq!(own, Vec::<String>::new());
}

/// The files below a folder of the repository, the largest first.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = tree::files(folder);
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
    let id = world.back_up();
    let made = world.backup(&id);
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
    assert_eq!(world.backup(&id)["proof"]["state"], "proven");
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
    let recovery = world.recovery_key();
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
    let id = world.back_up();
    let before = checksum(&world, "fitness");
    let repository = world.repository();
    let pack = files_below(&repository.join("data")).remove(0);
    let index = files_below(&repository.join("index")).remove(0);

    let middle = |content: &mut Vec<u8>| {
        let at = content.len() / 2;
        content[at] ^= 1;
    };
    let sound = rewrite(&pack, middle);
    let failed = world.laptop.wharf(&["backup", "verify", &id]).exits(1);
    assert!(failed.stderr.contains("damaged"), "{}", failed.stderr);
    assert_eq!(world.backup(&id)["proof"]["state"], "failed");
    let sound_again = |_: &mut Vec<u8>| {};
    rewrite(&pack, |content| *content = sound);
    rewrite(&pack, sound_again);
    world.laptop.wharf(&["backup", "verify", &id]).exits(0);
    assert_eq!(world.backup(&id)["proof"]["state"], "proven");

    let (half, nothing): (Damage, Damage) = (|all| all.truncate(all.len() / 2), Vec::clear);
    for (path, change) in [(&pack, half), (&pack, nothing), (&index, half)] {
        let sound = rewrite(path, change);
        let failed = world.laptop.wharf(&["backup", "verify", &id]);
        assert_eq!(failed.code, 1, "{}: {}", path.display(), failed.stderr);
        assert_eq!(world.backup(&id)["proof"]["state"], "failed", "{}", path.display());
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
        let id = world.back_up();
        let failed = world.laptop.wharf(&["backup", "verify", &id]).exits(1);
        assert!(failed.stderr.contains(told), "{}", failed.stderr);
        let proof = &world.backup(&id)["proof"];
        assert_eq!(proof["state"], "failed");
        assert!(proof["why"].as_str().expect("a reason").contains(told), "{proof}");
    }
    assert_eq!(world.workouts(), ["squats", "rows"]);
    nothing_is_left(&world);
}

#[test]
fn a_dump_that_is_cut_short_emptied_or_changed_fails_its_drill() {
    let world = world();
    let id = world.back_up();
    let before = (checksum(&world, "fitness"), world.fingerprint(), databases(&world));
    // Backups that are whole to the repository, with dumps that are not: only restoring them can tell.
    let crafted = world.server.folder.join("crafted");
    world.restic().runs(&["restore", &id, "--target", crafted.to_str().expect("UTF-8")]);
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
        let said = world.restic().runs_in(&crafted, &["--json", "backup", "."]);
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
    let id = world.back_up();
    let failed = world.laptop.wharf(&["backup", "verify", &id]).exits(1);
    assert!(failed.stderr.contains("check_sql"), "{}", failed.stderr);
    world.add_workout("bench");
    let id = world.back_up();
    world.laptop.wharf(&["backup", "verify", &id]).exits(0);
}

#[test]
fn a_drill_that_is_killed_leaves_nothing() {
    let mut world = world();
    let id = world.back_up();
    world.server.is_killed_at("drill.inside", None, &world.laptop, &["backup", "verify", &id]);
    nothing_is_left(&world);
    assert_eq!(world.backup(&id)["proof"]["state"], "unproven");
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
    let before = world.backups().len();
    assert_eq!(run(&world.app, &state), (Some(0), String::new()));
    assert_eq!(world.backups().len(), before + 1);
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
    world.sql("postgres", "CREATE ROLE reader LOGIN");
    world.sql("postgres", "CREATE DATABASE analytics");
    world.sql("analytics", "CREATE TABLE visits AS SELECT n FROM generate_series(1, 30) n");
    world.sql("postgres", "CREATE DATABASE unnamed");

    // One that nobody named is told of.
    let told = world.laptop.wharf(&["backup", "create"]).exits(0);
    assert!(told.stderr.contains("not in the backup: analytics, unnamed of db"), "{}", told.stderr);

    let one = "[[postgres]]\nservice = \"db\"\n";
    let both = "[[postgres]]\nservice = \"db\"\ndatabases = [\"fitness\", \"analytics\"]\n";
    world.laptop.edit("wharf.toml", one, both);
    world.deploy(&[]).exits(0);
    let id = world.back_up();
    let found = world.backup(&id)["databases"].clone();
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
    assert_eq!(world.sql("scratch", "SELECT count(*) FROM visits"), "30");

    // Over: both go back together, one of them made anew.
    let before = checksum(&world, "fitness");
    world.add_workout("lunges");
    world.sql("postgres", "DROP DATABASE analytics");
    world.laptop.wharf(&["backup", "restore", &id, "--confirm", &world.app]).exits(0);
    assert_eq!(checksum(&world, "fitness"), before);
    assert_eq!(world.sql("analytics", "SELECT sum(n) FROM visits"), "465");
    let status = world.laptop.wharf(&["db", "status", "--json"]).exits(0);
    assert!(status.stdout.contains("\"analytics\""), "{}", status.stdout);
    nothing_is_left(&world);
}
