//! Keeping house and keeping off: locks. Issue 4, "Operations" (R43).

use wharf_tests::{World, docker};

#[test]
fn a_locked_app_is_changed_by_nobody() {
    let mut world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    let open = world.laptop.wharf(&["lock", "--status"]).exits(0);
    assert!(open.stdout.contains("is not locked"), "{}", open.stdout);
    world.laptop.wharf(&["lock", "-m", "counting the\nstock"]).exits(0);
    let again = world.laptop.wharf(&["lock", "-m", "me too"]).exits(3);
    assert!(again.stderr.contains("counting the stock"), "{}", again.stderr);
    // Its owner may be gone, and the agent may have been started anew since.
    world.server.restart(&[]);
    let before = world.fingerprint();
    kept_back(&world);
    goes_on(&world);
    assert_eq!(world.fingerprint(), before);
    let lifted = world.laptop.wharf(&["unlock", "--json"]).exits(0).json();
    assert_eq!(
        (lifted[0]["locked"].as_bool(), lifted[0]["lock"]["reason"].as_str()),
        (Some(false), Some("counting the stock"))
    );
    world.laptop.wharf(&["unlock"]).exits(0);
    world.laptop.wharf(&["restart", "web"]).exits(0);
    let audit = world.laptop.wharf(&["audit"]).exits(0).stdout;
    assert!(audit.contains("counting the stock") && audit.contains("unlock"), "{audit}");
    waiting_in_line(&world);
    assert_eq!(world.workouts(), ["squats"]);
}

fn kept_back(world: &World) {
    let app = world.app.clone();
    for command in [
        &["deploy"][..],
        &["rollback", "v1", "--yes"],
        &["restart"],
        &["scale", "backend=2"],
        &["scale", "backend", "--reset"],
        &["secrets", "unset", "SECRET_KEY"],
        &["db", "password"],
        &["migrate", "up"],
    ] {
        let ran = world.laptop.wharf(command).exits(3);
        assert!(ran.stderr.contains(&format!("{app} is locked by ada@")), "{command:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("the reason given: counting the stock"), "{command:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("wharf unlock"), "{command:?}: {}", ran.stderr);
    }
}

fn goes_on(world: &World) {
    let status = world.laptop.wharf(&["status"]).exits(0).stdout;
    assert!(status.contains("locked by ada@") && status.contains("counting the stock"), "{status}");
    let status = world.laptop.wharf(&["status", "--json"]).exits(0).json();
    assert_eq!(status[0]["lock"]["reason"].as_str(), Some("counting the stock"));
    world.laptop.wharf(&["logs", "-n", "1"]).exits(0);
    world.laptop.wharf(&["backup", "create"]).exits(0);
    world.laptop.wharf(&["deploy", "--dry-run"]).exits(0);
    world.laptop.wharf(&["exec", "web", "true"]).exits(0);
}

/// Locked while it stands in line behind a job: it is refused when its turn comes, and the job goes on to its end.
fn waiting_in_line(world: &World) {
    let before = docker::containers(&world.project);
    world.laptop.edit("backend/version.py", "1.0.0", "2.0.0");
    let mut first = world.laptop.wharf_json(&["deploy"]);
    first.wait_for_step("build");
    let second = world.laptop.wharf_json(&["restart", "--lock-wait", "300"]);
    let told = world.laptop.wharf(&["lock"]).exits(0);
    assert!(told.stderr.contains("had begun and goes on"), "{}", told.stderr);
    assert_eq!(first.finish(), 0);
    assert_eq!(second.finish(), 3);
    assert_eq!(world.backend_version(), "2.0.0");
    assert_ne!(docker::containers(&world.project), before);
    world.laptop.wharf(&["unlock"]).exits(0);
}
