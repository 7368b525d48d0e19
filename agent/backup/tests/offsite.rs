//! Backups are copied to other places, and come back from there by the recovery key alone.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod elsewhere;
mod scene;

use scene::{Scene, ask};
use std::path::Path;
use wharf_backup::{
    AppsRequest, BackupError, CopyReport, CopyRequest, ListRequest, Location, LookRequest, Place, ReadBack,
    RestoreRequest, ThinRequest, recovery_key_file,
};
use wharf_tests::{S3, Sshd};

/// The scene's own repository.
fn own(scene: &Scene) -> Location {
    Location {
        place: Place::Folder(scene.repo.clone()),
        key_file: scene.key_file.clone(),
        password_file: recovery_key_file(&scene.key_file),
        own: true,
    }
}

/// A copy's, as this scene knows it.
fn copy_at(scene: &Scene, place: Place) -> Location {
    Location {
        place,
        key_file: scene.folder.path().join("state/offsite/there.key"),
        password_file: recovery_key_file(&scene.key_file),
        own: false,
    }
}

async fn copy(scene: &Scene, place: &Place) -> Result<CopyReport, BackupError> {
    ask(CopyRequest {
        from: own(scene),
        to: copy_at(scene, place.clone()),
        only: vec![],
        newest: None,
        read_back: ReadBack::All,
    })
    .await
}

/// What a place must be able to do, all of it; returns the scene whose backups are there.
async fn goes_there_and_comes_back(place: Place) -> Scene {
    let scene = Scene::new();
    scene.random_file("large", 3_000_000, 1);
    let first = scene.make_backup(vec![]).await.unwrap();
    let copied = copy(&scene, &place).await.unwrap();
    assert_eq!(copied.copied.iter().map(|c| &c.id).collect::<Vec<_>>(), [&first.id]);
    assert!(copied.added_bytes > 3_000_000, "{copied:?}");

    // The next one sends only what is new, and says what was there.
    scene.random_file("small", 100_000, 2);
    let second = scene.make_backup(vec![]).await.unwrap();
    let again = copy(&scene, &place).await.unwrap();
    assert_eq!(again.copied.iter().map(|c| &c.id).collect::<Vec<_>>(), [&second.id]);
    assert_eq!(again.present, copied.copied);
    assert!(again.added_bytes < 1_000_000, "{again:?}");
    assert_eq!(copy(&scene, &place).await.unwrap().added_bytes, 0);

    comes_back(&scene, place, &second.id).await;
    scene
}

/// Who knows nothing but the place and the key finds out what there is.
async fn is_found(scene: &Scene, above: Place) {
    let apps = ask(AppsRequest { place: above.clone() }).await.unwrap().apps;
    assert_eq!(apps, ["app"]);
    let app = Place::below(&above, "app");
    let from = Location { key_file: scene.folder.path().join("no.key"), ..copy_at(scene, app) };
    let backups = ask(LookRequest { from: from.clone() }).await.unwrap().backups;
    assert_eq!(backups.len(), 2);
    assert!(backups.iter().all(|backup| !backup.recoverable), "nothing says here how to bring it back");
    let wrong = scene.folder.path().join("wrong.key");
    std::fs::write(&wrong, "wrong").unwrap();
    std::fs::set_permissions(&wrong, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let foreign = ask(LookRequest { from: Location { password_file: wrong, ..from } }).await;
    assert!(matches!(foreign, Err(BackupError::ElsewhereForeign { .. })), "{foreign:?}");
}

/// What the place is not to have is dropped there, and what nothing else there needs goes; the other backup comes back.
async fn is_thinned(scene: &Scene, place: Place) {
    let from = Location { key_file: scene.folder.path().join("no.key"), ..copy_at(scene, place.clone()) };
    let mut listed = ask(LookRequest { from: from.clone() }).await.unwrap().backups;
    // Both are of the same moment, by the scene's clock.
    listed.sort_by_key(|backup| backup.files);
    let [old, new] = &listed[..] else { panic!("{listed:?}") };
    let thin = |ids: Vec<wharf_proto::BackupId>, grace_hours| ThinRequest {
        at: copy_at(scene, place.clone()),
        ids,
        grace_hours,
    };
    let unknown = ask(thin(vec![old.id.clone(), wharf_proto::BackupId("00112233".into())], 0)).await;
    assert!(matches!(unknown, Err(BackupError::NotFound { .. })), "{unknown:?}");
    assert_eq!(ask(LookRequest { from: from.clone() }).await.unwrap().backups.len(), 2, "all or none");

    // With a grace nothing is removed yet that somebody may be reading.
    let report = ask(thin(vec![old.id.clone()], 23)).await.unwrap();
    assert_eq!(report.removed, 1);
    assert_eq!(ask(LookRequest { from }).await.unwrap().backups, std::slice::from_ref(new));
    comes_back_alone(scene, place.clone(), new.original.as_ref().unwrap()).await;
    // Copied again, it is whole once more.
    assert_eq!(copy(scene, &place).await.unwrap().copied.len(), 1);
    comes_back(scene, place, new.original.as_ref().unwrap()).await;
}

/// On a server that has nothing but the recovery key.
async fn comes_back(scene: &Scene, place: Place, newest: &wharf_proto::BackupId) {
    comes_back_of(2, scene, place, newest).await;
}

async fn comes_back_alone(scene: &Scene, place: Place, newest: &wharf_proto::BackupId) {
    comes_back_of(1, scene, place, newest).await;
}

async fn comes_back_of(count: usize, scene: &Scene, place: Place, newest: &wharf_proto::BackupId) {
    let empty = tempfile::tempdir().unwrap();
    let password_file = empty.path().join("recovery");
    std::fs::copy(recovery_key_file(&scene.key_file), &password_file).unwrap();
    let state = empty.path().join("state");
    let (repo, key_file) = (state.join("repo"), state.join("key"));
    let from = Location {
        place,
        key_file: state.join("there.key"),
        password_file: password_file.clone(),
        own: false,
    };
    let to =
        Location { place: Place::Folder(repo.clone()), key_file: key_file.clone(), password_file, own: true };
    let back = CopyRequest { from, to, only: vec![], newest: None, read_back: ReadBack::Sample };
    let report = ask(back).await.unwrap();
    assert_eq!(report.copied.len(), count);
    // It is asked for by the name that it was known by.
    let found = report.copied.iter().find(|copied| copied.id == *newest).unwrap();
    let listed =
        ask(ListRequest { repo: repo.clone(), key_file: key_file.clone(), patient: true }).await.unwrap();
    assert_eq!(listed.backups.len(), count);
    let to = empty.path().join("files");
    let snapshot = found.copy.clone();
    let restore = RestoreRequest {
        repo,
        key_file: key_file.clone(),
        snapshot,
        path: "/project".into(),
        to: to.clone(),
    };
    ask(restore).await.unwrap();
    for name in ["large", "small", "backend/app.py", ".env.prod"] {
        assert!(
            std::fs::read(to.join(name)).unwrap() == std::fs::read(scene.project.join(name)).unwrap(),
            "{name}"
        );
    }
    // The key goes on being the same one.
    let keys = [&key_file, &scene.key_file].map(|key| wharf_backup::recovery_key(key).unwrap());
    assert_eq!(keys[0], keys[1]);
}

#[tokio::test]
async fn another_disk() {
    let disk = tempfile::tempdir().unwrap();
    let at = disk.path().join("app");
    let place = Place::Folder(at.clone());
    let scene = goes_there_and_comes_back(place.clone()).await;
    restic(&at, &scene);
    is_found(&scene, Place::Folder(disk.path().to_owned())).await;
    is_thinned(&scene, place.clone()).await;
    restic(&at, &scene);

    // A disk that is not mounted: nothing is made in its place.
    let away = disk.path().join("away");
    std::fs::rename(&at, &away).unwrap();
    let gone = copy(&scene, &place).await;
    assert!(matches!(gone, Err(BackupError::ElsewhereGone { .. })), "{gone:?}");
    let no_disk = Place::Folder(disk.path().join("no/app"));
    std::fs::remove_file(scene.folder.path().join("state/offsite/there.key")).unwrap();
    let no_folder = copy(&scene, &no_disk).await;
    assert!(matches!(no_folder, Err(BackupError::Elsewhere { .. })), "{no_folder:?}");
    assert!(!at.exists() && !disk.path().join("no").exists());

    // The key of the copy is lost: the recovery key opens it. Another app's does not.
    std::fs::rename(&away, &at).unwrap();
    assert_eq!(copy(&scene, &place).await.unwrap().copied, []);
    let other = Scene::new();
    other.make_backup(vec![]).await.unwrap();
    let foreign = copy(&other, &place).await;
    assert!(matches!(foreign, Err(BackupError::ElsewhereForeign { .. })), "{foreign:?}");
    restic(&at, &scene);
}

#[tokio::test]
async fn an_sftp_server() {
    let folder = tempfile::tempdir().unwrap();
    let sshd = Sshd::start(&folder.path().join("sshd"));
    let there = folder.path().join("there/app");
    let scene = goes_there_and_comes_back(elsewhere::sftp(&sshd, &there)).await;
    restic(&there, &scene);
    is_found(&scene, elsewhere::sftp(&sshd, &folder.path().join("there"))).await;
    is_thinned(&scene, elsewhere::sftp(&sshd, &there)).await;
    restic(&there, &scene);
}

/// Credentials that may only add files, and a copy that is killed on its way: it goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn an_sftp_server_that_lets_nobody_remove_anything() {
    let folder = tempfile::tempdir().unwrap();
    let sshd = Sshd::append_only(&folder.path().join("sshd"));
    let there = folder.path().join("there/app");
    let place = elsewhere::sftp(&sshd, &there);
    let scene = Scene::new();
    for number in 0..6 {
        scene.random_file(&format!("large{number}"), 9_000_000, number);
    }
    let made = scene.make_backup(vec![]).await.unwrap();
    let arrived_bytes = cut_short(&scene, &place, &there).await;
    let report = loop {
        match copy(&scene, &place).await {
            // The child is killed, and may take a moment to end.
            Err(BackupError::RepositoryLocked { .. }) => {}
            ended => break ended.unwrap(),
        }
    };
    assert_eq!(report.copied.len(), 1);
    let rest_bytes = made.size_bytes - arrived_bytes;
    assert!(
        report.added_bytes < rest_bytes + 1_000_000,
        "{arrived_bytes} of {} bytes had arrived, and {} were sent again",
        made.size_bytes,
        report.added_bytes
    );
    restic(&there, &scene);

    // What is asked for there cannot be done, is told, and harms nothing.
    let from = Location { key_file: scene.folder.path().join("no.key"), ..copy_at(&scene, place.clone()) };
    let ids =
        ask(LookRequest { from: from.clone() }).await.unwrap().backups.into_iter().map(|b| b.id).collect();
    let refused =
        ask(ThinRequest { at: copy_at(&scene, place.clone()), ids, grace_hours: 0 }).await.unwrap_err();
    assert!(format!("{:?}", refused.failure()).contains("denied"), "{refused:?}");
    assert_eq!(ask(LookRequest { from }).await.unwrap().backups.len(), 1);
    scene.random_file("large0", 9_000_000, 100);
    scene.make_backup(vec![]).await.unwrap();
    assert_eq!(copy(&scene, &place).await.unwrap().copied.len(), 1);
    restic(&there, &scene);
}

/// Kills a copy once some packs are there; how many bytes arrived.
async fn cut_short(scene: &Scene, place: &Place, there: &Path) -> u64 {
    let copying = copy(scene, place);
    let some_arrived = async {
        while packs(there).len() < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        () = some_arrived => {}
        ended = copying => panic!("it was not cut short: {ended:?}"),
    }
    packs(there).iter().map(|pack| std::fs::metadata(pack).unwrap().len()).sum()
}

/// The packs that have arrived; one that is being written has a longer name.
fn packs(repository: &Path) -> Vec<std::path::PathBuf> {
    let folders = std::fs::read_dir(repository.join("data")).into_iter().flatten();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    let paths = files.map(|file| file.unwrap().path());
    paths.filter(|path| path.file_name().is_some_and(|name| name.len() == 64)).collect()
}

#[tokio::test]
async fn an_s3_server() {
    let folder = tempfile::tempdir().unwrap();
    let Some(s3) = S3::start(folder.path()) else { return };
    let scene = goes_there_and_comes_back(elsewhere::s3(&s3, "wharf/app")).await;
    restic(&s3.folder().join("wharf/app"), &scene);
    is_found(&scene, elsewhere::s3(&s3, "wharf")).await;
    is_thinned(&scene, elsewhere::s3(&s3, "wharf/app")).await;
    restic(&s3.folder().join("wharf/app"), &scene);
    // Wrong credentials are told, without a word of them.
    std::fs::write(folder.path().join("secret"), "wrong-secret").unwrap();
    let refused = copy(&scene, &elsewhere::s3(&s3, "wharf/app")).await.unwrap_err();
    let told = format!("{refused:?} {:?}", refused.failure());
    assert!(!told.contains("wrong-secret") && !told.contains("X-Amz-Signature"), "{told}");
}

#[tokio::test]
async fn one_damaged_backup_does_not_keep_the_others() {
    let scene = Scene::new();
    scene.random_file("base", 500_000, 1);
    scene.make_backup(vec![]).await.unwrap();
    std::fs::remove_file(scene.project.join("base")).unwrap();
    scene.random_file("only-here", 4_000_000, 2);
    scene.make_backup(vec![]).await.unwrap();
    std::fs::remove_file(scene.project.join("only-here")).unwrap();
    scene.make_backup(vec![]).await.unwrap();
    // The largest pack has what the second alone needs.
    let pack = scene.packs().remove(0);
    let mut content = std::fs::read(&pack).unwrap();
    content[1000] ^= 1;
    std::fs::write(&pack, content).unwrap();
    let disk = tempfile::tempdir().unwrap();
    let place = Place::Folder(disk.path().join("app"));
    let error = copy(&scene, &place).await.unwrap_err();
    let BackupError::CopyIncomplete { wanted: 3, missing: 1, .. } = &error else { panic!("{error:?}") };
    restic(&disk.path().join("app"), &scene);
}

#[tokio::test]
async fn what_only_dropped_copies_needed_is_freed() {
    let scene = Scene::new();
    scene.random_file("only-here", 4_000_000, 1);
    let old = scene.make_backup(vec![]).await.unwrap();
    std::fs::remove_file(scene.project.join("only-here")).unwrap();
    let new = scene.make_backup(vec![]).await.unwrap();
    let disk = tempfile::tempdir().unwrap();
    let place = Place::Folder(disk.path().join("app"));
    let copied = copy(&scene, &place).await.unwrap().copied;
    let copy_of =
        |id| copied.iter().find(|copied| copied.id == id).map(|copied| copied.copy.clone()).unwrap();
    let thin = ThinRequest { at: copy_at(&scene, place.clone()), ids: vec![copy_of(old.id)], grace_hours: 0 };
    let report = ask(thin).await.unwrap();
    assert!(report.freed_bytes > 4_000_000, "{report:?}");
    restic(&disk.path().join("app"), &scene);
    // What somebody else puts there is told from copies.
    let foreign = std::process::Command::new("restic")
        .args(["--no-cache", "backup", "--quiet", "--repo"])
        .arg(disk.path().join("app"))
        .arg("--password-file")
        .arg(recovery_key_file(&scene.key_file))
        .arg(&scene.project)
        .status();
    if foreign.is_ok_and(|status| status.success()) {
        let from =
            Location { key_file: scene.folder.path().join("no.key"), ..copy_at(&scene, place.clone()) };
        let listed = ask(LookRequest { from }).await.unwrap().backups;
        let originals: Vec<_> = listed.iter().filter_map(|backup| backup.original.clone()).collect();
        assert_eq!((listed.len(), originals), (2, vec![new.id.clone()]));
    }
    // The ones on the server are as they were, and what is wanted there is there.
    let again = CopyRequest {
        from: own(&scene),
        to: copy_at(&scene, place),
        only: vec![new.id.clone()],
        newest: None,
        read_back: ReadBack::All,
    };
    let again = ask(again).await.unwrap();
    assert_eq!((again.copied.len(), again.present.len()), (0, 1));
}

/// What is in a folder is a whole repository, by the recovery key.
fn restic(repo: &Path, scene: &Scene) {
    let checked = std::process::Command::new("restic")
        .args(["--no-cache", "check", "--read-data", "--repo"])
        .arg(repo)
        .arg("--password-file")
        .arg(recovery_key_file(&scene.key_file))
        .output();
    match checked {
        Ok(output) => assert!(output.status.success(), "{}", scene::text(&output.stderr)),
        Err(_) => eprintln!("restic is not installed: interoperation is not tested"),
    }
}
