//! Whatever fails, no backup is left that lacks something, and the repository stays sound.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod scene;

use scene::{Container, PASSWORD, Scene, ask, ask_child, child, docker};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use wharf_backup::{BackupError, Child, DumpRequest, Phase, Update};
use wharf_proto::FailureKind;

fn dump_failure(result: Result<wharf_backup::BackupReport, BackupError>) -> (String, Option<i64>, String) {
    let error = result.unwrap_err();
    let failure = error.failure();
    assert_eq!(failure.kind, FailureKind::Backup);
    assert!(!failure.hints.is_empty() && !format!("{failure:?}").contains(PASSWORD), "{failure:?}");
    match error {
        BackupError::DumpFailed { label, command, exit, stderr } => {
            assert_eq!(label, "db/fitness");
            (command, exit, stderr)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stopped_database_is_no_backup() {
    let scene = Scene::new();
    let db = Container::postgres();
    docker(&["stop", "-t", "0", &db.name]);
    let (_, exit, stderr) = dump_failure(scene.make_backup(vec![db.dump("db/fitness")]).await);
    assert_eq!((exit, stderr.as_str()), (None, "it is not running"));
    scene.assert_nothing_but_sound().await;
}

#[tokio::test]
async fn a_wrong_user_is_no_backup() {
    let scene = Scene::new();
    let db = Container::postgres();
    let dump = DumpRequest { user: Some("nobody".into()), ..db.dump("db/fitness") };
    let (command, exit, stderr) = dump_failure(scene.make_backup(vec![dump]).await);
    assert_eq!((command.as_str(), exit), ("psql", Some(2)));
    assert!(stderr.contains("nobody"), "{stderr}");
    scene.assert_nothing_but_sound().await;
}

#[tokio::test]
async fn a_container_without_postgresql_is_no_backup() {
    let scene = Scene::new();
    let other = Container::start("wharf-base/busybox:1", &[], &["sleep", "600"]);
    let (_, exit, stderr) = dump_failure(scene.make_backup(vec![other.dump("db/fitness")]).await);
    assert!(matches!(exit, Some(126 | 127)), "{exit:?}");
    assert!(stderr.contains("psql"), "{stderr}");
    scene.assert_nothing_but_sound().await;
}

/// Kills something when the dump has begun.
async fn killed_half_way(kill: fn(&Container)) -> (Option<i64>, String) {
    let scene = Scene::new();
    let db = Container::postgres();
    db.fill(100_000);
    let mut killed = false;
    let result = ask_child(&child(), scene.backup(vec![db.dump("db/fitness")]), |update| {
        if let Update::Progress(progress) = update
            && progress.phase == Phase::Dump
            && !killed
        {
            killed = true;
            kill(&db);
        }
    })
    .await;
    assert!(killed);
    let (command, exit, stderr) = dump_failure(result);
    assert_eq!(command, "pg_dump");
    scene.assert_nothing_but_sound().await;
    // Whole again at once, by the same repository.
    let report = scene.make_backup(vec![db.dump("db/fitness")]).await.unwrap();
    assert_eq!(report.dumps[0].tables[0].rows, 100_000);
    (exit, stderr)
}

#[tokio::test]
async fn a_dump_whose_backend_is_killed_is_no_backup() {
    let (exit, stderr) = killed_half_way(|db| {
        db.sql(
            "fitness",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'wharf-backup-%' \
             AND query LIKE 'COPY%'",
        );
    })
    .await;
    assert_eq!(exit, Some(1));
    assert!(stderr.contains("terminat"), "{stderr}");
}

/// More of the dump is on its way than anybody holds when the program that checks it has had enough. An hour would go by here
/// where somebody waited for it to take the rest.
#[tokio::test]
async fn a_dump_that_its_check_refuses_is_no_backup() {
    const PROGRAM: &str = "/usr/lib/postgresql/17/bin/pg_restore";
    let real = format!("{PROGRAM}.real");
    let scene = Scene::new();
    let db = Container::postgres();
    scene.make_backup(vec![db.dump("db/fitness")]).await.unwrap();
    let before = scene.list().await.backups;
    db.fill_randomly(8_000);
    for (does, told) in [
        ("echo refused by the test >&2; exit 1", "exit code 1: refused by the test"),
        (
            "head -c 100000 >/dev/null; echo refused by the test >&2; exit 1",
            "exit code 1: refused by the test",
        ),
        ("cat >/dev/null; echo refused by the test >&2; exit 3", "exit code 3: refused by the test"),
        // One that says that it is well, and has not read to the end.
        ("head -c 100000 >/dev/null; exit 0", "what was read back is not what pg_dump wrote"),
    ] {
        let put = format!(
            "[ -e {real} ] || mv {PROGRAM} {real}; printf '#!/bin/sh\\n%s\\n' \"$1\" >{PROGRAM} && chmod 755 {PROGRAM}"
        );
        db.exec(&["sh", "-c", &put, "put", does]);
        let error = scene.make_backup(vec![db.dump("db/fitness")]).await.unwrap_err();
        let failure = error.failure();
        assert!(failure.kind == FailureKind::Backup && !failure.hints.is_empty(), "{failure:?}");
        match error {
            BackupError::DumpUnchecked { label, cause } => {
                assert!(label == "db/fitness" && cause.contains(told), "{does}: {label}: {cause}");
            }
            other => panic!("{does}: {other:?}"),
        }
        assert_eq!(scene.list().await.backups, before, "{does}");
    }
    scene.check(true).await.unwrap();
    db.exec(&["mv", &real, PROGRAM]);
    let report = scene.make_backup(vec![db.dump("db/fitness")]).await.unwrap();
    assert!(report.dumps[0].size_bytes > 2_000_000, "{}", report.dumps[0].size_bytes);
    assert_eq!(scene.list().await.backups.len(), before.len() + 1);
}

#[tokio::test]
async fn a_dump_that_is_killed_is_no_backup() {
    let (exit, _) = killed_half_way(|db| {
        let shell = "for p in /proc/[0-9]*; do case \"$(tr '\\0' ' ' < $p/cmdline)\" in pg_dump*) kill -9 ${p#/proc/};; esac; done";
        db.exec(&["sh", "-c", shell]);
    })
    .await;
    assert_eq!(exit, Some(137));
}

/// A small disk of its own, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`: this user may not mount.
    fn mount(at: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let size = format!("size={size}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).status().unwrap();
        mounted.success().then_some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_no_backup() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path().join("disk"), "8m") else {
        eprintln!("mounting is not allowed: a full disk is not tested");
        return;
    };
    let repo = disk.0.join("repo");
    let scene = Scene::with_repo(folder, repo.clone());
    let db = Container::postgres();
    db.fill_randomly(20_000);
    let result = scene.make_backup(vec![db.dump("db/fitness")]).await;
    assert_eq!(result, Err(BackupError::DiskFull { repo: repo.clone() }));
    scene.assert_nothing_but_sound().await;
    // Files alone are no other case for the gate, but another one for rustic.
    scene.random_file("large", 12_000_000, 1);
    assert_eq!(scene.make_backup(vec![]).await, Err(BackupError::DiskFull { repo }));
    scene.assert_nothing_but_sound().await;
    drop(disk);
}

#[tokio::test]
async fn an_unreadable_file_is_no_backup() {
    let scene = Scene::new();
    let sealed = scene.project.join("backend/sealed");
    std::fs::write(&sealed, "x").unwrap();
    std::fs::set_permissions(&sealed, std::fs::Permissions::from_mode(0o0)).unwrap();
    assert_unreadable(&scene, &sealed).await;
    std::fs::remove_file(&sealed).unwrap();
    std::fs::create_dir(&sealed).unwrap();
    std::fs::set_permissions(&sealed, std::fs::Permissions::from_mode(0o0)).unwrap();
    assert_unreadable(&scene, &sealed).await;
}

async fn assert_unreadable(scene: &Scene, path: &std::path::Path) {
    // Root reads everything, unless it gives that up.
    let root = nix::unistd::geteuid().is_root();
    let plain = child();
    let bound = Child {
        program: "setpriv".into(),
        arguments: vec!["--bounding-set=-dac_override,-dac_read_search".into(), plain.program.clone().into()],
    };
    let result = ask_child(if root { &bound } else { &plain }, scene.backup(vec![]), |_| {}).await;
    let Err(BackupError::Unreadable { path: named, .. }) = result else { panic!("{result:?}") };
    assert_eq!(named, path.display().to_string());
    scene.assert_nothing_but_sound().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_repository_is_told() {
    let scene = Scene::new();
    let mut elsewhere = scene.backup(vec![]);
    elsewhere.repo = scene.folder.path().join("none");
    let repo = elsewhere.repo.clone();
    assert_eq!(ask(elsewhere).await, Err(BackupError::RepositoryMissing { repo }));

    std::fs::set_permissions(&scene.key_file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let exposed = BackupError::KeyExposed { key_file: scene.key_file.clone(), mode: 0o640 };
    assert_eq!(scene.make_backup(vec![]).await, Err(exposed));
    std::fs::set_permissions(&scene.key_file, std::fs::Permissions::from_mode(0o600)).unwrap();

    // Another repository's key.
    let other = Scene::new();
    let mut request = scene.backup(vec![]);
    request.key_file.clone_from(&other.key_file);
    assert!(matches!(ask(request).await, Err(BackupError::Repository { .. })));

    std::fs::remove_file(&scene.key_file).unwrap();
    assert!(matches!(scene.make_backup(vec![]).await, Err(BackupError::KeyMissing { .. })));
    assert!(matches!(
        wharf_backup::init_repo(&scene.repo, &scene.key_file),
        Err(BackupError::KeyMissing { .. })
    ));
}

#[tokio::test]
async fn a_child_that_dies_is_told() {
    let scene = Scene::new();
    let shell = |script: &str| Child { program: "sh".into(), arguments: vec!["-c".into(), script.into()] };
    let result = ask_child(&shell("read line; echo >&2 oh; kill -9 $$"), scene.backup(vec![]), |_| {}).await;
    let Err(BackupError::ChildDied { status, stderr }) = result else { panic!("{result:?}") };
    assert!(status.contains("9") && stderr == "oh", "{status} {stderr}");
    let none = Child { program: "/nowhere".into(), arguments: vec![] };
    let result = ask_child(&none, scene.backup(vec![]), |_| {}).await;
    assert!(matches!(result, Err(BackupError::ChildNotStarted { .. })), "{result:?}");
}

#[tokio::test]
async fn two_at_once_are_one_and_a_refusal() {
    let scene = Scene::new();
    // The first child waits in the middle of its work: its project's file is a pipe's other end of the database.
    let db = Container::postgres();
    db.fill(20_000);
    let mut second = None;
    let result = ask_child(&child(), scene.backup(vec![db.dump("db/fitness")]), |_| {
        second.get_or_insert_with(|| {
            // In the middle of the first one's work, by hand: this callback cannot wait for a future.
            let request = serde_json::json!({
                "request": "list", "repo": scene.repo, "key_file": scene.key_file,
            });
            let mut process =
                Command::new(child().program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut stdin = process.stdin.take().unwrap();
            std::io::Write::write_all(&mut stdin, format!("{request}\n").as_bytes()).unwrap();
            let mut answer = String::new();
            std::io::Read::read_to_string(&mut process.stdout.take().unwrap(), &mut answer).unwrap();
            process.wait().unwrap();
            answer
        });
    })
    .await;
    assert!(result.is_ok(), "{result:?}");
    assert!(second.unwrap().contains("repository_locked"));
}
