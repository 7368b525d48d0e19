//! Volumes and folders of data: live, held, and with SQLite databases in them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod scene;

use rusqlite::Connection;
use scene::{Container, Scene, ask, ask_child, child, docker};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wharf_backup::{
    BackupError, BackupReport, BackupRequest, CompareRequest, Hold, HoldRequest, RestoreRequest,
    SqliteRequest, Update, VolumeRequest,
};
use wharf_proto::spec::VolumeMode;

fn volume(label: &str, path: &Path, live: bool) -> VolumeRequest {
    let mode = if live { VolumeMode::Live } else { VolumeMode::Pause };
    VolumeRequest { label: label.into(), volume: None, path: path.into(), mode, live }
}

fn request(scene: &Scene, volumes: Vec<VolumeRequest>) -> BackupRequest {
    BackupRequest { volumes, ..scene.backup(vec![]) }
}

async fn restore(scene: &Scene, report: &BackupReport, path: &str) -> PathBuf {
    let to = scene.folder.path().join(format!("restored-{:x}", rand::random::<u32>()));
    let request = RestoreRequest {
        repo: scene.repo.clone(),
        key_file: scene.key_file.clone(),
        snapshot: report.id.clone(),
        path: path.into(),
        to: to.clone(),
    };
    ask(request).await.unwrap();
    to
}

fn compare(scene: &Scene, report: &BackupReport, with: &Path) -> CompareRequest {
    CompareRequest {
        repo: scene.repo.clone(),
        key_file: scene.key_file.clone(),
        snapshot: report.id.clone(),
        path: "/volumes/data".into(),
        with: with.to_owned(),
    }
}

#[tokio::test]
async fn what_came_back_is_compared_to_the_last_byte() {
    let scene = Scene::new();
    let data = scene.folder.path().join("data");
    std::fs::create_dir_all(data.join("deep/empty")).unwrap();
    std::fs::write(data.join("deep/photo"), vec![7; 200_000]).unwrap();
    std::fs::write(data.join("nothing"), "").unwrap();
    symlink("deep/photo", data.join("link")).unwrap();
    let report = ask(request(&scene, vec![volume("data", &data, false)])).await.unwrap();
    let same = restore(&scene, &report, "/volumes/data").await;
    let compared = ask(compare(&scene, &report, &same)).await.unwrap();
    assert_eq!((compared.files, compared.size_bytes), (3, 200_000));

    let change = |path: &str, to: fn(&Path)| (path.to_owned(), to);
    let write = |at: &Path, byte: u8| {
        let mut content = vec![7; 200_000];
        content[199_999] = byte;
        std::fs::write(at, content).unwrap();
    };
    for ((path, damage), told) in [
        (change("deep/photo", |at| std::fs::write(at, "short").unwrap()), "another size"),
        (change("nothing", |at| std::fs::remove_file(at).unwrap()), "No such file"),
        (change("more", |at| std::fs::write(at, "").unwrap()), "1 entries that the backup does not have"),
        (
            change("deep/empty", |at| {
                std::fs::set_permissions(at, PermissionsExt::from_mode(0o700)).unwrap()
            }),
            "mode",
        ),
        (
            change("link", |at| {
                std::fs::remove_file(at).unwrap();
                symlink("/etc/passwd", at).unwrap();
            }),
            "leads elsewhere",
        ),
    ] {
        let with = restore(&scene, &report, "/volumes/data").await;
        damage(&with.join(&path));
        let error = ask(compare(&scene, &report, &with)).await.unwrap_err();
        let BackupError::Differs { findings, .. } = &error else { panic!("{path}: {error}") };
        assert!(findings.len() == 1 && findings[0].contains(told), "{path}: {findings:?}");
    }
    let with = restore(&scene, &report, "/volumes/data").await;
    write(&with.join("deep/photo"), 7);
    ask(compare(&scene, &report, &with)).await.unwrap();
    write(&with.join("deep/photo"), 8);
    let error = ask(compare(&scene, &report, &with)).await.unwrap_err();
    assert!(error.failure().causes[0].contains("content"), "{error}");
}

fn sqlite(scene: &Scene, report: &BackupReport) -> SqliteRequest {
    SqliteRequest {
        repo: scene.repo.clone(),
        key_file: scene.key_file.clone(),
        snapshot: report.id.clone(),
        scratch: scene.folder.path().join("scratch"),
    }
}

#[tokio::test]
async fn a_database_that_is_written_to_comes_out_sound() {
    let scene = Scene::new();
    let data = scene.folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let path = data.join("app.db");
    let writer = Connection::open(&path).unwrap();
    writer.pragma_update(None, "journal_mode", "wal").unwrap();
    writer.execute_batch("CREATE TABLE a (x); CREATE TABLE b (x); INSERT INTO a VALUES (1)").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::fs::write(data.join("photo"), "photo").unwrap();
    // Begins like one, and is none.
    std::fs::write(data.join("odd.db"), [&b"SQLite format 3\0"[..], &[7; 1008]].concat()).unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let writing = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            // Each transaction keeps both tables alike.
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                let text = format!("{number}{}", "x".repeat(500));
                writer.execute_batch("BEGIN").unwrap();
                writer.execute("INSERT INTO a VALUES (?1)", [&text]).unwrap();
                writer.execute("INSERT INTO b VALUES (?1)", [&text]).unwrap();
                writer.execute_batch("COMMIT").unwrap();
            }
        }
    });
    let mut notes = Vec::new();
    for _ in 0..5 {
        let request = request(&scene, vec![volume("data", &data, true)]);
        let report = ask_child(&child(), request, |update| {
            if let Update::Note { text } = update {
                notes.push(text);
            }
        })
        .await
        .unwrap();
        let [found] = report.volumes.as_slice() else { panic!("{report:?}") };
        assert_eq!((found.files, found.sqlite.as_slice()), (3, &[PathBuf::from("app.db")][..]));
        assert_eq!(ask(sqlite(&scene, &report)).await.unwrap().databases, 1);
        let restored = restore(&scene, &report, "/volumes/data").await;
        let names: Vec<_> = std::fs::read_dir(&restored).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert_eq!(names.len(), 3, "no log, no shared memory: {names:?}");
        let copy = Connection::open(restored.join("app.db")).unwrap();
        let count = |table: &str| -> i64 {
            copy.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        assert_eq!(count("a"), count("b") + 1);
        assert_eq!(restored.join("app.db").metadata().unwrap().mode() & 0o777, 0o640);
    }
    stop.store(true, Ordering::Relaxed);
    writing.join().unwrap();
    assert!(notes.iter().any(|note| note.contains("odd.db") && note.contains("as a file")), "{notes:?}");
    // Nothing of the copies is left beside the repository.
    let beside = std::fs::read_dir(scene.repo.parent().unwrap()).unwrap();
    assert!(!beside.flatten().any(|file| file.file_name().to_string_lossy().contains("sqlite")));
    scene.restic(&["check", "--read-data"]);
}

#[tokio::test]
async fn a_writer_is_held_while_it_is_copied_and_let_go() {
    let scene = Scene::new();
    let data = scene.folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let mount = format!("{}:/data", data.display());
    // Two files that are the same length but for the moment between two writes.
    let script = "trap 'exit 0' TERM; while :; do echo x >>/data/a; echo x >>/data/b; done";
    let writer = Container::start("wharf-base/busybox:1", &["-v", &mount], &["sh", "-c", script]);
    let state = || docker(&["inspect", "-f", "{{.State.Status}}", &writer.name]);
    for how in [Hold::Pause, Hold::Stop] {
        let hold = HoldRequest { container: writer.name.clone(), service: "app".into(), how };
        let request =
            BackupRequest { holds: vec![hold], ..request(&scene, vec![volume("data", &data, false)]) };
        let report = ask_child(&child(), request, |update| {
            assert!(!matches!(update, Update::Note { .. }), "nothing changed while it was read: {update:?}");
        })
        .await
        .unwrap();
        assert_eq!(state(), "running", "{how:?}");
        let restored = restore(&scene, &report, "/volumes/data").await;
        let length = |name: &str| restored.join(name).metadata().unwrap().len();
        assert!(length("a") - length("b") <= 2, "{how:?}: {} {}", length("a"), length("b"));
    }
    // Nobody is held where nothing asks for it, and a fault lets go too.
    let hold = HoldRequest { container: writer.name.clone(), service: "app".into(), how: Hold::Pause };
    let gone = volume("gone", &scene.folder.path().join("gone"), false);
    let failing =
        BackupRequest { holds: vec![hold], ..request(&scene, vec![volume("data", &data, false), gone]) };
    assert!(matches!(ask(failing).await, Err(BackupError::Unreadable { .. })));
    assert_eq!(state(), "running");
}

#[tokio::test]
async fn files_of_a_volume_come_back_as_they_were() {
    let scene = Scene::new();
    let data = scene.folder.path().join("data");
    std::fs::create_dir_all(data.join("deep/er")).unwrap();
    std::fs::write(data.join("deep/er/file"), "content").unwrap();
    symlink("/nowhere", data.join("dangling")).unwrap();
    std::fs::set_permissions(data.join("deep"), std::fs::Permissions::from_mode(0o2750)).unwrap();
    std::os::unix::fs::chown(data.join("deep/er/file"), Some(12345), Some(54321)).unwrap();
    let _socket = UnixListener::bind(data.join("socket")).unwrap();
    let has_attributes = xattr::set(data.join("deep/er/file"), "user.wharf", b"kept").is_ok();
    // A database that its writer has left in the middle: what is committed is in its log alone.
    let writer = Connection::open(data.join("held.db")).unwrap();
    writer.pragma_update(None, "journal_mode", "wal").unwrap();
    writer.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    writer.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (42)").unwrap();

    let mut notes = Vec::new();
    let report = ask_child(&child(), request(&scene, vec![volume("data", &data, false)]), |update| {
        if let Update::Note { text } = update {
            notes.push(text);
        }
    })
    .await
    .unwrap();
    assert!(matches!(notes.as_slice(), [note] if note.contains("socket")), "{notes:?}");
    assert_eq!(ask(sqlite(&scene, &report)).await.unwrap().databases, 1);
    let restored = restore(&scene, &report, "/volumes/data").await;
    assert_eq!(std::fs::read_link(restored.join("dangling")).unwrap(), Path::new("/nowhere"));
    assert_eq!(restored.join("deep").metadata().unwrap().mode() & 0o7777, 0o2750);
    let file = restored.join("deep/er/file");
    assert_eq!((file.metadata().unwrap().uid(), file.metadata().unwrap().gid()), (12345, 54321));
    if has_attributes {
        assert_eq!(xattr::get(&file, "user.wharf").unwrap().as_deref(), Some(&b"kept"[..]));
    } else {
        eprintln!("this file system has no extended attributes: not tested");
    }
    let copy = Connection::open(restored.join("held.db")).unwrap();
    assert_eq!(copy.query_row("SELECT x FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), 42);

    // The manifest says what there is, for who has nothing else.
    assert_eq!(scene.list().await.backups[0].volumes, report.volumes);
    // One that is broken is found broken.
    writer.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(writer);
    let mut bytes = std::fs::read(data.join("held.db")).unwrap();
    let second_page = 4096..4096 + 100;
    bytes[second_page].fill(0xff);
    std::fs::write(data.join("held.db"), bytes).unwrap();
    let report = ask(request(&scene, vec![volume("data", &data, false)])).await.unwrap();
    let unsound = ask(sqlite(&scene, &report)).await;
    assert!(matches!(unsound, Err(BackupError::SqliteUnsound { .. })), "{unsound:?}");
}
