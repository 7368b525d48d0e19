//! The agent dies, and one whole release serves. Show 6 of the ship issue (R9, R12).

use wharf_tests::{World, crash, docker, http};

/// Where the agent is killed: every boundary of every step, and inside those that change things.
const POINTS: &[&str] = &[
    "plan.before",
    "plan.after",
    "back_up.before",
    "back_up.inside",
    "back_up.after",
    "build.before",
    "build.inside",
    "build.after",
    "apply.before",
    "apply.inside",
    "apply.after",
    "migrate.before",
    "migrate.inside",
    "migrate.after",
    "start.before",
    "start.inside",
    "start.after",
    "verify.before",
    "verify.after",
    "commit.before",
    "commit.after",
    "prune.before",
    "prune.after",
];

/// What runs in CI: one point of each kind. `scripts/test --long` runs all.
const SAMPLE: &[&str] =
    &["build.inside", "apply.inside", "migrate.inside", "start.inside", "commit.before", "commit.after"];

const DEPLOY: &[&str] = &["deploy", "--yes", "--accept-new-host-key"];

#[test]
fn the_agent_dies_anywhere_and_one_release_serves_wholly() {
    let mut world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    world.write_config(
        "[[migrate]]\nservice = \"backend\"\ncommand = [\"true\"]\n\
         [[migrate]]\nservice = \"db\"\nfolder = \"migrations\"\n",
    );
    let points = crash::points(POINTS, SAMPLE);
    let mut backend = "1.0.0".to_owned();
    for (number, point) in points.iter().enumerate() {
        println!("killing the agent at {point}");
        let next = format!("2.0.{number}");
        world.laptop.edit("backend/version.py", &backend, &next);
        // One that was applied before the agent died would fail if it were run again.
        world.laptop.write(
            &format!("migrations/{number:03}.sql"),
            format!("CREATE TABLE migrated_{number} (id int);"),
        );
        let before = wharf_tests::tree::read(&world.app_dir);
        world.server.is_killed_at(point, None, &world.laptop, DEPLOY);

        let serves = world.backend_version();
        let tree = wharf_tests::tree::read(&world.app_dir);
        let version_on_disk =
            String::from_utf8_lossy(&tree[std::path::Path::new("backend/version.py")].1).into_owned();
        assert!(version_on_disk.contains(&serves), "{point}: files of one release, containers of another");
        if serves != next {
            assert_eq!(tree, before, "{point}: not everything was put back");
        }
        assert_eq!(world.workouts(), ["squats"], "{point}");
        world.nothing_is_left(point);
        backend = next;
    }
    world.laptop.edit("backend/version.py", &backend, "3.0.0");
    world.deploy(&[]).exits(0);
    assert_eq!(world.backend_version(), "3.0.0");
    let migrations = world.laptop.wharf(&["migrate", "status"]).exits(0).stdout;
    assert_eq!(migrations.matches("applied").count(), points.len(), "{migrations}");
    assert_eq!(world.workouts(), ["squats"]);
    world.nothing_is_left("all of it");
}

#[test]
fn the_agent_dies_while_it_puts_back_and_goes_on_with_it() {
    let mut world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    world.laptop.edit("backend/healthcheck.py", "!= 200", "!= 299");
    world.laptop.edit("backend/version.py", "1.0.0", "2.0.0");
    let before = wharf_tests::tree::read(&world.app_dir);
    let points: &[&str] = if wharf_tests::long() {
        &["put_back.before", "put_back.inside", "put_back.after"]
    } else {
        &["put_back.inside"]
    };
    for point in points {
        world.server.is_killed_at(point, None, &world.laptop, DEPLOY);
        assert_eq!(world.backend_version(), "1.0.0", "{point}");
        assert_eq!(wharf_tests::tree::read(&world.app_dir), before, "{point}");
        assert_eq!(world.workouts(), ["squats"], "{point}");
        world.nothing_is_left(point);
    }
}

#[test]
fn a_first_deploy_that_is_killed_leaves_nothing_and_the_next_succeeds() {
    let mut world = World::fitnessapp();
    world.server.is_killed_at("start.after", None, &world.laptop, DEPLOY);
    assert_eq!(docker::containers(&world.app), Vec::<String>::new());
    world.nothing_is_left("a first deploy that was killed");
    world.deploy(&[]).exits(0);
    assert_eq!(http::get(world.web_port, "/health").map(|answer| answer.status), Some(200));
}
