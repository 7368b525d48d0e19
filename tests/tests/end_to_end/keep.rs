//! Locks, apps that leave, and what a server keeps. Issue 4, "Operations" (R43).

use wharf_tests::{Registry, World, await_that, docker, registry};

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
    assert!(status.contains("by ada@") && status.contains("counting the stock"), "{status}");
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

/// What `wharf forget` must not touch: containers, volumes, the folder with the env file.
fn stays(world: &World) -> (Vec<String>, Vec<String>, wharf_tests::tree::Tree) {
    let containers = docker::containers(&world.project);
    (containers, docker::volumes(&world.project), wharf_tests::tree::read(&world.app_dir))
}

fn images_of_releases(world: &World) -> Vec<String> {
    let names = docker::docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
    let ours = format!("{}-", world.app);
    let is_pin = |name: &&str| {
        name.starts_with(&ours) && name.rsplit(':').next().is_some_and(|tag| tag.starts_with('v'))
    };
    names.lines().filter(is_pin).map(str::to_owned).collect()
}

fn files_below(folder: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let count = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => files_below(&entry.path()),
        _ => 1,
    };
    entries.flatten().map(count).sum()
}

#[test]
fn an_app_leaves_wharf_and_its_data_stays() {
    let mut world = World::fitnessapp();
    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    world.laptop.edit("backend/version.py", "1.0.0", "2.0.0");
    world.deploy(&[]).exits(0);
    world.laptop.wharf(&["scale", "backend", "--memory", "256m"]).exits(0);
    let before = stays(&world);
    let backups = world.laptop.wharf(&["backup", "list", "--json"]).exits(0).json();
    assert!(!backups.is_empty() && !images_of_releases(&world).is_empty());
    refused_to_forget(&world);

    // Killed before anything went: the app is known as before.
    world.server.is_killed_at("leave.before", None, &world.laptop, &["forget", "--yes"]);
    assert_eq!(world.laptop.wharf(&["releases", "--json"]).exits(0).json().len(), 2);
    assert_eq!(world.laptop.wharf(&["scale", "--json"]).exits(0).json().len(), 1);

    // Killed half-way: it goes on when the agent starts again.
    world.server.restart(&[("WHARFD_CRASH_AT", "leave.inside")]);
    let client = world.laptop.wharf_json(&["forget", "--yes"]);
    world.server.wait_for_death();
    world.server.restart(&[]);
    assert_eq!(client.finish(), 0, "whoever watched was told of the end");
    forgotten(&world);
    assert_eq!(stays(&world), before);
    assert_eq!(world.workouts(), ["squats"]);
    plain_compose_recreates_nothing(&world);

    // And back: what runs is taken over, the backups are known, numbers go on.
    world.laptop.edit("backend/version.py", "2.0.0", "3.0.0");
    world.deploy(&[]).exits(0);
    let releases = world.laptop.wharf(&["releases"]).exits(0).stdout;
    assert!(releases.contains("v0") && releases.contains("adopted") && releases.contains("v3"), "{releases}");
    assert_eq!((world.backend_version(), world.workouts()), ("3.0.0".to_owned(), vec!["squats".to_owned()]));
    let known = world.laptop.wharf(&["backup", "list", "--json"]).exits(0).json();
    assert!(backups.iter().all(|backup| known.iter().any(|other| other["id"] == backup["id"])));
    let audit = world.laptop.wharf(&["audit"]).exits(0).stdout;
    assert!(audit.contains("left Wharf"), "{audit}");
}

fn refused_to_forget(world: &World) {
    let nobody = world.laptop.wharf(&["forget"]).exits(2);
    assert!(nobody.stderr.contains("confirm it with --yes"), "{}", nobody.stderr);
    world.laptop.wharf(&["lock", "-m", "not now"]).exits(0);
    let locked = world.laptop.wharf(&["forget", "--yes"]).exits(3);
    assert!(locked.stderr.contains("not now"), "{}", locked.stderr);
    world.laptop.wharf(&["unlock"]).exits(0);
}

fn forgotten(world: &World) {
    let none = world.laptop.wharf(&["releases"]).exits(2);
    assert!(none.stderr.contains("knows no app"), "{}", none.stderr);
    assert_eq!(images_of_releases(world), Vec::<String>::new());
    let state = world.server.folder.join("state");
    assert_eq!(files_below(&state.join("blobs")), 0, "content of its releases");
    assert_eq!(files_below(&state.join("jobs")), 1, "the log of the job itself");
    let of_app = state.join("apps").join(&world.app);
    for kept in ["backups", "backups.key", "backups.key.recovery"] {
        assert!(of_app.join(kept).exists(), "{kept}");
    }
    assert!(!of_app.join("recovery.json").exists());
}

fn plain_compose_recreates_nothing(world: &World) {
    let before = docker::containers(&world.project);
    world.plain_compose_up(&[]);
    assert_eq!(docker::containers(&world.project), before);
}

/// Retention is killed before and after the repository was pruned: what was to go goes in the end, and what stays is whole.
#[test]
fn backups_are_forgotten_wholly_when_the_agent_dies_meanwhile() {
    let mut world = World::fitnessapp();
    world.write_config("[backup]\nkeep = { last = 1 }\ndrill = \"off\"\n");
    world.deploy(&[]).exits(0);
    for point in ["forget.before", "forget.inside"] {
        world.laptop.wharf(&["backup", "create"]).exits(0);
        world.laptop.wharf(&["backup", "create"]).exits(0);
        let goes = forgettable(&world);
        assert!(!goes.is_empty(), "{point}");
        world.server.is_killed_at(point, None, &world.laptop, &["backup", "prune"]);
        world.laptop.wharf(&["backup", "prune"]).exits(0);
        let left = world.laptop.wharf(&["backup", "list", "--json"]).exits(0).json();
        assert!(left.iter().all(|backup| !goes.contains(&backup["id"].to_string())), "{point}: {left:?}");
        assert_eq!(forgettable(&world), Vec::<String>::new(), "{point}");
        world.laptop.wharf(&["backup", "verify"]).exits(0);
        world.nothing_is_left(point);
    }
}

/// The backups that retention lets go.
fn forgettable(world: &World) -> Vec<String> {
    let plan = world.laptop.wharf(&["backup", "prune", "--dry-run", "--json"]).exits(0).json();
    let forget = plan[0]["forget"].as_array().expect("a list");
    forget.iter().map(|backup| backup["backup"].to_string()).collect()
}

/// A base image and a service's image from a registry that lets nobody in without a password.
#[test]
fn private_images_are_pulled_by_a_login_that_nobody_sees() {
    let mut world = World::fitnessapp();
    std::fs::write(world.server.folder.join("wharfd.toml"), "[house]\nimages = true\n")
        .expect("a file of the test's");
    world.server.restart(&[]);
    let folder = world.server.folder.join("registry");
    let mut private = Registry::start(&folder);
    let python = private.push("wharf-base/python:3", "team/python:3", &folder.join("pusher"));
    let postgres = private.push("wharf-base/postgres:17", "team/postgres:17", &folder.join("pusher"));
    let env =
        world.env().replace("wharf-base/python:3", &python).replace("wharf-base/postgres:17", &postgres);
    world.write_env(&env);
    let refused = world.deploy(&[]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains(&format!("wharf registry login {}", private.host)), "{}", refused.stderr);

    let host = private.host.as_str();
    let login = ["registry", "login", host, "-u", registry::USER];
    let wrong = world.laptop.wharf_reading(&login, "planted-wrong-password\n").exits(3);
    assert!(wrong.stderr.contains(&format!("{host} does not let ada in")), "{}", wrong.stderr);
    let nobody = world.laptop.wharf_reading(&["registry", "login", "127.0.0.1:1", "-u", "ada"], "x").exits(1);
    assert!(nobody.stderr.contains("cannot ask the registry"), "{}", nobody.stderr);
    assert!(world.laptop.wharf(&["registry", "list"]).exits(0).stdout.is_empty());
    world.laptop.wharf_reading(&login, &format!("{}\n", registry::PASSWORD)).exits(0);
    let listed = world.laptop.wharf(&["registry", "list", "--json"]).exits(0).json();
    assert_eq!((listed[0]["host"].as_str(), listed[0]["user"].as_str()), (Some(host), Some("ada")));

    world.deploy(&[]).exits(0);
    world.add_workout("squats");
    assert_eq!(world.workouts(), ["squats"]);
    // Compose pulls by it too, where it has to.
    assert!(found_in(&world.server.folder.join("state/docker/config.json"), host));
    nobody_saw_it(&world);
    kept_in_bounds(&world);
    world.laptop.wharf(&["registry", "logout", host]).exits(0);
    world.laptop.wharf(&["registry", "logout", host]).exits(2);
    assert!(!world.server.folder.join("state/docker/config.json").exists());
    let audit = world.laptop.wharf(&["audit", "--all"]).exits(0).stdout;
    assert!(audit.contains(&format!("registry login {host} as ada")), "{audit}");
}

fn found_in(file: &std::path::Path, text: &str) -> bool {
    std::fs::read(file).is_ok_and(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
}

/// The passwords, in plain letters and as Docker writes them, are in the agent's own files of logins and nowhere else.
fn nobody_saw_it(world: &World) {
    let log = world.server.log();
    for secret in [registry::PASSWORD, registry::AUTH, "planted-wrong-password"] {
        assert!(!log.contains(secret), "the agent's log has {secret}");
        let mut found = Vec::new();
        find(&world.server.folder.join("state"), secret, &mut found);
        find(&world.app_dir, secret, &mut found);
        find(&world.laptop.folder, secret, &mut found);
        let elsewhere: Vec<_> =
            found.iter().filter(|path| !path.starts_with(world.server.folder.join("state/docker"))).collect();
        assert!(elsewhere.is_empty(), "{secret} is in {elsewhere:?}");
    }
}

fn find(folder: &std::path::Path, text: &str, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(data) if data.is_dir() => find(&entry.path(), text, found),
            Ok(data) if data.is_file() && found_in(&entry.path(), text) => found.push(entry.path()),
            _ => {}
        }
    }
}

/// With `[house]` in the server's configuration, what a release leaves behind goes by itself.
fn kept_in_bounds(world: &World) {
    let old = format!("{}-backend:v99", world.app);
    docker::docker(&["tag", "wharf-base/nginx:1", &old]);
    world.laptop.edit("backend/version.py", "1.0.0", "2.0.0");
    world.deploy(&[]).exits(0);
    let is_there = || docker::docker(&["image", "ls", "-q", &old]);
    await_that("an image that nothing needs goes by itself", || is_there().is_empty());
    await_that("its job is over and listed", || {
        let jobs = world.jobs();
        jobs.iter().any(|job| job["kind"]["name"] == "prune_docker" && job["outcome"]["result"] == "done")
    });
    assert_eq!(world.workouts(), ["squats"]);
}
