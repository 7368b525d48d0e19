//! Planted secrets (Show 5 of the operate issue): searched for everywhere, and found nowhere but where DESIGN.md lets them
//! be: the env file, the encrypted backups and the containers.

use std::collections::BTreeSet;
use std::path::PathBuf;
use wharf_tests::secrets::{Watch, search};
use wharf_tests::{Ran, World, docker, unique};

const COMPOSE: &str = "docker/docker-compose.prod.yml";

/// What a person has that nobody else should: each value stands nowhere else on this machine.
struct Planted {
    values: Vec<String>,
}

/// The example, whose back end is built with a secret, calls a service with a token, and whose passwords are planted.
fn world() -> (World, Planted) {
    let mut world = World::fitnessapp();
    world.server.restart(&[("WHARFD_LOG", "debug")]);
    let plant = |what: &str| format!("planted-{what}-{}{}", unique(), unique());
    let (password, key, build) = (plant("password"), plant("key"), plant("build"));
    let token = token();
    world.laptop.edit(
        COMPOSE,
        "      SECRET_KEY: ${SECRET_KEY}\n",
        "      SECRET_KEY: ${SECRET_KEY}\n      TOKEN: ${TOKEN}\n",
    );
    world.laptop.edit(
        COMPOSE,
        "      context: ../backend\n",
        "      context: ../backend\n      secrets: [build_token]\n",
    );
    let text = world.laptop.read(COMPOSE) + "\nsecrets:\n  build_token:\n    environment: BUILD_TOKEN\n";
    world.laptop.write(COMPOSE, text);
    let used = "COPY . .\nRUN --mount=type=secret,id=build_token test -s /run/secrets/build_token\n";
    world.laptop.edit("backend/Dockerfile", "COPY . .\n", used);
    let env = world.env().replace(&format!("planted-secret-{}", world.app), &password);
    let env = env.replace(&format!("another-{}", world.app), &key);
    world.write_env(&format!("{env}TOKEN={token}\nBUILD_TOKEN={build}\n"));
    (world, Planted { values: vec![password, key, build, token] })
}

/// As a registry's token looks, put together here so that no file holds one.
fn token() -> String {
    format!("{}_{}{}{}{}Ab1c", "ghp", unique(), unique(), unique(), unique())
}

/// R40, before there is a release: what would be shipped is looked through, and what the server lacks is told.
fn before_a_ship(world: &World) -> Vec<Ran> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = taken.local_addr().expect("a bound socket has an address").port();
    let env = std::fs::read_to_string(world.app_dir.join(".env.prod")).expect("the world wrote it");
    world.write_env(&env.replace(&format!("WEB_PORT={}", world.web_port), &format!("WEB_PORT={port}")));
    let dry = world.deploy(&["--dry-run"]).exits(0);
    assert!((dry.stdout.clone() + &dry.stderr).contains(&format!("port {port} of web is in use")), "{dry:?}");
    world.write_env(&env);

    // Not one of those that are searched for: who forces it ships it, and the agent keeps what it was sent.
    let token = token();
    world.laptop.write("backend/settings.py", format!("# of the test\nTOKEN = \"{token}\"\n"));
    let refused = world.deploy(&[]).exits(3);
    assert!(refused.stderr.contains("backend/settings.py:2 holds a token of GitHub"), "{}", refused.stderr);
    let forced = world.deploy(&["--dry-run", "--force"]).exits(0);
    assert!(forced.stderr.contains("is shipped (--force)"), "{}", forced.stderr);
    std::fs::remove_file(world.laptop.project.join("backend/settings.py")).expect("the test wrote it");
    let told = vec![dry, refused, forced];
    assert!(told.iter().all(|ran| !ran.stdout.contains(&token) && !ran.stderr.contains(&token)));
    told
}

#[test]
fn planted_secrets_are_found_nowhere_else() {
    let (world, mut planted) = world();
    let watch = Watch::start(&planted.values);
    let mut told = before_a_ship(&world);
    let mut ran = |arguments: &[&str], code: i32| {
        let more: &[&str] = if arguments[0] == "deploy" { &["--yes", "--accept-new-host-key"] } else { &[] };
        told.push(world.laptop.wharf(&[arguments, more].concat()).exits(code));
    };

    ran(&["deploy", "--json"], 0);
    world.add_workout("squats");
    // A back end that says all it knows when it fails: what containers write is theirs, and no event repeats it.
    world.laptop.edit("backend/healthcheck.py", "import sys\n", "import sys\nsys.exit(1)\n");
    ran(&["deploy", "-v"], 1);
    ran(&["backup", "create", "-m", "by hand"], 0);
    let next = format!("planted-next-{}", unique());
    planted.values.push(next.clone());
    told.push(
        world
            .laptop
            .wharf_reading(&["secrets", "set", "SECRET_KEY", "--json"], &format!("{next}\n"))
            .exits(0),
    );
    told.push(world.laptop.wharf(&["rollback", "--yes", "--json"]).exits(0));
    for arguments in [
        &["secrets", "list", "--json"][..],
        &["secrets", "list"],
        &["backup", "list", "-v"],
        &["backup", "list", "--json"],
        &["releases", "--json"],
        &["status", "--json"],
        &["jobs", "--json"],
        &["audit", "--json"],
        &["db", "status"],
    ] {
        told.push(world.laptop.wharf(arguments).exits(0));
    }
    assert_eq!(world.workouts(), ["squats"]);

    assert_eq!(watch.stop(), BTreeSet::new(), "secrets in argument lists");
    for (what, text) in texts(&world, &told) {
        for value in &planted.values {
            assert!(!text.contains(value.as_str()), "{what} holds {}", name(value));
        }
    }
    let env_file = world.app_dir.join(".env.prod");
    for value in &planted.values {
        let (mut found, everything) = (Vec::new(), world.server.folder.parent().expect("a world's folder"));
        search(everything, value.as_bytes(), &mut found);
        found.retain(|path| *path != env_file);
        assert_eq!(found, Vec::<PathBuf>::new(), "files hold {}", name(value));
    }
    // Looked for where they are allowed to be, they are found: the search can fail.
    let mut found = Vec::new();
    search(&world.server.folder, next.as_bytes(), &mut found);
    assert_eq!(found, [env_file]);
}

/// The part of a planted value that says which it is.
fn name(value: &str) -> &str {
    value.rsplit_once('-').map_or("the token", |(name, _)| name)
}

/// Everything that Wharf says, and everything that Docker and restic say of what Wharf made, but for the containers.
fn texts(world: &World, told: &[Ran]) -> Vec<(String, String)> {
    let mut texts = vec![("the agent's log".to_owned(), world.server.log())];
    assert!(texts[0].1.contains("DEBUG"), "the agent does not log at debug level");
    for (at, ran) in told.iter().enumerate() {
        texts.push((format!("output {at}"), format!("{}\n{}", ran.stdout, ran.stderr)));
    }
    for tag in docker::image_tags(&format!("{}-", world.app)) {
        texts.push((format!("the history of {tag}"), docker::docker(&["history", "--no-trunc", &tag])));
        texts.push((tag.clone(), docker::docker(&["image", "inspect", &tag])));
    }
    for volume in docker::volumes(&world.project) {
        texts.push((volume.clone(), docker::docker(&["volume", "inspect", &volume])));
    }
    for container in docker::containers(&world.project) {
        let labels = docker::docker(&[
            "inspect",
            "--format",
            "{{json .Config.Labels}} {{json .Config.Cmd}}",
            &container,
        ]);
        texts.push((format!("labels of {container}"), labels));
    }
    let snapshots = world.restic().runs(&["--no-lock", "--json", "snapshots"]);
    texts.push(("the backups' metadata".into(), snapshots));
    texts
}
