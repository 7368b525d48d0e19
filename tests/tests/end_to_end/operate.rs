//! Operating what runs: restarts, scaling, and what of it lasts. Issue 4, "Operations" (R33, R35).

use wharf_tests::{Laptop, World, docker, tree};

#[test]
fn what_runs_is_operated_without_a_release() {
    let mut world = World::fitnessapp();
    let none = world.laptop.wharf(&["restart", "--accept-new-host-key"]).exits(2);
    assert!(none.stderr.contains("knows no app"), "{}", none.stderr);
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    let volumes = docker::volumes(&world.project);
    restarted(&world);
    refused(&world);
    scaled_for_good(&world);
    put_back(&mut world);
    scaled_no_more(&world);
    keys(&world);
    assert_eq!(world.workouts(), ["squats"]);
    assert_eq!(docker::volumes(&world.project), volumes);
}

fn started(world: &World, service: &str) -> String {
    docker::docker(&["inspect", "-f", "{{.State.StartedAt}}", &world.container(service)])
}

fn restarted(world: &World) {
    let before = docker::containers(&world.project);
    let (db, backend) = (started(world, "db"), started(world, "backend"));
    let lines = world.laptop.wharf(&["restart", "backend", "--json"]).exits(0).json();
    let last = lines.last().expect("a line");
    assert_eq!(
        (last["result"].as_str(), last["summary"].as_str()),
        (Some("done"), Some("restarted: backend"))
    );
    assert_eq!(docker::containers(&world.project), before);
    assert_eq!(started(world, "db"), db);
    assert_ne!(started(world, "backend"), backend);
    let told = world.laptop.wharf(&["restart"]).exits(0).stderr;
    let at = |what: &str| told.find(what).unwrap_or_else(|| panic!("{what} in {told}"));
    assert!(at("db-1 was restarted") < at("backend-1 was restarted"), "{told}");
    assert!(at("backend-1 was restarted") < at("web-1 was restarted"), "{told}");
    assert_ne!(started(world, "db"), db);
    assert_eq!(docker::containers(&world.project), before);
    let unknown = world.laptop.wharf(&["restart", "nosuch"]).exits(2);
    assert!(unknown.stderr.contains("backend, db, web"), "{}", unknown.stderr);
    let jobs = world.laptop.wharf(&["jobs"]).exits(0).stdout;
    assert!(jobs.contains("restart backend"), "{jobs}");
}

fn refused(world: &World) {
    let before = world.fingerprint();
    let says = |arguments: &[&str], code, text: &str| {
        let ran = world.laptop.wharf(arguments).exits(code);
        assert!(ran.stderr.contains(text), "{text} in {}", ran.stderr);
    };
    says(&["scale", "web=2"], 3, "one container alone can have");
    says(&["scale", "db=2"], 3, "two servers on it would destroy it");
    says(&["scale", "db=0"], 3, "cannot have 0 containers");
    says(&["scale", "nosuch=2"], 2, "backend, db, web");
    says(&["scale", "backend=101"], 2, "at most 100");
    says(&["scale", "backend", "--memory", "5m"], 2, "at least 6 MiB");
    says(&["scale", "backend"], 2, "nothing is said of backend");
    says(&["scale", "--memory", "5m"], 2, "no service was named");
    assert_eq!(world.fingerprint(), before);
    let none = world.laptop.wharf(&["scale"]).exits(0);
    assert!(none.stderr.contains("as the Compose files say"), "{}", none.stderr);
}

/// The memory limits of a service's containers, in MiB.
fn limits(world: &World, service: &str) -> Vec<u64> {
    let project = format!("label=com.docker.compose.project={}", world.project);
    let service = format!("label=com.docker.compose.service={service}");
    let ids = docker::docker(&["ps", "-q", "--filter", &project, "--filter", &service]);
    let of = |id: &str| docker::docker(&["inspect", "-f", "{{.HostConfig.Memory}}", id]);
    ids.lines().map(|id| of(id).parse::<u64>().expect("a number") >> 20).collect()
}

fn scaled_for_good(world: &World) {
    let before = docker::containers(&world.project);
    world.laptop.wharf(&["scale", "backend=2", "--memory", "256m"]).exits(0);
    assert_eq!(limits(world, "backend"), [256, 256]);
    world.laptop.wharf(&["scale", "db", "--memory", "512m"]).exits(0);
    assert_eq!(limits(world, "db"), [512]);
    let after = docker::containers(&world.project);
    assert!(before.iter().all(|id| after.contains(id)), "a container was made anew");
    let listed = world.laptop.wharf(&["scale"]).exits(0).stdout;
    assert!(listed.contains("backend  2") && listed.contains("256 MiB"), "{listed}");
    // A restart takes one after the other, and keeps the limits.
    world.laptop.wharf(&["restart", "backend"]).exits(0);
    // What builds on it changes alone: `docker compose up web` would bring the backend back to one.
    world.laptop.edit("nginx/nginx.conf", "server {", "server { # changed");
    world.deploy(&[]).exits(0);
    assert_eq!(limits(world, "backend"), [256, 256]);
    world.laptop.edit("backend/version.py", "1.0.0", "2.0.0");
    world.deploy(&[]).exits(0);
    assert_eq!(limits(world, "backend"), [256, 256]);
    assert_eq!((limits(world, "db"), world.backend_version()), (vec![512], "2.0.0".to_owned()));
    world.laptop.wharf(&["rollback", "v1", "--yes"]).exits(0);
    assert_eq!((limits(world, "backend"), world.backend_version()), (vec![256, 256], "1.0.0".to_owned()));
    plain_compose_recreates_nothing(world);
}

/// The owner's own `docker compose up` knows the files alone: it takes the second container away and touches no other.
fn plain_compose_recreates_nothing(world: &World) {
    let before = docker::containers(&world.project);
    world.plain_compose_up(&[]);
    let after = docker::containers(&world.project);
    assert!(after.len() + 1 == before.len() && after.iter().all(|id| before.contains(id)));
    assert_eq!((limits(world, "backend"), limits(world, "db")), (vec![256], vec![512]));
    world.laptop.wharf(&["scale", "backend=2"]).exits(0);
    assert_eq!(limits(world, "backend"), [256, 256]);
}

fn put_back(world: &mut World) {
    let scales = || world.laptop.wharf(&["scale", "--json"]).exits(0).stdout;
    let (before, listed) = (docker::containers(&world.project), scales());
    // The database takes more than that already, or is killed for it.
    let ran = world.laptop.wharf(&["scale", "db", "--memory", "6m"]).exits(1);
    assert_eq!((limits(world, "db"), scales()), (vec![512], listed.clone()), "{}", ran.stderr);
    // And the agent dies within.
    world.server.is_killed_at("scale.inside", None, &world.laptop, &["scale", "backend=3"]);
    let scales = world.laptop.wharf(&["scale", "--json"]).exits(0).stdout;
    assert_eq!((docker::containers(&world.project), scales), (before, listed));
}

fn scaled_no_more(world: &World) {
    // Without a web server nobody answers for the app.
    let config = world.laptop.read("wharf.toml");
    let url = format!("url = \"http://127.0.0.1:{}/health\"\n", world.web_port);
    let without = config.replace(&format!("[[health]]\n{url}within_seconds = 10\n"), "");
    assert_ne!(without, config);
    world.laptop.write("wharf.toml", without);
    world.deploy(&[]).exits(0);
    let shown = || world.laptop.wharf(&["status"]).exits(0).stdout;
    world.laptop.wharf(&["scale", "web=0"]).exits(0);
    assert!(shown().lines().any(|line| line.trim().starts_with("web      scaled to 0")), "{}", shown());
    let status = world.laptop.wharf(&["status", "--json"]).exits(0).json();
    assert_eq!(status[0]["scaled_to_zero"], serde_json::json!(["web"]));
    // One that is gone from the Compose files is not told of, and what is set for it can be forgotten.
    let compose = world.laptop.read("docker/docker-compose.prod.yml");
    let (others, rest) = compose.split_once("\n  web:\n").expect("a web server");
    let (_, volumes) = rest.split_once("\nvolumes:\n").expect("volumes at the end");
    world.laptop.write("docker/docker-compose.prod.yml", format!("{others}\nvolumes:\n{volumes}"));
    world.deploy(&[]).exits(0);
    assert!(!shown().contains("scaled to 0"), "{}", shown());
    let web = || world.laptop.wharf(&["scale"]).exits(0).stdout.contains("web");
    assert!(web());
    world.laptop.wharf(&["scale", "web=1", "--reset"]).exits(2);
    world.laptop.wharf(&["scale", "web", "--reset"]).exits(0);
    assert!(!web());
    world.laptop.write("docker/docker-compose.prod.yml", &compose);
    world.deploy(&[]).exits(0);
    assert!(!shown().contains("scaled to 0"), "{}", shown());
    world.laptop.wharf(&["scale", "backend", "db", "--reset"]).exits(0);
    assert_eq!((limits(world, "backend"), limits(world, "db")), (vec![0], vec![0]));
    let none = world.laptop.wharf(&["scale"]).exits(0);
    assert!(none.stderr.contains("as the Compose files say"), "{}", none.stderr);
}

/// The agent's own `authorized_keys`: the last admin stays, and a key does what it was let in for.
fn keys(world: &World) {
    let other = Laptop::new(&world.server.folder.join("other"));
    let public = other.folder.join("id_ed25519.pub").display().to_string();
    let private = other.key().display().to_string();
    let listed = || world.laptop.wharf(&["keys", "list", "--json"]).exits(0).json();
    let before = listed();
    assert_eq!((before.len(), before[0]["role"].as_str()), (1, Some("admin")));
    let last = world.laptop.wharf(&["keys", "remove", "tester@laptop"]).exits(3);
    assert!(last.stderr.contains("the last key that may do everything"), "{}", last.stderr);
    let wrong = world.laptop.wharf(&["keys", "add", &private, "--role", "read"]).exits(2);
    assert!(wrong.stderr.contains("is a private key: nothing was sent"), "{}", wrong.stderr);
    world.laptop.wharf(&["keys", "add", &public, "--role", "read", "--name", "other"]).exits(0);
    // It may look, and no more.
    tree::copy(&world.laptop.project, &other.project);
    let config = world.laptop.read("wharf.toml");
    other.write("wharf.toml", config.replace(&world.laptop.key().display().to_string(), &private));
    other.wharf(&["status", "--accept-new-host-key"]).exits(0);
    let denied = other.wharf(&["restart"]);
    assert!(denied.stderr.contains("it has the role read, and operate is needed"), "{}", denied.stderr);
    assert!(other.wharf(&["keys", "list"]).stderr.contains("admin is needed"));
    world.laptop.wharf(&["keys", "remove", "other"]).exits(0);
    other.wharf(&["status"]).exits(4);
    assert_eq!(listed(), before);
    let audit = world.laptop.wharf(&["audit", "--all"]).exits(0).stdout;
    assert!(audit.contains("keys add SHA256:") && audit.contains("keys remove SHA256:"), "{audit}");
}
