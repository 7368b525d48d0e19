//! MariaDB over what is live: all of the backup's databases or nothing, also when the agent is killed. Part of R25.

use super::engines::{ROWS, sql, world};
use std::path::PathBuf;
use wharf_tests::crash::points;
use wharf_tests::{World, await_that, docker};

/// Where the agent is killed.
const POINTS: &[&str] = &[
    "restore.made",
    "swap.before",
    "swap.stopped",
    "restore.copied",
    "restore.inside",
    "restore.ended",
    "swap.laid",
    "swap.inside",
    "swap.started",
    "swap.after",
];

/// What runs in CI. `scripts/test --long` runs all.
const SAMPLE: &[&str] = &["restore.inside", "swap.laid"];

/// What was written after the backup.
const LATER: &str = "DELETE FROM items; INSERT INTO items (name) VALUES ('later')";

#[test]
fn mariadb_is_restored_over_what_is_live_also_when_killed() {
    let world = &mut world();
    sql(world, "shop", ROWS);
    sql(
        world,
        "mysql",
        "CREATE DATABASE other; CREATE TABLE other.notes (id INT); INSERT INTO other.notes VALUES (1)",
    );
    let config = world.laptop.read("wharf.toml");
    let named = "[[mysql]]\nservice = \"maria\"\ndatabases = [\"shop\"]\n";
    world.laptop.write("wharf.toml", format!("{config}{named}"));
    world.deploy(&[]).exits(0);
    let id = world.back_up();
    // Its dump can be restored only where there is such a table.
    sql(world, "shop", "CREATE VIEW elsewhere AS SELECT * FROM other.notes");
    let bad = world.back_up();
    sql(
        world,
        "shop",
        "DROP VIEW elsewhere; RENAME TABLE other.notes TO other.kept; INSERT INTO other.kept VALUES (2)",
    );
    sql(
        world,
        "mysql",
        "CREATE USER reader@'%' IDENTIFIED BY 'secret'; GRANT SELECT ON shop.* TO reader@'%'",
    );
    sql(world, "shop", LATER);

    let over = |id: &str| world.laptop.wharf(&["backup", "restore", id, "--confirm", &world.app]);
    let containers = docker::containers(&world.project);
    let failed = over(&bad).exits(1);
    assert!(failed.stderr.contains("other.notes"), "{}", failed.stderr);
    await_serving(world);
    assert_eq!(rows(world), "1 later");
    assert_eq!(docker::containers(&world.project), containers, "the very same containers serve");
    assert_eq!(kept_volumes(world), Vec::<String>::new());
    assert_eq!(world.leftovers(), Vec::<PathBuf>::new());

    let done = over(&id).exits(0);
    assert_eq!(rows(world), "2 tea; (,it's\n-- Dump completed".replace('\n', "\\n"));
    assert_eq!(docker::containers(&world.project), containers, "the very same containers serve");
    for (question, answer) in [
        ("SELECT SUM(photo = X'00ff275c') FROM items", "1"),
        ("SELECT COUNT(*) FROM names", "2"),
        ("SELECT COUNT(*) FROM log", "0"),
        ("CALL again(); SELECT COUNT(*) FROM log", "2"),
        ("INSERT INTO items (name) VALUES ('noted'); SELECT COUNT(*) FROM log", "3"),
        ("SELECT COUNT(*) FROM information_schema.events WHERE event_name = 'growing'", "1"),
        ("SELECT COUNT(*) FROM other.kept", "2"),
        ("SELECT GROUP_CONCAT(user) FROM mysql.user WHERE user = 'reader' OR user LIKE 'wharf%'", "reader"),
        ("SELECT COUNT(*) FROM mysql.db WHERE user = 'reader'", "1"),
    ] {
        assert_eq!(sql(world, "shop", question), answer, "{question}");
    }
    let [kept] = kept_volumes(world).try_into().expect("what was live is kept");
    assert!(done.stderr.contains(&kept), "{}", done.stderr);
    let folder = docker::folder_of(&kept);
    assert!(folder.join("shop/items.ibd").is_file(), "{} is what was live", folder.display());
    remove_kept(world);
    killed(world, &id);
}

fn killed(world: &mut World, id: &str) {
    for point in points(POINTS, SAMPLE) {
        println!("killing the agent at {point}");
        sql(world, "shop", LATER);
        let restore = ["backup", "restore", id, "--confirm", &world.app];
        world.server.is_killed_at(point, None, &world.laptop, &restore);
        await_serving(world);
        let jobs = world.jobs();
        let outcome = jobs[0]["outcome"]["result"].as_str().expect("an outcome");
        match rows(world).split(' ').next() {
            Some("1") => assert!(["failed", "put_back"].contains(&outcome), "{point}: {outcome}"),
            Some("2") => assert_eq!(outcome, "done", "{point}"),
            other => panic!("{point}: {other:?}"),
        }
        assert_eq!(sql(world, "shop", "SELECT COUNT(*) FROM other.kept"), "2", "{point}");
        remove_kept(world);
        assert_eq!(world.leftovers(), Vec::<PathBuf>::new(), "{point}");
    }
}

/// What was put back is started, and not waited for.
fn await_serving(world: &World) {
    let maria = world.container("maria");
    await_that("the server is healthy", || {
        docker::docker(&["inspect", "-f", "{{.State.Health.Status}}", &maria]) == "healthy"
    });
}

fn rows(world: &World) -> String {
    sql(world, "shop", "SELECT CONCAT(COUNT(*), ' ', GROUP_CONCAT(name ORDER BY id)) FROM items")
}

fn kept_volumes(world: &World) -> Vec<String> {
    docker::volumes_named(&format!("{}_shopdata_before_", world.project))
}

fn remove_kept(world: &World) {
    for kept in kept_volumes(world) {
        docker::docker(&["volume", "rm", &kept]);
    }
}
