//! A backup goes in and comes out again, by Wharf and by restic.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod scene;

use scene::{Container, Scene, ask, ask_child, child, docker, text};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use wharf_backup::{
    BackupError, ColdRequest, DumpOutRequest, DumpRequest, ForgetRequest, Phase, ProjectTree, RestoreRequest,
    TableRows, Update, recovery_key_file,
};

#[tokio::test]
async fn a_project_and_its_databases_come_back_as_they_were() {
    let scene = Scene::new();
    let db = Container::postgres();
    db.sql(
        "fitness",
        "CREATE TABLE users (id int, name text); INSERT INTO users VALUES (1, 'Ann'), (2, E'B\\n''b')",
    );
    db.sql("fitness", "CREATE SCHEMA \"Odd schema\"; CREATE TABLE \"Odd schema\".\"t\"\"x\" AS SELECT 1");
    db.sql("fitness", "CREATE ROLE reader PASSWORD 'of-a-role'");
    let odd = "odd' name=x";
    db.sql("fitness", "CREATE DATABASE \"odd' name=x\"");
    db.sql(odd, "CREATE TABLE here (i int)");
    let dumps = vec![db.dump("db/fitness"), DumpRequest { database: Some(odd.into()), ..db.dump("db/odd") }];

    let mut phases = Vec::new();
    let report = ask_child(&child(), scene.backup(dumps), |update| match update {
        Update::Progress(progress) if !phases.contains(&progress.phase) => phases.push(progress.phase),
        Update::Progress(_) => {}
        Update::Note { text } => panic!("{text}"),
    })
    .await
    .unwrap();
    assert_eq!(phases, [Phase::Dump, Phase::CheckDumps, Phase::Files, Phase::Check]);
    let [fitness, other] = report.dumps.as_slice() else { panic!("{report:?}") };
    assert_eq!((fitness.user.as_str(), fitness.database.as_str()), ("fit", "fitness"));
    assert_eq!(other.database, odd);
    assert!(fitness.server_version.starts_with("17."), "{fitness:?}");
    let rows = |table: &str, rows| TableRows::new(table, rows);
    assert_eq!(fitness.tables, [rows("Odd schema.t\"x", 1), rows("public.users", 2)]);
    // Two project files, two dumps with their globals, and the manifest.
    assert_eq!(report.files, 7);

    let listed = scene.list().await.backups;
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].id, &listed[0].dumps), (&report.id, &report.dumps));
    assert_eq!((listed[0].host.as_str(), listed[0].files), ("testhost", 7));

    // The dump, into a second database.
    let out = scene.folder.path().join("out.pgdump");
    let request = |path: &str, to: &Path| DumpOutRequest {
        repo: scene.repo.clone(),
        key_file: scene.key_file.clone(),
        snapshot: report.id.clone(),
        path: path.into(),
        to: to.to_owned(),
    };
    let written = ask(request(&fitness.path, &out)).await.unwrap();
    assert_eq!((written.size_bytes, &written.sha256), (fitness.size_bytes, &fitness.sha256));
    docker(&["cp", out.to_str().unwrap(), &format!("{}:/tmp/out.pgdump", db.name)]);
    db.sql("fitness", "CREATE DATABASE second");
    db.exec(&["pg_restore", "-U", "fit", "-d", "second", "--exit-on-error", "/tmp/out.pgdump"]);
    let all = "SELECT * FROM users ORDER BY id";
    assert_eq!(db.sql("second", all), db.sql("fitness", all));
    // Nothing is overwritten, and what is not there is told so.
    assert!(matches!(ask(request(&fitness.path, &out)).await, Err(BackupError::Target { .. })));
    let none = ask(request("/dumps/none", &scene.folder.path().join("x"))).await;
    assert!(matches!(none, Err(BackupError::NotFound { .. })), "{none:?}");
    let globals = scene.folder.path().join("globals.sql");
    ask(request("/dumps/db/fitness.globals.sql", &globals)).await.unwrap();
    assert!(std::fs::read_to_string(globals).unwrap().contains("CREATE ROLE reader"));

    restic_reads_it(&scene, fitness.size_bytes);
    no_secret_in_the_open(&scene);
}

/// By the recovery key alone, with sizes that are right.
fn restic_reads_it(scene: &Scene, dump_bytes: u64) {
    if scene.restic(&["check", "--read-data"]).is_none() {
        return;
    }
    let listed = text(&scene.restic(&["ls", "latest"]).unwrap().stdout);
    for path in ["/dumps/db/fitness.pgdump", "/project/backend/app.py", "/wharf.json"] {
        assert!(listed.lines().any(|line| line == path), "{path}: {listed}");
    }
    let to = scene.folder.path().join("by-restic");
    scene.restic(&["restore", "latest", "--target", to.to_str().unwrap()]).unwrap();
    assert_eq!(to.join("dumps/db/fitness.pgdump").metadata().unwrap().len(), dump_bytes);
    assert_eq!(std::fs::read(to.join("project/.env.prod")).unwrap(), b"DB_PASSWORD=x\n");
}

fn no_secret_in_the_open(scene: &Scene) {
    for key in [scene.key_file.clone(), recovery_key_file(&scene.key_file)] {
        assert_eq!(key.metadata().unwrap().mode() & 0o7777, 0o600, "{key:?}");
    }
    assert_eq!(scene.repo.metadata().unwrap().mode() & 0o7777, 0o700);
}

#[tokio::test]
async fn files_come_back_with_modes_times_links_and_odd_names() {
    let scene = Scene::new();
    let project = &scene.project;
    scene.random_file("large", 3_000_000, 1);
    std::fs::write(project.join("empty"), "").unwrap();
    let raw = OsStr::from_bytes(b"raw\xff\\\"name");
    std::fs::write(project.join(raw), "raw").unwrap();
    std::fs::create_dir(project.join("empty folder")).unwrap();
    symlink("backend/app.py", project.join("link")).unwrap();
    symlink("/nowhere", project.join("dangling")).unwrap();
    std::fs::create_dir(project.join("sealed")).unwrap();
    std::fs::write(project.join("sealed/in"), "in").unwrap();
    // A name that sorts differently as a path and as a name.
    std::fs::write(project.join("backend.txt"), "x").unwrap();
    for (name, mode) in [("empty", 0o4755), ("backend/app.py", 0o640), ("sealed", 0o555)] {
        std::fs::set_permissions(project.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    // What is mounted stays out, the folder it is mounted on does not.
    std::fs::create_dir(project.join("uploads")).unwrap();
    std::fs::write(project.join("uploads/photo"), "data").unwrap();
    let cold = scene.folder.path().join("pgdata");
    std::fs::create_dir(&cold).unwrap();
    std::fs::write(cold.join("PG_VERSION"), "17\n").unwrap();

    let mut request = scene.backup(vec![]);
    request.project = Some(ProjectTree { root: project.clone(), exclude: vec![project.join("uploads")] });
    request.cold = vec![ColdRequest { label: "db/data".into(), path: cold }];
    let report = ask(request.clone()).await.unwrap();
    // Again, with nothing changed: only the trees that name the time are new.
    let again = ask(request).await.unwrap();
    assert_eq!(again.files, report.files);
    assert!(report.added_bytes > 3_000_000 && again.added_bytes < 20_000, "{report:?} {again:?}");

    let to = scene.folder.path().join("restored");
    let restore = |path: &str, to: &Path| RestoreRequest {
        repo: scene.repo.clone(),
        key_file: scene.key_file.clone(),
        snapshot: again.id.clone(),
        path: path.into(),
        to: to.to_owned(),
    };
    ask(restore("/project", &to)).await.unwrap();
    std::fs::remove_file(project.join("uploads/photo")).unwrap();
    assert_eq!(tree(project), tree(&to));
    let refused = ask(restore("/project", &to)).await;
    assert_eq!(refused, Err(BackupError::TargetNotEmpty { to: to.clone() }));
    let to = scene.folder.path().join("all");
    ask(restore("/", &to)).await.unwrap();
    assert_eq!(std::fs::read(to.join("cold/db/data/PG_VERSION")).unwrap(), b"17\n");
}

/// Everything below a folder that a restore must bring back.
fn tree(root: &Path) -> Vec<String> {
    let mut found: Vec<_> = walkdir(root)
        .into_iter()
        .map(|path| {
            let metadata = path.symlink_metadata().unwrap();
            let content = if metadata.is_symlink() {
                format!("{:?}", std::fs::read_link(&path).unwrap())
            } else if metadata.is_file() {
                wharf_proto::Digest::of(&std::fs::read(&path).unwrap()).to_hex()
            } else {
                String::new()
            };
            let mode = if metadata.is_symlink() { 0 } else { metadata.mode() };
            let mtime = (metadata.mtime(), metadata.mtime_nsec());
            // The folder from which the test itself removed something is another one now.
            let mtime = if path.ends_with("uploads") { (0, 0) } else { mtime };
            let name = path.strip_prefix(root).unwrap();
            format!("{name:?} {mode:o} {}:{} {mtime:?} {content}", metadata.uid(), metadata.gid())
        })
        .collect();
    found.sort();
    found
}

fn walkdir(root: &Path) -> Vec<std::path::PathBuf> {
    walkdir::WalkDir::new(root).min_depth(1).into_iter().map(|entry| entry.unwrap().into_path()).collect()
}

#[tokio::test]
async fn forgetting_frees_what_only_the_forgotten_needed() {
    let scene = Scene::new();
    scene.random_file("old", 2_000_000, 1);
    let first = scene.make_backup(vec![]).await.unwrap();
    std::fs::remove_file(scene.project.join("old")).unwrap();
    scene.random_file("new", 1_000_000, 2);
    let second = scene.make_backup(vec![]).await.unwrap();
    let forget =
        |ids| ForgetRequest { repo: scene.repo.clone(), key_file: scene.key_file.clone(), ids, prune: true };
    // One that is not there: nothing goes.
    let unknown = wharf_proto::BackupId("ab".repeat(32));
    let refused = ask(forget(vec![first.id.clone(), unknown])).await;
    assert!(matches!(refused, Err(BackupError::NotFound { .. })), "{refused:?}");
    assert_eq!(scene.list().await.backups.len(), 2);

    let report = ask(forget(vec![first.id])).await.unwrap();
    assert_eq!(report.removed, 1);
    assert!(report.freed_bytes > 1_900_000, "{report:?}");
    let left: Vec<_> = scene.list().await.backups.into_iter().map(|backup| backup.id).collect();
    assert_eq!(left, [second.id]);
    scene.check(true).await.unwrap();
    scene.restic(&["check", "--read-data"]);
}

#[tokio::test]
async fn the_repository_in_the_project_is_not_backed_up_into_itself() {
    let folder = tempfile::tempdir().unwrap();
    let repo = folder.path().join("project/.wharf/repo");
    let scene = Scene::with_repo(folder, repo);
    let report = scene.make_backup(vec![]).await.unwrap();
    // The two files of the project and the manifest.
    assert_eq!(report.files, 3);
}
