//! Backups are copied to another place by themselves, and open there with the recovery key alone (R26).

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use wharf_tests::{World, await_that};

/// The snapshots that stock restic finds there.
fn snapshots(repository: &Path, key: &Path) -> usize {
    let output = Command::new("restic")
        .args(["--no-cache", "--no-lock", "--json", "--repo"])
        .arg(repository)
        .arg("--password-file")
        .arg(key)
        .arg("snapshots")
        .output()
        .expect("restic is installed");
    let listed: Option<Vec<serde_json::Value>> = serde_json::from_slice(&output.stdout).ok();
    listed.map_or(0, |listed| listed.len())
}

/// The agent tells nobody when a copy is done, so the place itself is looked at until then.
#[track_caller]
fn wait_for(count: usize, repository: &Path, key: &Path) {
    let until = Instant::now() + Duration::from_secs(120);
    while snapshots(repository, key) != count {
        assert!(Instant::now() < until, "the copies never came to {}", repository.display());
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn each_backup_is_copied_and_a_place_that_fails_is_told_of() {
    let mut world = World::fitnessapp();
    let disk = world.server.folder.join("disk");
    std::fs::create_dir(&disk).unwrap();
    let small = world.server.folder.join("small");
    std::fs::create_dir(&small).unwrap();
    let place = |name: &str, path: &Path, more: &str| {
        format!("[[offsite]]\nname = \"{name}\"\npath = \"{}\"\n{more}\n", path.display())
    };
    let config = place("disk", &disk, "") + &place("small", &small, "keep = { last = 1 }");
    std::fs::write(world.server.folder.join("wharfd.toml"), config).unwrap();
    world.server.restart(&[]);
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    world.laptop.wharf(&["backup", "create"]).exits(0);

    let key = world.server.folder.join(format!("state/apps/{}/backups.key.recovery", world.app));
    let here = world.server.folder.join(format!("state/apps/{}/backups", world.app));
    let there = disk.join(&world.app);
    let count = snapshots(&here, &key);
    assert!(count >= 1);
    wait_for(count, &there, &key);
    let check = Command::new("restic")
        .args(["--no-cache", "--no-lock", "--repo"])
        .arg(&there)
        .arg("--password-file")
        .arg(&key)
        .args(["check", "--read-data"])
        .output()
        .expect("restic is installed");
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));

    // The next one follows by itself, while the app goes on.
    world.laptop.wharf(&["backup", "create"]).exits(0);
    wait_for(count + 1, &there, &key);
    // The other place keeps the newest and the releases' restore points alone.
    let releases = world.laptop.wharf(&["releases", "--json"]).exits(0).json();
    let points = releases.iter().filter(|release| release["backup"].is_string()).count();
    wait_for(points + 1, &small.join(&world.app), &key);
    await_that("each backup says where it is", || {
        let listed = world.laptop.wharf(&["backup", "list", "--json"]).exits(0).json();
        let places = |name: &str| {
            let has = |backup: &&serde_json::Value| {
                backup["copies"].as_array().is_some_and(|places| places.iter().any(|place| place == name))
            };
            listed.iter().filter(has).count()
        };
        places("disk") == count + 1 && places("small") == points + 1
    });
    assert_eq!(world.workouts(), ["squats"]);
}
