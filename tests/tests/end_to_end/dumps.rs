//! A database that Wharf is told nothing of but the project's own commands: dumped, counted, checked, proven in a throwaway
//! server, and brought back on an empty machine. MariaDB, by its programs as plain commands, stands in for one.

use crate::engines;
use crate::recover::{lose, recover};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use wharf_tests::{Restic, World, await_that};

const ROWS: &str = "CREATE TABLE items (id INT PRIMARY KEY AUTO_INCREMENT, name TEXT);\n\
    INSERT INTO items (name) VALUES ('tea'), ('coffee');\nCREATE TABLE nothing (id INT);\n";
const CLIENT: &str = "mariadb --no-defaults --user=root --batch --skip-column-names shop";
const DUMP: &str = "mariadb-dump --no-defaults --user=root --single-transaction --skip-dump-date shop";
const WHOLE: &str = "tail -n 1 | grep '^-- Dump completed' || { echo the dump is cut short >&2; exit 1; }";
const COUNT: &str = "SELECT CONCAT('SELECT \\'', table_name, '\\', COUNT(*) FROM ', table_name, ';') \
    FROM information_schema.tables WHERE table_schema = 'shop' AND table_type = 'BASE TABLE'";

/// A command in a shell that fails where any part of a pipe does, with the password where MariaDB's programs look for it.
fn shell(key: &str, script: &str) -> String {
    let script = format!("export MYSQL_PWD=$MARIADB_ROOT_PASSWORD; {script}");
    format!("{key} = [\"bash\", \"-o\", \"pipefail\", \"-c\", '''{script}''']\n")
}

/// The section, with what is said of dumping and restoring in it. That the server answers its health check says.
fn section(dump: &str, check: Option<&str>, restore: &str) -> String {
    let check = check.map(|script| shell("check", script)).unwrap_or_default();
    let count = format!("{CLIENT} -e \"$(cat <<'E'\n{COUNT}\nE\n)\" | {CLIENT}");
    let count = shell("count", &count);
    format!(
        "[[dump]]\nservice = \"maria\"\n{}{check}{}{count}",
        shell("dump", dump),
        shell("restore", restore)
    )
}

/// What is created and verified; exit code and text of the drill.
fn drilled(world: &World) -> (i32, String) {
    let id = world.back_up();
    let ran = world.laptop.wharf(&["backup", "verify", &id]);
    (ran.code, ran.stderr)
}

#[test]
fn a_database_is_dumped_proven_and_recovered_by_the_projects_commands() {
    let mut world = engines::world();
    engines::sql(&world, "shop", ROWS);
    let base = world.laptop.read("wharf.toml");
    let write = |world: &World, section: &str| world.laptop.write("wharf.toml", format!("{base}{section}"));
    let whole = section(DUMP, Some(WHOLE), CLIENT);
    write(&world, &whole);
    let told = world.deploy(&[]).exits(0);
    assert!(told.stderr.contains("database maria (2 rows in 2 tables)"), "{}", told.stderr);
    let id = world.back_up();
    let listed = world.laptop.wharf(&["backup", "list", "-v"]).exits(0).stdout;
    assert!(listed.contains("database maria/maria") && listed.contains("2 rows in 2 tables"), "{listed}");
    let proven = world.laptop.wharf(&["backup", "verify", &id]).exits(0);
    let text = "1 database restored with 2 tables and 2 rows, as counted";
    assert!(proven.stderr.contains(text), "{}", proven.stderr);

    what_is_not_offered_is_refused(&world, &id);
    what_is_wrong_is_told_before_anything_is_changed(&world, &write);
    a_bad_backup_is_not_proven(&world, &write);
    write(&world, &whole);
    it_comes_back(&mut world);
}

fn what_is_not_offered_is_refused(world: &World, id: &str) {
    let before = world.fingerprint();
    let over = world.laptop.wharf(&["backup", "restore", id, "--confirm", &world.app]).exits(3);
    assert!(over.stderr.contains("cannot be restored over what is live"), "{}", over.stderr);
    let beside = world.laptop.wharf(&["backup", "restore", id, "--database", "maria", "--as", "other"]);
    assert!(beside.code != 0 && beside.stderr.contains("beside what is live"), "{}", beside.stderr);
    assert_eq!(world.fingerprint(), before);
    let to = world.server.folder.join("looked-at");
    world.laptop.wharf(&["backup", "restore", id, "--to", to.to_str().expect("UTF-8")]).exits(0);
    let dump = std::fs::read_to_string(to.join("dumps/maria.dump")).expect("the dump");
    assert!(dump.contains("INSERT INTO `items`"), "{dump}");
}

/// No whole dump, no deploy.
fn what_is_wrong_is_told_before_anything_is_changed(world: &World, write: &dyn Fn(&World, &str)) {
    let fails = "echo no $MYSQL_PWD for this >&2; exit 3";
    let short = format!("{DUMP} | sed -n 1,5p");
    let silent = format!("{CLIENT} -e 'SELECT COUNT(*) FROM items'");
    let counted = |count: &str| {
        let known = section(DUMP, None, CLIENT);
        known.split_once("count =").expect("it counts").0.to_owned() + &shell("count", count)
    };
    for (section, said) in [
        (section(fails, None, CLIENT), vec!["ended with exit code 3", "no … for this"]),
        (section("true", None, CLIENT), vec!["it wrote nothing"]),
        (section(&short, Some(WHOLE), CLIENT), vec!["did not pass its check", "the dump is cut short"]),
        (counted(&silent), vec!["where NAME COUNT is awaited"]),
        (
            "[[dump]]\nservice = \"mongo\"\ndump = [\"true\"]\n".to_owned(),
            vec!["no service of the Compose files"],
        ),
        (
            "[[dump]]\nservice = \"cache\"\ndump = [\"true\"]\nrestore = [\"true\"]\n".to_owned(),
            vec!["nothing tells when a fresh server of cache", "ready ="],
        ),
    ] {
        let before = world.fingerprint();
        write(world, &section);
        let deploy = world.deploy(&[]);
        assert_ne!(deploy.code, 0, "{section}");
        for said in said {
            assert!(deploy.stderr.contains(said), "{said}: {}", deploy.stderr);
        }
        assert!(!deploy.stderr.contains("planted-secret"), "{}", deploy.stderr);
        assert_eq!(world.fingerprint(), before, "{section}");
    }
}

/// What a dump's own commands do not find the drill does.
fn a_bad_backup_is_not_proven(world: &World, write: &dyn Fn(&World, &str)) {
    write(world, &section(&format!("{DUMP} | gzip | head -c 300"), None, &format!("gunzip | {CLIENT}")));
    world.deploy(&[]).exits(0);
    let (code, text) = drilled(world);
    assert!(code != 0 && text.contains("could not be restored") && text.contains("end of file"), "{text}");

    write(world, &section(&format!("{DUMP} | sed '/^INSERT/,/;$/d'"), Some(WHOLE), CLIENT));
    world.deploy(&[]).exits(0);
    let (code, text) = drilled(world);
    assert!(code != 0 && text.contains("items: it had 2 rows, 0 came back"), "{text}");

    // Somebody writes meanwhile: the dump has a number between the two counts.
    let writes = format!("{DUMP} && {CLIENT} -e \"INSERT INTO items (name) VALUES (1), (2)\"");
    write(world, &section(&writes, Some(WHOLE), CLIENT));
    let told = world.deploy(&[]).exits(0);
    assert!(told.stderr.contains("items changed while it was dumped"), "{}", told.stderr);
    let (code, text) = drilled(world);
    assert!(code == 0 && text.contains("in 1 that changed meanwhile"), "{text}");
    assert_eq!(world.leftovers(), Vec::<PathBuf>::new());
}

fn it_comes_back(world: &mut World) {
    let disk = world.server.folder.join("disk");
    std::fs::create_dir(&disk).expect("a folder of the test's");
    let config = format!("[[offsite]]\nname = \"disk\"\npath = \"{}\"\n", disk.display());
    std::fs::write(world.server.folder.join("wharfd.toml"), config).expect("a file of the test's");
    world.server.restart(&[]);
    world.deploy(&[]).exits(0);
    world.back_up();
    let rows = || "SELECT GROUP_CONCAT(name ORDER BY id) FROM items";
    let before = engines::sql(world, "shop", rows());
    let key = world.server.folder.join("key");
    std::fs::copy(world.recovery_key(), &key).expect("a recovery key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("a file of the test's");
    let (made, copies) =
        (world.restic().count(), Restic { repository: disk.join(&world.app), key: key.clone() });
    await_that("the copies come", || copies.count() == made);
    lose(world);
    let (code, text) = recover(world, &["--from", "disk", "--key-file", key.to_str().expect("UTF-8")]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(engines::sql(world, "shop", rows()), before);
    assert_eq!(world.leftovers(), Vec::<PathBuf>::new());
}
