//! Dumps restored straight out of the repository, and what is noticed then.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod scene;

use scene::{Container, Scene, ask};
use wharf_backup::{BackupError, BackupReport, CheckRequest, LoadReport, LoadRequest, LoadTarget, sql};

fn load(scene: &Scene, backup: &BackupReport, into: &Container, database: Option<&str>) -> LoadRequest {
    LoadRequest {
        repo: scene.repo.clone(),
        key_file: scene.key_file.clone(),
        docker_socket: "/var/run/docker.sock".into(),
        snapshot: backup.id.clone(),
        label: "db".into(),
        into: LoadTarget { container: into.name.clone(), user: None, database: database.map(str::to_owned) },
    }
}

fn same(report: &LoadReport) -> bool {
    report.tables == report.dump.tables && !report.tables.is_empty()
}

#[tokio::test]
async fn a_dump_comes_back_beside_and_in_a_server_of_its_own() {
    let scene = Scene::new();
    let container = Container::postgres();
    container.fill(200);
    container
        .sql("fitness", "CREATE TABLE empty (a int); CREATE ROLE reader; GRANT SELECT ON rows TO reader");
    let backup = scene.make_backup(vec![container.dump("db")]).await.unwrap();

    container.sql("fitness", "CREATE DATABASE scratch TEMPLATE template0");
    let report = ask(load(&scene, &backup, &container, Some("scratch"))).await.unwrap();
    assert!(same(&report), "{report:?}");
    assert_eq!(container.sql("scratch", "SELECT count(*) FROM rows"), "200");

    // A server that has nothing, not even the role.
    let other = Container::postgres();
    other.sql("postgres", "DROP DATABASE fitness");
    let report = ask(load(&scene, &backup, &other, None)).await.unwrap();
    assert!(same(&report), "{report:?}");
    assert_eq!(other.sql("fitness", "SELECT has_table_privilege('reader', 'rows', 'SELECT')"), "t");

    // A database that is not empty is not written over.
    let again = ask(load(&scene, &backup, &container, Some("scratch"))).await;
    assert!(matches!(again, Err(BackupError::DumpNotRestored { .. })), "{again:?}");
    assert_eq!(container.sql("scratch", "SELECT count(*) FROM rows"), "200");
}

#[tokio::test]
async fn a_dump_that_lacks_a_table_comes_back_without_it() {
    let scene = Scene::new();
    let container = Container::postgres();
    container.fill(20);
    container.sql("fitness", "CREATE TABLE lost AS SELECT 1 AS a");
    // In the place of the real one, which answers `-V` whatever follows.
    let install = "cd /usr/lib/postgresql/17/bin && mv pg_dump pg_dump.real && \
        printf '#!/bin/sh\\nexec /usr/lib/postgresql/17/bin/pg_dump.real \"$@\" --exclude-table=lost\\n' > pg_dump && \
        chmod 755 pg_dump";
    container.exec(&["sh", "-c", install]);
    let backup = scene.make_backup(vec![container.dump("db")]).await.unwrap();
    container.sql("fitness", "CREATE DATABASE scratch TEMPLATE template0");
    let report = ask(load(&scene, &backup, &container, Some("scratch"))).await.unwrap();
    let names = |tables: &[wharf_backup::TableRows]| -> Vec<String> {
        tables.iter().map(|table| table.table.clone()).collect()
    };
    assert_eq!(names(&report.dump.tables), ["public.lost", "public.rows"]);
    assert_eq!(names(&report.tables), ["public.rows"]);
}

#[tokio::test]
async fn only_what_a_backup_needs_is_checked_for_it() {
    let scene = Scene::new();
    let first = scene.make_backup(vec![]).await.unwrap();
    scene.random_file("large", 2_000_000, 1);
    let second = scene.make_backup(vec![]).await.unwrap();
    // The largest pack holds what only the second backup needs.
    let pack = scene.packs().remove(0);
    let mut content = std::fs::read(&pack).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::set_permissions(&pack, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&pack, content).unwrap();
    let check = |id: &BackupReport| CheckRequest {
        repo: scene.repo.clone(),
        key_file: scene.key_file.clone(),
        read_data: true,
        snapshot: Some(id.id.clone()),
    };
    let damaged = ask(check(&second)).await;
    assert!(matches!(damaged, Err(BackupError::Damaged { .. })), "{damaged:?}");
    assert_eq!(ask(check(&first)).await.unwrap().snapshots, 1);
}

#[tokio::test]
async fn statements_are_run_wholly_or_not_at_all() {
    let scene = Scene::new();
    let container = Container::postgres();
    let at = container.dump("db");
    let run =
        async |statements: &str| sql("/var/run/docker.sock".as_ref(), &scene.repo, &at, statements).await;
    assert_eq!(run("SELECT 1;\nSELECT 'two';\n").await.unwrap(), ["1", "two"]);
    assert_eq!(run("").await.unwrap(), Vec::<String>::new());
    let failed = run("BEGIN; CREATE TABLE t (a int); SELECT broken; COMMIT;").await.unwrap_err();
    assert!(failed.failure().causes.iter().any(|cause| cause.contains("broken")), "{failed:?}");
    assert_eq!(run("SELECT to_regclass('t') IS NULL;").await.unwrap(), ["t"]);
}
