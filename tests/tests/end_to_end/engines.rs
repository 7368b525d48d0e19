//! MariaDB and Redis: dumped before deploys, proven, restored beside, and never in a backup that is not whole. Part of R23–R25.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use wharf_tests::crash::points;
use wharf_tests::{World, await_that, docker};

const DATABASES: &str = "[[mysql]]\nservice = \"maria\"\n[[redis]]\nservice = \"cache\"\n";
/// A dump must not be confused by what is in it.
pub const ROWS: &str = "CREATE TABLE items (id INT PRIMARY KEY AUTO_INCREMENT, name TEXT, photo BLOB);\n\
    INSERT INTO items (name, photo) VALUES ('tea; (', X'00ff275c'), ('it''s\\n-- Dump completed', NULL);\n\
    CREATE TABLE nothing (id INT);\n\
    CREATE TABLE log (id INT);\n\
    CREATE TRIGGER noted AFTER INSERT ON items FOR EACH ROW INSERT INTO log VALUES (NEW.id);\n\
    CREATE VIEW names AS SELECT name FROM items;\n\
    CREATE PROCEDURE again() INSERT INTO log SELECT id FROM items;\n\
    CREATE EVENT growing ON SCHEDULE EVERY 1 SECOND DO INSERT INTO log VALUES (0);\n";

pub fn world() -> World {
    let world = World::with_project("engines");
    let env = "DB_PASSWORD=planted-secret-of-maria\nCACHE_PASSWORD=planted-secret-of-cache\n";
    world.write_env(&format!("{env}MARIADB_IMAGE=wharf-base/mariadb:11\nREDIS_IMAGE=wharf-base/redis:8\n"));
    world.write_plain_config("");
    world.deploy(&[]).exits(0);
    world
}

pub fn sql(world: &World, database: &str, statements: &str) -> String {
    let database = format!("--database={database}");
    let client = ["mariadb", "--no-defaults", "--user=root", "--batch", "--skip-column-names", &database];
    let password = "MYSQL_PWD=planted-secret-of-maria";
    let run = ["exec", "-e", password, &world.container("maria")];
    docker::docker(&[&run[..], &client, &["-e", statements]].concat())
}

fn redis(world: &World, words: &[&str]) -> String {
    let run = ["exec", "-e", "REDISCLI_AUTH=planted-secret-of-cache", &world.container("cache"), "redis-cli"];
    docker::docker(&[&run[..], words].concat())
}

#[test]
fn mariadb_and_redis_are_dumped_proven_and_restored() {
    let world = world();
    sql(&world, "shop", ROWS);
    redis(&world, &["SET", "colour", "red"]);
    redis(&world, &["-n", "3", "SET", "basket", "full"]);
    let status = || world.laptop.wharf(&["status"]).exits(0).stdout;
    assert!(status().contains("no backup holds"), "{}", status());

    let config = world.laptop.read("wharf.toml");
    world.laptop.write("wharf.toml", format!("{config}{DATABASES}"));
    let told = world.deploy(&[]).exits(0);
    assert!(told.stderr.contains("database shop (2 rows in 3 tables)"), "{}", told.stderr);
    assert!(told.stderr.contains("Redis cache (2 keys)"), "{}", told.stderr);
    assert!(!status().contains("no backup holds"), "{}", status());

    // A key that is gone when the backup is proven was in it all the same.
    let lives = Duration::from_secs(20);
    redis(&world, &["SET", "short", "lived", "EX", &lives.as_secs().to_string()]);
    let set = Instant::now();
    let id = world.back_up();
    let listed = world.laptop.wharf(&["backup", "list", "-v"]).exits(0).stdout;
    assert!(listed.contains("database maria/shop") && listed.contains("Redis cache"), "{listed}");
    assert!(listed.contains("3 keys"), "{listed}");
    sql(
        &world,
        "shop",
        "DELETE FROM items WHERE id = 1; INSERT INTO items (name) VALUES ('coffee'), ('milk')",
    );
    redis(&world, &["FLUSHALL"]);
    let changed = || (sql(&world, "shop", "CHECKSUM TABLE items, log"), world.fingerprint());
    let before = changed();
    await_that("the time of the short-lived key is over", || set.elapsed() > lives);
    let proven = world.laptop.wharf(&["backup", "verify", &id]).exits(0);
    assert!(
        proven.stderr.contains("2 databases restored with 3 tables and 2 rows, 3 keys"),
        "{}",
        proven.stderr
    );

    restored_beside(&world, &id);
    let to = world.server.folder.join("looked-at");
    let folder = to.to_str().expect("UTF-8");
    world.laptop.wharf(&["backup", "restore", &id, "--to", folder]).exits(0);
    assert!(std::fs::read(to.join("dumps/cache.rdb")).expect("the dump").starts_with(b"REDIS"));
    assert!(to.join("dumps/maria.sql").is_file() && to.join("dumps/maria.events.sql").is_file());
    sql(&world, "shop", "DROP DATABASE scratch");
    assert_eq!(changed(), before, "what is live was touched");
    without_a_backup_nothing_is_changed(&world);
    assert_eq!(world.leftovers(), Vec::<PathBuf>::new());
}

fn restored_beside(world: &World, id: &str) {
    let restore = |database: &str, name: &str| {
        world.laptop.wharf(&["backup", "restore", id, "--database", database, "--as", name])
    };
    restore("shop", "scratch").exits(0);
    assert_eq!(sql(world, "scratch", "SELECT COUNT(*), SUM(photo = X'00ff275c') FROM items"), "2\t1");
    assert_eq!(sql(world, "scratch", "SELECT COUNT(*) FROM names"), "2");
    assert_eq!(
        sql(world, "scratch", "CALL again(); SELECT COUNT(*) FROM log"),
        "2",
        "no trigger ran, no event runs"
    );
    assert!(sql(world, "scratch", "SHOW EVENTS").is_empty());
    assert!(!sql(world, "scratch", "SHOW TABLES").contains("wharf"));
    assert!(
        restore("shop", "shop").stderr.contains("there is a database shop"),
        "never over one that is there"
    );
    assert!(restore("maria", "scratch").stderr.contains("there is a database scratch"));
    let refused = restore("cache", "other");
    assert!(refused.code != 0 && refused.stderr.contains("is Redis"), "{}", refused.stderr);
}

/// Where the agent is killed while Redis is restored over what is live.
const POINTS: &[&str] =
    &["restore.inside", "swap.stopped", "swap.laid", "swap.inside", "swap.started", "swap.after"];

/// What runs in CI. `scripts/test --long` runs all.
const SAMPLE: &[&str] = &["swap.laid", "swap.started"];

#[test]
fn redis_is_restored_over_what_is_live_also_when_killed() {
    let mut world = world();
    let config = world.laptop.read("wharf.toml");
    world.laptop.write("wharf.toml", format!("{config}[[redis]]\nservice = \"cache\"\n"));
    world.deploy(&[]).exits(0);
    redis(&world, &["SET", "colour", "red"]);
    redis(&world, &["-n", "3", "SET", "basket", "full"]);
    let id = world.back_up();
    redis(&world, &["FLUSHALL"]);
    redis(&world, &["SET", "later", "yes"]);
    let over = || world.laptop.wharf(&["backup", "restore", &id, "--confirm", &world.app]);

    // A server with a journal would read that, and start empty.
    redis(&world, &["CONFIG", "SET", "appendonly", "yes"]);
    let refused = over().exits(3);
    assert!(refused.stderr.contains("journal"), "{}", refused.stderr);
    redis(&world, &["CONFIG", "SET", "appendonly", "no"]);
    redis(&world, &["-n", "1", "SET", "unsaved", "yes"]);
    let containers = docker::containers(&world.project);
    let done = over().exits(0);
    assert_eq!(keys(&world), ["red", "full", ""]);
    assert_eq!(redis(&world, &["-n", "1", "DBSIZE"]), "0");
    assert_eq!(docker::containers(&world.project), containers, "the very same containers serve");
    let [kept] = kept_volumes(&world).try_into().expect("what was live is kept");
    assert!(done.stderr.contains(&kept), "{}", done.stderr);
    let dump = std::fs::read(docker::folder_of(&kept).join("dump.rdb")).expect("what was live");
    for was_live in ["later", "unsaved"] {
        assert!(dump.windows(was_live.len()).any(|part| part == was_live.as_bytes()), "{was_live}");
    }
    docker::docker(&["volume", "rm", &kept]);

    for point in points(POINTS, SAMPLE) {
        println!("killing the agent at {point}");
        redis(&world, &["FLUSHALL"]);
        redis(&world, &["SET", "later", "yes"]);
        let restore = ["backup", "restore", &id, "--confirm", &world.app];
        world.server.is_killed_at(point, None, &world.laptop, &restore);
        await_that("the server answers", || redis(&world, &["PING"]) == "PONG");
        let jobs = world.jobs();
        let outcome = jobs[0]["outcome"]["result"].as_str().expect("an outcome");
        match keys(&world).each_ref().map(String::as_str) {
            ["", "", "yes"] => assert!(["failed", "put_back"].contains(&outcome), "{point}: {outcome}"),
            ["red", "full", ""] => assert_eq!(outcome, "done", "{point}"),
            other => panic!("{point}: {other:?}"),
        }
        for kept in kept_volumes(&world) {
            docker::docker(&["volume", "rm", &kept]);
        }
        assert_eq!(world.leftovers(), Vec::<PathBuf>::new(), "{point}");
    }
    redis_is_put_back_also_when_killed(&mut world, &id);
}

/// Where the agent is killed while the folder that was live is put back, and where it is killed again when it goes on with
/// that.
pub const PUT_BACK_POINTS: &[(&str, Option<&str>)] = &[
    ("put_back.before", None),
    ("put_back.stopped", Some("put_back.exchanged")),
    ("put_back.exchanged", Some("put_back.inside")),
    ("put_back.inside", Some("put_back.started")),
    ("put_back.after", None),
];

/// What of it runs in CI.
const PUT_BACK_SAMPLE: &[(&str, Option<&str>)] = &[("put_back.exchanged", Some("put_back.started"))];

/// The app is not well with what was restored.
fn redis_is_put_back_also_when_killed(world: &mut World, id: &str) {
    let health = Health::start();
    let config = world.laptop.read("wharf.toml");
    let probe = format!("[[health]]\nurl = \"http://127.0.0.1:{}/\"\nwithin_seconds = 1\n", health.port);
    world.laptop.write("wharf.toml", format!("{config}{probe}"));
    world.deploy(&[]).exits(0);
    for (point, again) in points(PUT_BACK_POINTS, PUT_BACK_SAMPLE) {
        println!("killing the agent at {point}, and then at {again:?}");
        redis(world, &["FLUSHALL"]);
        redis(world, &["SET", "later", "yes"]);
        health.is_well.store(false, Ordering::SeqCst);
        let restore = ["backup", "restore", id, "--confirm", &world.app];
        world.server.is_killed_at(point, *again, &world.laptop, &restore);
        health.is_well.store(true, Ordering::SeqCst);
        await_that("the server answers", || redis(world, &["PING"]) == "PONG");
        let jobs = world.jobs();
        assert_eq!(jobs[0]["outcome"]["result"], "put_back", "{point}: {}", jobs[0]);
        assert_eq!(keys(world), ["", "", "yes"], "{point}");
        for empty in kept_volumes(world) {
            docker::docker(&["volume", "rm", &empty]);
        }
        assert_eq!(world.leftovers(), Vec::<PathBuf>::new(), "{point}");
    }
}

/// What a probe asks, which is well for as long as the test says so.
pub struct Health {
    pub port: u16,
    pub is_well: Arc<AtomicBool>,
}

impl Health {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the test's");
        let port = listener.local_addr().expect("it is bound").port();
        let is_well = Arc::new(AtomicBool::new(true));
        let says = Arc::clone(&is_well);
        std::thread::spawn(move || {
            for mut asks in listener.incoming().flatten() {
                let status = if says.load(Ordering::SeqCst) { "200 OK" } else { "503 Not Well" };
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                // Who asks may be gone.
                let _ = asks.read(&mut [0; 1024]).and_then(|_| asks.write_all(answer.as_bytes()));
            }
        });
        Self { port, is_well }
    }
}

/// Of the backup, of the backup, of what was live.
fn keys(world: &World) -> [String; 3] {
    [&["GET", "colour"][..], &["-n", "3", "GET", "basket"], &["GET", "later"]]
        .map(|words| redis(world, words))
}

fn kept_volumes(world: &World) -> Vec<String> {
    docker::volumes_named(&format!("{}_cachedata_before_", world.project))
}

/// A password that is not the server's any more, on either side: the deploy is refused, and everything is as it was.
fn without_a_backup_nothing_is_changed(world: &World) {
    world.laptop.edit("compose.yml", "start_period: 60s", "start_period: 61s");
    let refused = |what: &str| {
        let before = world.fingerprint();
        let deploy = world.deploy(&[]);
        assert_eq!(deploy.code, 1, "{}", deploy.stderr);
        assert!(deploy.stderr.contains(what), "{}", deploy.stderr);
        assert!(!deploy.stderr.contains("planted-secret"), "{}", deploy.stderr);
        assert_eq!(world.fingerprint(), before);
    };
    redis(world, &["CONFIG", "SET", "requirepass", "another"]);
    refused("NOAUTH");
    let run = ["exec", "-e", "REDISCLI_AUTH=another", &world.container("cache"), "redis-cli"];
    docker::docker(&[&run[..], &["CONFIG", "SET", "requirepass", "planted-secret-of-cache"]].concat());
    sql(world, "mysql", "ALTER USER root@localhost IDENTIFIED BY 'another'");
    refused("Access denied");
}
