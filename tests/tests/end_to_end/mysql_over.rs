//! MariaDB over what is live: all of the backup's databases or nothing, also when the agent is killed. Part of R25.

use super::engines::{Health, PUT_BACK_POINTS, ROWS, sql, world};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
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

    a_replica_on_the_same_folder_is_refused(world, &id);
    // One that replicates from somewhere, and rests.
    sql(world, "mysql", "CHANGE MASTER TO MASTER_HOST='nowhere.invalid', MASTER_USER='nobody'");
    let refused = over(&id).exits(3);
    assert!(refused.stderr.contains("set up as a replica"), "{}", refused.stderr);
    sql(world, "mysql", "RESET SLAVE ALL");
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
    put_back(world, &id);
}

/// It does not run, and would be started beside the other one.
fn a_replica_on_the_same_folder_is_refused(world: &World, id: &str) {
    let name = format!("{}-maria-2", world.project);
    let labels = ["project", "service"].map(|key| {
        let value = if key == "project" { world.project.as_str() } else { "maria" };
        format!("com.docker.compose.{key}={value}")
    });
    let folder = format!("{}_shopdata:/var/lib/mysql", world.project);
    let made = ["create", "--name", &name, "--label", &labels[0], "--label", &labels[1], "-v", &folder];
    docker::docker(&[&made[..], &["wharf-base/mariadb:11"]].concat());
    let refused = world.laptop.wharf(&["backup", "restore", id, "--confirm", &world.app]);
    docker::docker(&["rm", &name]);
    let refused = refused.exits(3);
    assert!(refused.stderr.contains(&name), "{}", refused.stderr);
    assert_eq!(rows(world), "1 later");
}

/// The folders have been exchanged, and then the app is not well with what was restored: what was live is back, whole.
fn put_back(world: &mut World, id: &str) {
    let health = Health::start();
    let config = world.laptop.read("wharf.toml");
    let probe = format!("[[health]]\nurl = \"http://127.0.0.1:{}/\"\nwithin_seconds = 1\n", health.port);
    world.laptop.write("wharf.toml", format!("{config}{probe}"));
    world.deploy(&[]).exits(0);
    let containers = docker::containers(&world.project);
    let points = PUT_BACK_POINTS.iter().map(|(point, again)| Some((*point, *again)));
    let killed = points.filter(|_| wharf_tests::long());
    for kill in std::iter::once(None).chain(killed) {
        println!("putting back, and killing the agent at {kill:?}");
        sql(world, "shop", LATER);
        let live = whole(world);
        health.is_well.store(false, Ordering::SeqCst);
        match kill {
            None => {
                let failed = world.laptop.wharf(&["backup", "restore", id, "--confirm", &world.app]).exits(1);
                assert!(failed.stderr.contains("what was live is put back"), "{}", failed.stderr);
            }
            Some((point, again)) => {
                let restore = ["backup", "restore", id, "--confirm", &world.app];
                world.server.is_killed_at(point, again, &world.laptop, &restore);
            }
        }
        health.is_well.store(true, Ordering::SeqCst);
        await_serving(world);
        let jobs = world.laptop.wharf(&["jobs", "--json"]).exits(0).json();
        assert_eq!(jobs[0]["outcome"]["result"], "put_back", "{kill:?}: {}", jobs[0]);
        assert_eq!(whole(world), live, "{kill:?}");
        // Not only to be read.
        sql(
            world,
            "shop",
            "INSERT INTO items (name) VALUES ('written'); DELETE FROM items WHERE name = 'written'",
        );
        assert_eq!(docker::containers(&world.project), containers, "the very same containers serve");
        // An empty one was made for what would have been kept.
        remove_kept(world);
        assert_eq!(world.leftovers(), Vec::<PathBuf>::new(), "{kill:?}");
    }
}

/// What the live server holds, of what the backup has and of what it has not.
fn whole(world: &World) -> [String; 3] {
    ["CHECKSUM TABLE shop.items, other.kept", "SHOW TABLES FROM shop", "SHOW GRANTS FOR reader@'%'"]
        .map(|question| sql(world, "shop", question))
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
