//! `wharf init --yes` gives a configuration that deploys without an edit (Show 8 of the operate issue, its first shape).

use wharf_tests::{World, http};

#[test]
fn what_init_writes_for_the_example_deploys_as_it_is() {
    let world = World::fitnessapp();
    let laptop = &world.laptop;
    std::fs::remove_file(laptop.project.join("wharf.toml")).expect("the world wrote it");
    // What a person has by then: a key where ssh looks for it, a project with a name, and the port in the example.
    std::fs::create_dir(laptop.folder.join(".ssh")).expect("a folder of the test's");
    std::fs::copy(laptop.key(), laptop.folder.join(".ssh/id_ed25519")).expect("a key of the test's");
    let named = format!("name: {}\nservices:\n  db:", world.app);
    laptop.edit("docker/docker-compose.prod.yml", "services:\n  db:", &named);
    laptop.edit(".env.prod.example", "WEB_PORT=8080", &format!("WEB_PORT={}", world.web_port));

    let server = format!("tester@{}", world.server.address);
    let path = world.app_dir.display().to_string();
    let init = ["init", "--yes", "--server", &server, "--path", &path];
    let ran = laptop.wharf(&init).exits(0);
    assert!(ran.stderr.contains("Health: http://127.0.0.1:"), "{}", ran.stderr);
    let written = laptop.read("wharf.toml");

    world.deploy(&[]).exits(0);
    assert_eq!(http::get(world.web_port, "/health").map(|answer| answer.status), Some(200));
    world.add_workout("squats");

    // The front end that it found is bumped, the database that it found is dumped.
    laptop.edit("mobile/src/App.js", "\n", "\n// changed\n");
    world.deploy(&[]).exits(0);
    assert_eq!((world.frontend_version().as_str(), world.workouts()), ("1.0.2", vec!["squats".to_owned()]));
    let backups = laptop.wharf(&["backup", "list", "--json"]).exits(0).json();
    assert!(backups.iter().any(|backup| backup["databases"][0]["service"] == "db"), "{backups:?}");

    laptop.wharf(&["init", "--yes"]).exits(0);
    assert_eq!(laptop.read("wharf.toml"), written, "a second init changed the file");
}
