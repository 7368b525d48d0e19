//! Backups by schedule, retention and drills of the agent's own, with a clock that the test sets. Show 7 of the data issue
//! (R23, R25).

use std::process::Command;
use std::time::{Duration, Instant};
use wharf_tests::{World, docker};

/// However slow the machine is, nothing here takes as long.
const PATIENCE: Duration = Duration::from_secs(240);

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "it never came to this: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The times of the backups, newest first, without their date's year.
fn times(world: &World) -> Vec<String> {
    let time = |backup: &serde_json::Value| backup["time"].as_str().expect("a time")[5..16].to_owned();
    world.backups().iter().map(time).collect()
}

fn status(world: &World) -> String {
    world.laptop.wharf(&["status"]).exits(0).stdout
}

/// Sets the clock and waits until the newest backup is of that hour, and its job is over.
fn back_up_at(world: &World, time: &str) {
    world.server.set_clock(time);
    let hour = &time[5..13];
    until(time, || {
        times(world).first().is_some_and(|newest| newest.starts_with(hour))
            && world.jobs().iter().all(|job| job["outcome"].is_object())
    });
}

/// As stock restic lists them, newest first.
fn restic_lists(world: &World) -> Vec<String> {
    let output = world.restic().runs(&["--no-lock", "--json", "snapshots"]);
    let listed: Vec<serde_json::Value> = serde_json::from_str(&output).expect("JSON");
    let mut times: Vec<String> =
        listed.iter().map(|snapshot| snapshot["time"].as_str().expect("a time")[5..16].to_owned()).collect();
    times.sort_unstable_by(|a, b| b.cmp(a));
    times
}

/// How many backups are at that place, by what lies there.
fn copied(world: &World, place: &str) -> usize {
    let folder = world.server.folder.join(place).join(&world.app).join("snapshots");
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

fn a_scheduled_world(time: &str) -> World {
    let mut world = World::fitnessapp();
    world.write_config(
        "[backup]\nschedule = \"0 * * * *\"\ntimezone = \"UTC\"\nkeep = { last = 2, daily = 3 }\ndrill = \"off\"\n",
    );
    // Copies begin in the very moment in which a scheduled backup goes on with retention; both are to come about.
    let mut config = "backup_within_seconds = 20\n".to_owned();
    for (name, more) in [("disk", ""), ("night", "schedule = \"30 12 * * *\"\ntimezone = \"UTC\"\n")] {
        let path = world.server.folder.join(name);
        std::fs::create_dir(&path).expect("a folder of the test's");
        config += &format!("[[offsite]]\nname = \"{name}\"\npath = \"{}\"\n{more}", path.display());
    }
    std::fs::write(world.server.folder.join("wharfd.toml"), config).expect("a file of the test's");
    let (name, file) = world.server.set_clock(time);
    world.server.restart(&[(name, &file)]);
    world.deploy(&[]).exits(0);
    world
}

#[test]
fn a_schedule_backs_up_forgets_catches_up_once_and_is_never_silent() {
    let world = a_scheduled_world("2026-01-01T00:30:00Z");
    // Not on before somebody has saved the key, and it says so; a deploy goes on.
    assert!(status(&world).contains("NOT ON"), "{}", status(&world));
    world.server.set_clock("2026-01-01T01:30:00Z");
    let told = world.deploy(&[]).exits(0).stderr;
    let last: Vec<&str> = told.trim_end().lines().rev().take(2).collect();
    assert!(last[1].contains("schedule is not on") && last[1].ends_with("wharf backup key"), "{told}");
    world.laptop.wharf(&["backup", "key", "--saved"]).exits(0);
    until("the schedule is on", || status(&world).contains("0 * * * * (UTC), next "));
    assert_eq!(times(&world), ["01-01T01:30", "01-01T00:30"], "an hour in which it was off is not owed");

    for time in ["2026-01-01T02:20:00Z", "2026-01-01T03:20:00Z"] {
        back_up_at(&world, time);
    }
    until("each backup is copied", || copied(&world, "disk") == 4);
    assert_eq!(copied(&world, "night"), 0, "its time is half past twelve");
    back_up_at(&world, "2026-01-01T23:20:00Z");
    until("the time for copies came", || copied(&world, "night") >= 4);
    back_up_at(&world, "2026-01-02T05:20:00Z");
    until("each backup is copied", || copied(&world, "disk") == 6);
    assert!(copied(&world, "night") <= 5, "its next time has not come");
    // Down for ten days: one backup makes up for all of them.
    back_up_at(&world, "2026-01-12T08:30:00Z");
    let expected = ["01-12T08:30", "01-02T05:20", "01-01T23:20", "01-01T01:30", "01-01T00:30"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(times(&world), expected, "two last ones, three days, two restore points of releases");
    assert_eq!(restic_lists(&world), expected);
    let failed =
        |job: &&serde_json::Value| job["outcome"]["result"] != "done" && job["kind"]["name"] == "backup";
    assert_eq!(world.jobs().iter().filter(failed).count(), 0, "{:#?}", world.jobs());

    // What is pinned stays, and the plan says why; what it says is what happens.
    let pinned = world.backups()[2]["id"].as_str().expect("an ID").to_owned();
    world.laptop.wharf(&["backup", "pin", &pinned]).exits(0);
    back_up_at(&world, "2026-01-13T08:30:00Z");
    let plan = world.laptop.wharf(&["backup", "prune", "--dry-run"]).exits(0).stdout;
    assert!(plan.contains("pinned") && plan.contains("restore point of a release"), "{plan}");
    assert!(!plan.contains("forget"), "{plan}");
    assert_eq!(times(&world).len(), 6);
    world.laptop.wharf(&["backup", "pin", &pinned, "--off"]).exits(0);
    let plan = world.laptop.wharf(&["backup", "prune", "--dry-run"]).exits(0).stdout;
    assert!(plan.contains("forget"), "{plan}");
    world.laptop.wharf(&["backup", "prune"]).exits(0);
    assert_eq!(restic_lists(&world), times(&world));
    assert_eq!(times(&world).len(), 5);

    fails_loudly_and_tries_again(&world);
}

/// A lock that pg_dump waits for: the backup is given up after its deadline, told of, and made later.
fn fails_loudly_and_tries_again(world: &World) {
    let db = world.container("db");
    let lock = "BEGIN; LOCK TABLE workouts IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600);";
    let mut holder = Command::new("docker")
        .args(["exec", &db, "psql", "-XqAt", "-U", "fitness", "-d", "fitness", "-c", lock])
        .spawn()
        .expect("docker starts");
    let waits = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation::regclass::text = 'workouts'";
    until("the table is locked", || world.sql("fitness", waits) == "1");
    let before = times(world);
    world.server.set_clock("2026-01-14T08:30:00Z");
    until("it has failed", || status(world).contains("the scheduled backup failed"));
    let failed = &world.jobs()[0]["outcome"];
    assert_eq!(failed["result"], "failed");
    assert!(failed.to_string().contains("was not done after 20 s"), "{failed}");
    assert_eq!(times(world), before);

    let ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%'";
    world.sql("postgres", ends);
    let _ = holder.wait();
    // Not an hour later: five minutes.
    back_up_at(world, "2026-01-14T08:40:00Z");
    until("it is well again", || !status(world).contains("the scheduled backup failed"));
}

#[test]
fn each_release_is_proven_by_itself_and_a_drill_gives_way_to_a_deploy() {
    let world = World::fitnessapp();
    world.write_config("[backup]\ndrill = \"after-release\"\n");
    // A drill that would take ten minutes.
    world.laptop.edit(
        "wharf.toml",
        "service = \"db\"",
        "service = \"db\"\ncheck_sql = \"SELECT pg_sleep(600) IS NOT NULL\"",
    );
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    world.deploy(&[]).exits(0);
    let drills = || -> Vec<serde_json::Value> {
        world.jobs().into_iter().filter(|job| job["kind"]["name"] == "drill").collect()
    };
    let prefix = format!("name=wharf-{}-", world.app);
    until("a drill runs", || {
        drills().first().is_some_and(|job| job["outcome"].is_null())
            && !docker::docker(&["ps", "-q", "--filter", &prefix]).is_empty()
    });
    let slow = drills()[0]["job"].clone();
    // Who only looks is answered at once, and the drill goes on.
    let throwaway = docker::docker(&["ps", "-q", "--filter", &prefix]);
    world.deploy(&["--dry-run"]).exits(0);
    world.laptop.wharf(&["rollback", "--dry-run"]).exits(0);
    let running = drills().into_iter().find(|job| job["job"] == slow).expect("the drill is known");
    assert!(running["outcome"].is_null(), "a dry run leaves a drill alone: {running}");
    assert_eq!(docker::docker(&["ps", "-q", "--filter", &prefix]), throwaway);
    world.laptop.edit("wharf.toml", "\ncheck_sql = \"SELECT pg_sleep(600) IS NOT NULL\"", "");
    world.deploy(&[]).exits(0);
    let ended = drills().into_iter().find(|job| job["job"] == slow).expect("the drill is known");
    assert_eq!(ended["outcome"]["result"], "postponed", "{ended}");
    assert!(ended["outcome"].to_string().contains("gave way"), "{ended}");

    // And then, with nobody in its way, the release's restore point is proven.
    let releases = || world.laptop.wharf(&["releases", "--json"]).exits(0).json();
    until("v3 is proven", || releases()[0]["proof"]["state"] == "proven");
    assert!(status(&world).contains("last drill"), "{}", status(&world));
    assert!(!status(&world).contains("failed"), "giving way is no failure: {}", status(&world));
    assert!(drills().iter().all(|job| job["outcome"]["result"] != "failed"), "{:?}", drills());
    assert_eq!(docker::docker(&["ps", "-aq", "--filter", &prefix]), "");
    assert_eq!(world.workouts(), ["squats"]);
}
