//! A stack that its owner started by hand. Show 13 of the ship issue.

use wharf_tests::{World, docker};

/// Starts the project by hand, as its owner would; the project's name is what Compose makes of the folder.
fn started_by_hand(world: &World, folder: &str) {
    wharf_tests::tree::copy(&world.laptop.project, &world.app_dir);
    std::fs::remove_file(world.app_dir.join("wharf.toml")).expect("a file of the test's");
    let file = world.app_dir.join(folder).join("docker-compose.prod.yml");
    let env = world.app_dir.join(".env.prod");
    docker::docker(&[
        "compose",
        "-f",
        file.to_str().expect("UTF-8"),
        "--env-file",
        env.to_str().expect("UTF-8"),
        "up",
        "-d",
        "--build",
        "--wait",
    ]);
}

#[test]
fn a_stack_that_runs_is_taken_over_with_its_name_volume_and_rows() {
    let mut world = World::fitnessapp();
    // Compose names the project after the folder: one that no other test has.
    let folder = format!("docker-{}", world.app);
    std::fs::rename(world.laptop.project.join("docker"), world.laptop.project.join(&folder))
        .expect("a folder of the test's");
    let config = world.laptop.read("wharf.toml");
    let project_line = format!("project = \"{}\"\n", world.app);
    world
        .laptop
        .write("wharf.toml", config.replace("\"docker/", &format!("\"{folder}/")).replace(&project_line, ""));
    started_by_hand(&world, &folder);
    world.project.clone_from(&folder);
    world.add_workout("squats");
    let database = world.container("db");
    let volumes = docker::volumes(&folder);
    let old = docker::docker(&["inspect", "-f", "{{.Image}}", &world.container("backend")]);
    std::fs::write(world.app_dir.join("notes.txt"), "the owner's").expect("a file of the test's");

    world.laptop.edit("backend/version.py", "1.0.0", "2.0.0");
    world.laptop.write("backend/new.txt", "new");
    world.deploy(&[]).exits(0);
    assert_eq!(world.backend_version(), "2.0.0");
    assert_eq!(world.workouts(), ["squats"]);
    assert_eq!(docker::volumes(&folder), volumes);
    assert_eq!(world.container("db"), database);
    let releases = world.laptop.wharf(&["releases", "--json"]).exits(0).json();
    assert_eq!(releases.len(), 2, "{releases:?}");

    world.laptop.wharf(&["rollback", "v0", "--yes"]).exits(0);
    assert_eq!(world.backend_version(), "1.0.0");
    assert_eq!(docker::docker(&["inspect", "-f", "{{.Image}}", &world.container("backend")]), old);
    assert!(!world.app_dir.join("backend/new.txt").exists());
    assert_eq!(std::fs::read(world.app_dir.join("notes.txt")).expect("the note"), b"the owner's");
    assert_eq!(world.workouts(), ["squats"]);
    assert_eq!(world.container("db"), database);
    world.nothing_is_left("adoption and the way back");
}
