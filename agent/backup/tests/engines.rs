//! MariaDB and Redis: dumped in the same snapshot as everything else, checked, and restored with what was counted.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod scene;

use scene::{Container, PASSWORD, Scene, ask, docker};
use wharf_backup::{
    BackupError, BackupReport, DRILL_FOLDER, DumpRequest, LoadReport, LoadRequest, LoadTarget, drill_command,
};
use wharf_proto::database::DatabaseKind;

const ROWS: &str = "CREATE TABLE items (id INT PRIMARY KEY AUTO_INCREMENT, name TEXT, photo BLOB);\n\
    INSERT INTO items (name, photo) VALUES ('tea; (', X'00ff275c'), ('it''s\\n-- Dump completed', NULL);\n\
    CREATE TABLE nothing (id INT);\n\
    CREATE VIEW names AS SELECT name FROM items;\n\
    CREATE EVENT growing ON SCHEDULE EVERY 1 SECOND DO INSERT INTO nothing VALUES (0);\n";

fn mariadb(options: &[&str]) -> Container {
    let password = format!("MARIADB_ROOT_PASSWORD={PASSWORD}");
    let container = Container::start(
        "wharf-base/mariadb:11",
        &[&["-e", &password], options].concat(),
        &["--event-scheduler=ON"],
    );
    let ping = "until mariadb-admin --no-defaults --protocol=tcp --host=127.0.0.1 ping; do sleep 0.1; done";
    container.exec(&["sh", "-c", ping]);
    container
}

fn maria(container: &Container, database: &str, statements: &str) -> String {
    let password = format!("MYSQL_PWD={PASSWORD}");
    let database = format!("--database={database}");
    let client = ["mariadb", "--no-defaults", "--user=root", "--batch", "--skip-column-names", &database];
    docker(&[&["exec", "-e", &password, &container.name][..], &client, &["-e", statements]].concat())
}

fn redis(password: &str) -> Container {
    let command = ["redis-server", "--requirepass", password];
    let container = Container::start("wharf-base/redis:8", &[], &command);
    cli(&container, &["PING"]);
    container
}

fn cli(container: &Container, words: &[&str]) -> String {
    let password = format!("REDISCLI_AUTH={PASSWORD}");
    let wait = "until redis-cli ping >/dev/null; do sleep 0.1; done; exec redis-cli \"$@\"";
    docker(&[&["exec", "-e", &password, &container.name, "sh", "-c", wait, "cli"][..], words].concat())
}

fn dump(kind: DatabaseKind, container: &Container, label: &str) -> DumpRequest {
    DumpRequest { kind, ..container.dump(label) }
}

fn load(
    scene: &Scene,
    backup: &BackupReport,
    label: &str,
    into: &Container,
    database: Option<&str>,
) -> LoadRequest {
    LoadRequest {
        repo: scene.repo.clone(),
        key_file: scene.key_file.clone(),
        docker_socket: "/var/run/docker.sock".into(),
        snapshot: backup.id.clone(),
        label: label.into(),
        into: LoadTarget { container: into.name.clone(), user: None, database: database.map(str::to_owned) },
    }
}

fn same(report: &LoadReport) -> bool {
    report.tables == report.dump.tables && !report.tables.is_empty()
}

#[tokio::test]
async fn mariadb_comes_back_beside_and_in_a_server_of_its_own() {
    let scene = Scene::new();
    let container = mariadb(&[]);
    maria(&container, "mysql", "CREATE DATABASE shop; CREATE DATABASE `my data`");
    maria(&container, "shop", ROWS);
    // None is named, and none was made with the container: all of them.
    let backup = scene.make_backup(vec![dump(DatabaseKind::Mysql, &container, "db")]).await.unwrap();
    let labels: Vec<&str> = backup.dumps.iter().map(|dump| dump.label.as_str()).collect();
    assert!(labels.len() == 2 && labels.contains(&"db/shop"), "{labels:?}");
    let shop = backup.dumps.iter().find(|dump| dump.database == "shop").unwrap();
    let rows: Vec<(&str, u64)> = shop.tables.iter().map(|table| (table.table.as_str(), table.rows)).collect();
    assert_eq!(rows[0], ("items", 2));
    assert!(shop.server_version.contains("MariaDB") && shop.path == "/dumps/db/shop.sql", "{shop:?}");

    maria(&container, "mysql", "CREATE DATABASE scratch");
    let report = ask(load(&scene, &backup, "db/shop", &container, Some("scratch"))).await.unwrap();
    assert!(same(&report), "{report:?}");
    assert_eq!(maria(&container, "scratch", "SELECT COUNT(*) FROM names WHERE name LIKE '%-- Dump%'"), "1");
    assert_eq!(maria(&container, "scratch", "SHOW EVENTS"), "");

    let other = mariadb(&["-e", "MARIADB_DATABASE=shop"]);
    let report = ask(load(&scene, &backup, "db/shop", &other, None)).await.unwrap();
    assert!(same(&report), "{report:?}");
    assert!(maria(&other, "shop", "SHOW EVENTS").contains("growing"));
    // A database that holds something is not written over.
    let again = ask(load(&scene, &backup, "db/shop", &other, None)).await;
    assert!(matches!(again, Err(BackupError::DumpNotRestored { .. })), "{again:?}");
}

#[tokio::test]
async fn a_dump_of_mariadb_that_is_not_whole_is_no_backup() {
    let scene = Scene::new();
    let container = mariadb(&["-e", "MARIADB_DATABASE=shop"]);
    maria(&container, "shop", ROWS);
    let request = || dump(DatabaseKind::Mysql, &container, "db");
    let wrong = DumpRequest { user: Some("nobody".into()), ..request() };
    let error = scene.make_backup(vec![wrong]).await.unwrap_err();
    assert!(
        matches!(&error, BackupError::DumpFailed { stderr, .. } if stderr.contains("Access denied")),
        "{error:?}"
    );

    // It ends early, and says that all is well.
    let install = "cd /usr/bin && mv mariadb-dump real-dump && printf '#!/bin/sh\\ncase \"$*\" in *--events*|*--version*) \
        exec real-dump \"$@\";; esac\\nreal-dump \"$@\" | head -c 1500\\n' >mariadb-dump && chmod 755 mariadb-dump";
    container.exec(&["sh", "-c", install]);
    let error = scene.make_backup(vec![request()]).await.unwrap_err();
    assert!(
        matches!(&error, BackupError::DumpFailed { stderr, .. } if stderr.contains("Dump completed")),
        "{error:?}"
    );
    scene.assert_nothing_but_sound().await;
}

#[tokio::test]
async fn redis_comes_back_with_every_key() {
    let scene = Scene::new();
    let container = redis(PASSWORD);
    cli(&container, &["SET", "colour", "red"]);
    cli(&container, &["-n", "3", "SET", "basket", "full"]);
    // Gone before it is loaded, and in the dump all the same.
    cli(&container, &["SET", "short", "lived", "PX", "20000"]);
    let backup = scene.make_backup(vec![dump(DatabaseKind::Redis, &container, "cache")]).await.unwrap();
    let [found] = backup.dumps.as_slice() else { panic!("{backup:?}") };
    assert_eq!(found.path, "/dumps/cache.rdb");
    assert_eq!(found.tables.iter().map(|database| database.rows).sum::<u64>(), 3, "{found:?}");

    let until_it_is_gone = "until [ $(redis-cli -n 0 DBSIZE) = 1 ]; do sleep 0.2; done";
    let password = format!("REDISCLI_AUTH={PASSWORD}");
    docker(&["exec", "-e", &password, &container.name, "sh", "-c", until_it_is_gone]);
    let scratch = format!("{DRILL_FOLDER}:rw");
    let command = drill_command();
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let options = ["--tmpfs", &scratch, "--entrypoint", command[0]];
    let waiting = Container::start("wharf-base/redis:8", &options, &command[1..]);
    let report = ask(load(&scene, &backup, "cache", &waiting, None)).await.unwrap();
    assert!(same(&report), "{report:?}");
}

#[tokio::test]
async fn a_redis_that_cannot_save_is_no_backup() {
    let scene = Scene::new();
    let container = redis(PASSWORD);
    let request = || dump(DatabaseKind::Redis, &container, "cache");
    // It saves into its folder, where nobody may write any more.
    container.exec(&["sh", "-c", "chown root /data && chmod 555 /data"]);
    let error = scene.make_backup(vec![request()]).await.unwrap_err();
    assert!(matches!(&error, BackupError::DumpFailed { command, .. } if command == "BGSAVE"), "{error:?}");
    container.exec(&["sh", "-c", "chmod 777 /data"]);
    cli(&container, &["CONFIG", "SET", "requirepass", "another"]);
    let error = scene.make_backup(vec![request()]).await.unwrap_err();
    assert!(
        matches!(&error, BackupError::DumpFailed { stderr, .. } if stderr.contains("NOAUTH")),
        "{error:?}"
    );
    assert!(!format!("{error:?}").contains(PASSWORD));
    scene.assert_nothing_but_sound().await;
}
