//! What Compose itself would not notice. Show 14 of the ship issue (R6).

use wharf_tests::{World, docker, http};

#[test]
fn a_changed_mounted_file_and_a_changed_config_reach_the_container() {
    let world = World::fitnessapp();
    world.laptop.edit(
        "docker/docker-compose.prod.yml",
        "    depends_on:\n      backend:",
        "    configs:\n      - source: motd\n        target: /etc/motd\n    depends_on:\n      backend:",
    );
    world.laptop.edit(
        "docker/docker-compose.prod.yml",
        "\nvolumes:\n",
        "\nconfigs:\n  motd:\n    file: ../motd.txt\n\nvolumes:\n",
    );
    world.laptop.write("motd.txt", "first");
    world.deploy(&[]).exits(0);
    let backend = world.container("backend");
    let motd = || docker::docker(&["exec", &world.container("web"), "cat", "/etc/motd"]);
    assert_eq!(motd(), "first");

    world.laptop.edit(
        "nginx/nginx.conf",
        "server {",
        "server {\n        location = /changed { return 204; }",
    );
    world.deploy(&[]).exits(0);
    assert_eq!(http::get(world.web_port, "/changed").map(|answer| answer.status), Some(204));
    assert_eq!(world.container("backend"), backend, "a service that does not mount the file was recreated");

    world.laptop.write("motd.txt", "second");
    world.deploy(&[]).exits(0);
    assert_eq!(motd(), "second");
    assert_eq!(world.container("backend"), backend);
}

#[test]
fn a_base_image_tagged_anew_is_used() {
    let world = World::fitnessapp();
    let base = format!("{}-base:1", world.app);
    docker::docker(&["tag", "wharf-base/python:3", &base]);
    world.write_env(&world.env().replace("wharf-base/python:3", &base));
    world.deploy(&[]).exits(0);
    let backend = world.container("backend");
    world.deploy(&["--pull"]).exits(0);
    assert_eq!(world.container("backend"), backend, "nothing changed, but the container was recreated");

    let folder = world.server.folder.join("image");
    std::fs::create_dir_all(&folder).expect("a folder of the test's");
    std::fs::write(folder.join("Dockerfile"), "FROM wharf-base/python:3\nRUN echo newer > /newer\n")
        .expect("a file of the test's");
    docker::docker(&["build", "-q", "-t", &base, folder.to_str().expect("UTF-8")]);
    world.deploy(&["--pull"]).exits(0);
    assert_eq!(docker::docker(&["exec", &world.container("backend"), "cat", "/newer"]), "newer");
    world.nothing_is_left("a newer base image");
}

#[test]
fn a_dry_run_tells_the_plan_and_changes_nothing() {
    let world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    world.laptop.edit("backend/version.py", "1.0.0", "2.0.0");
    world.laptop.edit("mobile/src/App.js", "\n", "\n// changed\n");
    let app_json = world.laptop.read("mobile/app.json");
    let before = world.fingerprint();
    let plan = world.deploy(&["--dry-run"]).exits(0);
    for told in ["v2", "backend", "pgdata", "1.0.2"] {
        assert!(plan.stdout.contains(told), "no {told} in:\n{}", plan.stdout);
    }
    assert_eq!(world.fingerprint(), before);
    assert_eq!(world.laptop.read("mobile/app.json"), app_json);
    world.nothing_is_left("a dry run");
    assert_eq!(world.laptop.wharf(&["releases", "--json"]).exits(0).json().len(), 1);
}
