//! Whatever fails after the first change, the old release serves again. Show 4 of the ship issue (R8, R9).

use wharf_tests::World;

/// Deploys, breaks something, deploys again; then everything must be as before.
#[track_caller]
fn fails_and_is_put_back(more: &str, breaks: impl Fn(&World), says: &str) {
    let world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    let (_, volumes, tree) = world.fingerprint();
    let database = world.container("db");

    world.write_config(more);
    breaks(&world);
    world.laptop.edit("backend/version.py", "1.0.0", "2.0.0");
    let ran = world.deploy(&[]).exits(1);
    assert!(ran.stderr.contains(says), "no {says:?} in:\n{}", ran.stderr);

    assert_eq!(world.backend_version(), "1.0.0");
    assert_eq!(world.workouts(), ["squats"]);
    assert_eq!(world.container("db"), database);
    let (_, volumes_after, tree_after) = world.fingerprint();
    assert_eq!(volumes_after, volumes);
    assert_eq!(tree_after, tree, "files or the env file differ from before");
    world.nothing_is_left(says);
}

#[test]
fn a_build_that_fails() {
    let breaks = |world: &World| {
        world.laptop.edit("backend/Dockerfile", "EXPOSE 8000", "RUN echo no luck >&2; exit 7")
    };
    fails_and_is_put_back("", breaks, "no luck");
}

#[test]
fn a_migration_that_fails() {
    let migrate =
        "[[migrate]]\nservice = \"backend\"\ncommand = [\"sh\", \"-c\", \"echo cannot migrate; exit 3\"]\n";
    fails_and_is_put_back(migrate, |_| (), "cannot migrate");
}

#[test]
fn a_container_that_crash_loops() {
    let breaks = |world: &World| {
        world.laptop.edit("backend/app.py", "app = Flask(__name__)", "raise SystemExit('gone')")
    };
    fails_and_is_put_back("", breaks, "backend");
}

#[test]
fn a_container_that_never_becomes_healthy() {
    let breaks = |world: &World| world.laptop.edit("backend/healthcheck.py", "!= 200", "!= 299");
    fails_and_is_put_back("", breaks, "unhealthy");
}

#[test]
fn a_probe_that_answers_500() {
    let breaks = |world: &World| {
        world.laptop.edit(
            "backend/app.py",
            "    return jsonify(version=VERSION)",
            "    return jsonify(version=VERSION), 500",
        );
        let config = world.laptop.read("wharf.toml");
        world.laptop.write("wharf.toml", config.replace("/health\"", "/api/version\""));
    };
    fails_and_is_put_back("", breaks, "500");
}
