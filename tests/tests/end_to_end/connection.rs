//! What a connection must stand, over both ways in: the agent's own port, and the server's sshd. Shows 5 and 11 of the ship
//! issue (R12), and the second way in of the operate issue.

use wharf_tests::wait::size_of;
use wharf_tests::{World, await_that, http};

#[test]
fn the_agent_s_own_port() {
    stands_everything(&World::fitnessapp());
}

#[test]
fn the_server_s_sshd() {
    let mut world = World::fitnessapp();
    world.enter_through_openssh("--role deploy --app '*'");
    let misplaced = world.deploy(&[]).exits(4);
    assert!(misplaced.stderr.contains("may not place"), "{}", misplaced.stderr);
    world.enter_through_openssh("");
    stands_everything(&world);
    who_leaves_the_queue_is_noticed(&world);
    one_key_cannot_take_every_place(&mut world);
}

fn stands_everything(world: &World) {
    an_interrupted_upload_goes_on(world);
    a_client_that_is_killed_is_not_missed(world, "build", "2.0.0");
    a_client_that_is_killed_is_not_missed(world, "start", "3.0.0");
    of_two_deploys_one_waits_or_leaves(world);
    world.nothing_is_left("everything that a connection must stand");
}

const LARGE_BYTES: u64 = 96 << 20;

fn an_interrupted_upload_goes_on(world: &World) {
    // What does not compress, so that it takes several packs.
    let mut noise = vec![0; LARGE_BYTES as usize];
    rand::fill(&mut noise[..]);
    world.laptop.write("backend/model.bin", &noise);
    let first = world.laptop.wharf_json(&["deploy", "--yes", "--accept-new-host-key"]);
    let blobs = world.server.folder.join("state/blobs");
    while size_of(&blobs) < LARGE_BYTES / 4 {
        std::thread::yield_now();
    }
    first.kill();
    assert!(size_of(&blobs) < LARGE_BYTES, "the upload was over before the client was killed");

    let second = world.deploy(&["--json"]).exits(0).json();
    let uploaded = second.iter().find(|line| line["type"] == "uploaded").expect("a line for the upload");
    let rest = uploaded["content_bytes"].as_u64().expect("a number");
    assert!(rest < LARGE_BYTES * 3 / 4 + (8 << 20), "{rest} bytes were sent again");
    assert_eq!(http::get(world.web_port, "/health").map(|answer| answer.status), Some(200));
    world.laptop.remove("backend/model.bin");
}

/// The job goes on without it, and another client sees every event once.
fn a_client_that_is_killed_is_not_missed(world: &World, step: &str, version: &str) {
    let before = world.backend_version();
    world.laptop.edit("backend/version.py", &before, version);
    let mut client = world.laptop.wharf_json(&["deploy", "--yes"]);
    client.wait_for_step(step);
    client.kill();
    let attached = world.laptop.wharf(&["deploy", "--attach", "--json"]).exits(0).json();
    let events: Vec<u64> = attached
        .iter()
        .filter(|line| line["type"] == "event")
        .filter_map(|line| line["index"].as_u64())
        .collect();
    assert_eq!(events, (0..events.len() as u64).collect::<Vec<_>>(), "each event once and in order");
    let ends = attached.iter().filter(|line| line["event"] == "finished").count();
    assert_eq!(ends, 1);
    assert_eq!(world.backend_version(), version);
    world.nothing_is_left("a client that was killed");
}

fn of_two_deploys_one_waits_or_leaves(world: &World) {
    world.laptop.edit("backend/version.py", "3.0.0", "4.0.0");
    let mut first = world.laptop.wharf_json(&["deploy", "--yes"]);
    first.wait_for_step("build");
    let refused = world.deploy(&[]).exits(3);
    assert!(refused.stderr.contains("--lock-wait"), "{}", refused.stderr);
    world.deploy(&["--lock-wait", "120"]).exits(0);
    assert_eq!(first.finish(), 0);
    assert_eq!(world.backend_version(), "4.0.0");
    assert_eq!(http::get(world.web_port, "/health").map(|answer| answer.status), Some(200));
}

fn who_leaves_the_queue_is_noticed(world: &World) {
    let jobs = || world.laptop.wharf(&["jobs", "--json"]).exits(0).json().len();
    let before = jobs();
    world.laptop.edit("backend/version.py", "4.0.0", "5.0.0");
    let mut first = world.laptop.wharf_json(&["deploy", "--yes"]);
    first.wait_for_step("build");
    let queued = world.laptop.wharf_json(&["deploy", "--yes", "--lock-wait", "300"]);
    await_that("the second has come in", || connects(world) == 2);
    queued.kill();
    await_that("the second's connection ends with it", || connects(world) == 1);
    assert_eq!(first.finish(), 0);
    // The one who left holds no place, and began no job.
    world.deploy(&["--dry-run"]).exits(0);
    assert_eq!(jobs(), before + 1);
}

/// As many as it wants: it is told so, and neither other keys nor the server's own programs wait for it.
fn one_key_cannot_take_every_place(world: &mut World) {
    world.enter_through_openssh("--role read --key-name greedy");
    let follow = ["logs", "-f", "backend"];
    let mut held = Vec::new();
    let refused = loop {
        assert!(held.len() < 64, "one key holds {} conversations", held.len());
        held.push(world.laptop.wharf_json(&follow));
        await_that("it has come in", || connects(world) == held.len());
        let status = world.laptop.wharf(&["status"]);
        if status.code != 0 {
            break status;
        }
    };
    assert!(refused.stderr.contains("too many conversations"), "{}", refused.stderr);
    world.enter_through_openssh("--role read --key-name modest");
    world.laptop.wharf(&["status"]).exits(0);
    world.server.wharfd(&["backup", &world.app]).exits(0);
    held.into_iter().for_each(wharf_tests::laptop::Running::kill);
}

/// How many `wharfd connect` of this world run.
fn connects(world: &World) -> usize {
    let socket = world.server.folder.join("state/wharfd.sock").to_string_lossy().into_owned();
    let mine = |entry: &std::fs::DirEntry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        words.get(1) == Some(&b"connect".as_slice()) && words.contains(&socket.as_bytes())
    };
    std::fs::read_dir("/proc").expect("Linux").flatten().filter(mine).count()
}
