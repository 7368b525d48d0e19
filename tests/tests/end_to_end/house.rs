//! The server's disk stays within its bounds, and nobody waits for that. Issue 4, "Operations" (R43).

use wharf_tests::{Engine, World, await_that};

/// How much build cache stays, and how much each build leaves: both stay only where nothing is done.
const LIMIT_BYTES: u64 = 10 << 20;
const BUILD_MEGABYTES: u32 = 7;

/// A service whose build leaves a stage behind that is in no image. On an engine of its own, since the build cache is
/// everybody's who builds there.
fn world(engine: &Engine) -> World {
    let mut world = World::with_project("promote");
    world.laptop.write(
        "docker-compose.yml",
        "services:\n  web:\n    build: ./web\n    restart: unless-stopped\n    stop_grace_period: 1s\n",
    );
    leave_more(&world, 1);
    let config = [
        format!("app = \"{}\"\n[server]\nhost = \"tester@{}\"\n", world.app, world.server.address),
        format!("identity = \"{}\"\n", world.laptop.key().display()),
        format!("path = \"{}\"\n[compose]\nfiles = [\"docker-compose.yml\"]\n", world.app_dir.display()),
        "[verify]\nstable_seconds = 0\n[backup]\ndrill = \"off\"\n".to_owned(),
    ];
    world.laptop.write("wharf.toml", config.concat());
    let config = format!("docker = \"{}\"\n[house]\nbuild_cache = \"10m\"\n", engine.socket().display());
    std::fs::write(world.server.folder.join("wharfd.toml"), config).expect("a file of the test's");
    world.server.restart(&[]);
    world
}

/// Has the next build leave other layers.
fn leave_more(world: &World, number: u32) {
    let dockerfile = format!(
        "FROM wharf-base/python:3 AS large\nRUN head -c {BUILD_MEGABYTES}M /dev/urandom > /large && echo {number} > /number\n\
         FROM wharf-base/python:3\nWORKDIR /srv\nCOPY --from=large /number .\n\
         CMD [\"python3\", \"-m\", \"http.server\", \"8000\"]\n"
    );
    world.laptop.write("web/Dockerfile", dockerfile);
}

/// What is kept of builds and in no use.
fn cache_bytes(world: &World) -> u64 {
    let plan = world.laptop.wharf(&["prune", "--dry-run", "--json"]).exits(0).json();
    plan[0]["cache_bytes"].as_u64().expect("a number")
}

#[test]
fn build_cache_stays_within_its_limit_and_a_deploy_does_not_wait_for_that() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = Engine::start(&folder.path().join("engine"));
    engine.copy_image("wharf-base/python:3");
    let world = world(&engine);
    let images = || engine.docker(&["image", "ls", "-q", "--no-trunc", "--filter", "label=whose=strangers"]);
    let stranger = world.server.folder.join("stranger");
    std::fs::create_dir_all(&stranger).expect("a folder of the test's");
    std::fs::write(stranger.join("Dockerfile"), "FROM wharf-base/python:3\nLABEL whose=strangers\n")
        .expect("a file of the test's");
    engine.docker(&["build", "-q", stranger.to_str().expect("UTF-8")]);
    let others = images();
    assert!(!others.is_empty());

    world.deploy(&[]).exits(0);
    let first = cache_bytes(&world);
    assert!((7_000_000..LIMIT_BYTES).contains(&first), "the build left {first} bytes");
    leave_more(&world, 2);
    world.deploy(&[]).exits(0);
    await_that("the agent brings the cache back within its limit", || {
        let jobs = world.laptop.wharf(&["jobs", "--json"]).exits(0).json();
        jobs.iter().any(|job| job["kind"]["name"] == "prune_docker" && job["outcome"]["result"] == "done")
    });
    let left = cache_bytes(&world);
    assert!(left <= LIMIT_BYTES, "{left} bytes are left");
    assert_eq!(images(), others, "an image of somebody else's is gone");

    // An engine that is in no hurry: the prune is told, and ends before the engine has answered.
    leave_more(&world, 3);
    engine.hold();
    let mut prune = world.laptop.wharf_json(&["prune", "--keep-cache", "1m"]);
    prune.wait_for_step("prune");
    let deploy = world.laptop.wharf_json(&["deploy", "--yes"]);
    let ended = prune.wait_for(|line| line["event"] == "finished");
    assert!(ended.to_string().contains("the prune gave way to another job"), "{ended}");
    assert_eq!(ended["outcome"]["result"], "postponed", "{ended}");
    engine.go_on();
    assert_eq!((prune.finish(), deploy.finish()), (3, 0));
    let status = world.laptop.wharf(&["status"]).exits(0).stdout;
    assert!(!status.contains("failed"), "giving way is no failure: {status}");
    assert_eq!(images(), others, "an image of somebody else's is gone");
}
