//! The main job: ship, change, ship again. Shows 1, 2 and 3 of the ship issue (R1, R2, R5, R6, R8, R30).

use wharf_tests::{World, docker, http};

#[test]
fn a_second_ship_keeps_the_row_and_the_database_container() {
    let world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    assert_eq!(world.backend_version(), "1.0.0");
    world.add_workout("squats");
    let database = world.container("db");
    let web = world.container("web");

    world.laptop.edit("backend/version.py", "1.0.0", "1.1.0");
    let app_json = world.laptop.read("mobile/app.json");
    world.deploy(&["-m", "a newer back end"]).exits(0);

    assert_eq!(world.backend_version(), "1.1.0");
    assert_eq!(world.workouts(), ["squats"]);
    assert_eq!(world.container("db"), database, "the database's container was recreated");
    assert_eq!(world.container("web"), web, "an unchanged service was recreated");
    assert_eq!(world.laptop.read("mobile/app.json"), app_json);
    let releases = world.laptop.wharf(&["releases", "--json"]).exits(0).json();
    assert_eq!(releases.len(), 2, "{releases:?}");
    world.nothing_is_left("two deploys");
}

#[test]
fn a_changed_front_end_bumps_only_the_version_s_bytes() {
    let world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    assert_eq!(world.frontend_version(), "1.0.1");
    let before = world.laptop.read("mobile/app.json");

    world.laptop.edit("mobile/src/App.js", "\n", "\n// changed\n");
    world.deploy(&[]).exits(0);
    assert_eq!(
        world.laptop.read("mobile/app.json"),
        before.replace("\"version\": \"1.0.1\"", "\"version\": \"1.0.2\"")
    );
    assert_eq!(world.frontend_version(), "1.0.2");

    // Raised by hand: not raised twice.
    world.laptop.edit("mobile/src/App.js", "// changed", "// changed again");
    world.laptop.edit("mobile/app.json", "\"version\": \"1.0.2\"", "\"version\": \"1.4.0\"");
    world.deploy(&[]).exits(0);
    assert_eq!(world.frontend_version(), "1.4.0");

    // A client that does not bump is refused by the agent.
    world.laptop.edit("mobile/src/App.js", "// changed again", "// changed once more");
    let containers = docker::containers(&world.app);
    let refused = world.deploy(&["--bump", "none"]).exits(3);
    assert!(refused.stderr.contains("1.4.0"), "{}", refused.stderr);
    assert_eq!(docker::containers(&world.app), containers);
    assert_eq!(world.frontend_version(), "1.4.0");
}

#[test]
fn only_what_changed_is_built_and_rebuild_builds_all() {
    let world = World::fitnessapp();
    let stamp = "COPY . .\nRUN date +%N > /stamp";
    world.laptop.edit("backend/Dockerfile", "COPY . .", stamp);
    world.laptop.edit("mobile/Dockerfile", "COPY . .", stamp);
    world.deploy(&[]).exits(0);
    let stamp = |service: &str| docker::docker(&["exec", &world.container(service), "cat", "/stamp"]);
    let (backend, web) = (stamp("backend"), stamp("web"));
    let web_container = world.container("web");

    world.laptop.edit("backend/version.py", "1.0.0", "1.1.0");
    world.deploy(&[]).exits(0);
    assert_ne!(stamp("backend"), backend, "a changed service kept a cached layer");
    assert_eq!(world.container("web"), web_container);
    assert_eq!(stamp("web"), web);

    let backend = stamp("backend");
    world.deploy(&["--rebuild"]).exits(0);
    assert_ne!(stamp("backend"), backend);
    assert_ne!(stamp("web"), web);
    world.nothing_is_left("building all");
}

#[test]
fn a_first_ship_makes_a_backup_of_what_there_is_and_says_that_there_is_no_database_yet() {
    let world = World::fitnessapp();
    // What the project itself asks before a ship comes first, and may be skipped with a record.
    for (rule, says) in [
        ("[git]\nclean = true\n", "git says nothing"),
        ("[[check]]\ncommand = [\"sh\", \"-c\", \"pwd >&2; exit 7\"]\nfolder = \"mobile\"\n", "exit code 7"),
    ] {
        world.write_config(rule);
        let refused = world.deploy(&[]).exits(3);
        assert!(refused.stderr.contains(says) && refused.stderr.contains("--force"), "{}", refused.stderr);
        assert_eq!(docker::containers(&world.app), <[String; 0]>::default());
    }
    let first = world.deploy(&["--force"]).exits(0);
    assert!(first.stderr.contains("checks were skipped"), "{}", first.stderr);
    let audit = world.laptop.wharf(&["audit", "--json"]).exits(0).stdout;
    assert!(audit.contains("deploy v1 --force"), "{audit}");
    world.write_config("[[check]]\ncommand = [\"test\", \"-f\", \"app.json\"]\nfolder = \"mobile\"\n");
    assert!(first.stderr.contains("no database yet"), "{}", first.stderr);
    assert_eq!(http::get(world.web_port, "/health").map(|a| a.status), Some(200));
    let second = world.deploy(&["--rebuild"]).exits(0);
    assert!(second.stderr.contains("db"), "{}", second.stderr);
}
