//! Backups are copied to another place by themselves, and open there with the recovery key alone (R26).

use std::path::Path;
use std::time::{Duration, Instant};
use wharf_tests::{Restic, World, await_that};

/// The agent tells nobody when a copy is done, so the place itself is looked at until then.
#[track_caller]
fn wait_for(count: usize, copy: &Restic) {
    let until = Instant::now() + Duration::from_secs(120);
    while copy.count() != count {
        assert!(Instant::now() < until, "the copies never came to {}", copy.repository.display());
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

    let here = world.restic();
    let at = |place: &Path| Restic { repository: place.join(&world.app), key: here.key.clone() };
    let there = at(&disk);
    let count = here.count();
    assert!(count >= 1);
    wait_for(count, &there);
    there.runs(&["--no-lock", "check", "--read-data"]);

    // The next one follows by itself, while the app goes on.
    world.laptop.wharf(&["backup", "create"]).exits(0);
    wait_for(count + 1, &there);
    // The other place keeps the newest and the releases' restore points alone.
    let releases = world.laptop.wharf(&["releases", "--json"]).exits(0).json();
    let points = releases.iter().filter(|release| release["backup"].is_string()).count();
    wait_for(points + 1, &at(&small));
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
