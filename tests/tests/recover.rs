//! `wharfd recover`: the server is gone, and a new one brings the app back from a copy and the recovery key alone.
//! Show 6 of the data issue.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use wharf_tests::{World, docker};

/// What `wharfd recover` ended with: exit code and everything that it wrote.
fn recover(config: &Path, state: &Path, more: &[&str]) -> (i32, String) {
    let output = Command::new(wharf_tests::program("WHARFD_BIN", "wharfd"))
        .arg("recover")
        .arg("--config")
        .arg(config)
        .arg("--state")
        .arg(state)
        .args(more)
        .output()
        .expect("wharfd starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

fn restic(repository: &Path, key: &Path) -> usize {
    let output = Command::new("restic")
        .args(["--no-cache", "--no-lock", "--json", "snapshots", "--password-file"])
        .arg(key)
        .arg("--repo")
        .arg(repository)
        .output()
        .expect("restic is installed");
    let listed: Option<Vec<serde_json::Value>> = serde_json::from_slice(&output.stdout).ok();
    listed.map_or(0, |listed| listed.len())
}

/// A copy of a live app's backups, and the recovery key that its owner put away.
fn copied(world: &mut World) -> (PathBuf, PathBuf) {
    let disk = world.server.folder.join("disk");
    std::fs::create_dir(&disk).unwrap();
    let config = format!("[[offsite]]\nname = \"disk\"\npath = \"{}\"\n", disk.display());
    std::fs::write(world.server.folder.join("wharfd.toml"), config).unwrap();
    world.server.restart(&[]);
    world.write_config("[[volume]]\npath = \"uploads\"\nmode = \"live\"\n");
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    world.add_workout("rows");
    std::fs::write(world.app_dir.join("uploads/photo.jpg"), "a photo").unwrap();
    std::fs::write(world.app_dir.join("notes-of-the-owner.txt"), "made on the server").unwrap();
    world.laptop.wharf(&["backup", "create"]).exits(0);
    let apps = world.server.folder.join("state/apps").join(&world.app);
    let key = world.server.folder.join("put-away.key");
    std::fs::copy(apps.join("backups.key.recovery"), &key).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (made, until) = (restic(&apps.join("backups"), &key), Instant::now() + Duration::from_secs(120));
    while restic(&disk.join(&world.app), &key) != made {
        assert!(Instant::now() < until, "the copies never came");
        std::thread::sleep(Duration::from_millis(200));
    }
    (disk, key)
}

/// The server burns down: agent, containers, volumes, images, files.
fn lose(world: &mut World) {
    world.server.kill();
    docker::remove_project(&world.project, &world.app);
    std::fs::remove_dir_all(&world.app_dir).unwrap();
    std::fs::remove_dir_all(world.server.folder.join("state")).unwrap();
}

#[test]
fn an_app_comes_back_on_an_empty_machine_from_a_folder() {
    let mut world = World::fitnessapp();
    let (disk, key) = copied(&mut world);
    let env = std::fs::read(world.app_dir.join(".env.prod")).unwrap();
    let config = world.server.folder.join("wharfd.toml");
    let state = world.server.folder.join("state");
    let from = ["--from", "disk", "--key-file", key.to_str().unwrap()];

    // The agent still runs.
    let (code, text) = recover(&config, &state, &from);
    assert_eq!(code, 3, "{text}");
    lose(&mut world);

    // What cannot be, and what is in the way; nothing is changed by it.
    let wrong = world.server.folder.join("wrong.key");
    std::fs::write(&wrong, "another-key").unwrap();
    std::fs::set_permissions(&wrong, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (code, text) = recover(&config, &state, &["--from", "disk", "--key-file", wrong.to_str().unwrap()]);
    assert!(code != 0 && text.contains("another key"), "{code}: {text}");
    let (code, text) = recover(&config, &state, &["--from", "tape", "--key-file", key.to_str().unwrap()]);
    assert!(code == 2 && text.contains("names: disk"), "{code}: {text}");
    std::fs::create_dir_all(disk.join("other")).unwrap();
    std::fs::copy(disk.join(&world.app).join("config"), disk.join("other/config")).unwrap();
    let (code, text) = recover(&config, &state, &from);
    assert!(code == 2 && text.contains("several apps") && text.contains(&world.app), "{code}: {text}");
    let from = [&from[..], &["--app", &world.app]].concat();
    let (code, text) = recover(&config, &state, &[&from[..], &["--list"]].concat());
    assert!(code == 0 && text.contains("1 databases (2 rows)"), "{code}: {text}");
    std::fs::create_dir_all(&world.app_dir).unwrap();
    std::fs::write(world.app_dir.join("mine"), "keep").unwrap();
    let (code, text) = recover(&config, &state, &from);
    assert!(code == 3 && text.contains("is not empty"), "{code}: {text}");
    assert_eq!(std::fs::read(world.app_dir.join("mine")).unwrap(), b"keep");
    std::fs::remove_file(world.app_dir.join("mine")).unwrap();

    let (code, text) = recover(&config, &state, &from);
    assert_eq!(code, 0, "{text}");
    assert_eq!(world.workouts(), ["squats", "rows"]);
    let path = world.app_dir.join(".env.prod");
    assert_eq!(std::fs::read(&path).unwrap(), env);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let notes = world.app_dir.join("notes-of-the-owner.txt");
    assert!(notes.is_file());
    assert_eq!(std::fs::read(world.app_dir.join("uploads/photo.jpg")).unwrap(), b"a photo");

    // The agent goes on as before: the same backups, the next release, and files that nobody shipped stay.
    world.server.restart(&[]);
    std::fs::remove_file(world.laptop.folder.join("known_hosts")).unwrap();
    let listed = world.laptop.wharf(&["--accept-new-host-key", "backup", "list", "--json"]).exits(0);
    assert!(!listed.json().is_empty());
    world.deploy(&[]).exits(0);
    assert_eq!(world.workouts(), ["squats", "rows"]);
    assert!(notes.is_file());
    let releases = world.laptop.wharf(&["releases", "--json"]).exits(0).json();
    let names: Vec<&str> = releases.iter().filter_map(|line| line["release"].as_str()).collect();
    assert_eq!(names, ["v2", "v1"]);
    let (code, text) = recover(&config, &world.server.folder.join("state"), &from);
    assert_eq!(code, 3, "{text}");
    world.nothing_is_left("after a recovery and a deploy");
}
