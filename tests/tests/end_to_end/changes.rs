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

/// The image of `web` is what that of `api` is built from, by its name; Compose's order would be the other way round. `twin`
/// shares the build of `api`.
fn made_from_each_other() -> World {
    let world = World::with_project("promote");
    let label = format!("LABEL {}={}\n", docker::APP_LABEL, world.app);
    let compose = "services:\n  api:\n    build: ./api\n    restart: unless-stopped\n    stop_grace_period: 1s\n    \
                   ports: [\"127.0.0.1:${WEB_PORT}:8000\"]\n  twin:\n    build: ./api\n    restart: unless-stopped\n    \
                   stop_grace_period: 1s\n  web:\n    build: ./web\n    restart: unless-stopped\n    \
                   stop_grace_period: 1s\n";
    world.laptop.write("docker-compose.yml", compose);
    let serve = "WORKDIR /srv\nCOPY site.txt .\nCMD [\"python3\", \"-m\", \"http.server\", \"8000\"]\n";
    world.laptop.write("web/Dockerfile", format!("FROM wharf-base/python:3\n{serve}{label}"));
    world.laptop.write("web/site.txt", "one");
    world.laptop.write("api/Dockerfile", format!("FROM {}-web\nRUN cp site.txt copy.txt\n", world.project));
    world.write_config("");
    let config = world.laptop.read("wharf.toml");
    let config = config
        .replace("docker/docker-compose.prod.yml", "docker-compose.yml")
        .replace("[[postgres]]\nservice = \"db\"\n", "")
        .replace("[[bump]]\nfile = \"mobile/app.json\"\nwhen_changed = [\"mobile/**\"]\n", "")
        .replace("/health\"", "/copy.txt\"");
    world.laptop.write("wharf.toml", config);
    world
}

#[test]
fn an_image_that_is_built_from_another_services_is_built_on_the_new_one() {
    let mut world = made_from_each_other();
    let name = format!("{}-web", world.project);
    let base = || docker::docker(&["image", "inspect", "-f", "{{.Id}}", &name]);
    let served = |world: &World| http::get(world.web_port, "/copy.txt").map(|answer| answer.body);
    let serves = |text: &str| assert_eq!(served(&world).as_deref(), Some(text));
    let asked_for = format!("base image {name}");
    let first = world.deploy(&[]).exits(0);
    assert!(!first.stderr.contains(&asked_for), "a registry was asked: {}", first.stderr);
    serves("one");

    world.laptop.edit("web/site.txt", "one", "two");
    let plan = world.deploy(&["--dry-run"]).exits(0);
    assert!(plan.stdout.contains("made from an image that changes: web"), "{}", plan.stdout);
    let second = world.deploy(&["--pull"]).exits(0);
    assert!(!second.stderr.contains(&asked_for), "a registry was asked: {}", second.stderr);
    serves("two");
    let containers = docker::containers(&world.project);
    world.deploy(&[]).exits(0);
    assert_eq!(docker::containers(&world.project), containers, "nothing changed");

    let before = base();
    world.laptop.edit("web/site.txt", "two", "three");
    let dockerfile = world.laptop.read("api/Dockerfile");
    for (wrong, outcome) in [("RUN false\n", "build"), ("CMD [\"false\"]\n", "start")] {
        world.laptop.write("api/Dockerfile", format!("{dockerfile}{wrong}"));
        let failed = world.deploy(&[]);
        assert_ne!(failed.code, 0, "{}", failed.stderr);
        assert_eq!(base(), before, "{outcome}: {}", failed.stderr);
        serves("two");
        world.nothing_is_left(outcome);
    }
    world.laptop.write("api/Dockerfile", dockerfile);

    let running = docker::containers(&world.project);
    world.server.restart(&[("WHARFD_CRASH_AT", "build.named")]);
    let client = world.laptop.wharf_json(&["deploy", "--yes", "--accept-new-host-key"]);
    world.server.wait_for_death();
    client.kill();
    assert_ne!(base(), before, "the agent died before the name meant the new image");
    world.server.restart(&[]);
    assert_eq!((base(), docker::containers(&world.project)), (before, running));
    assert_eq!(served(&world).as_deref(), Some("two"));
    world.nothing_is_left("a crash while a name meant the new image");
    world.deploy(&[]).exits(0);
    assert_eq!(served(&world).as_deref(), Some("three"));
    world.nothing_is_left("all of it");
}
