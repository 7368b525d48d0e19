//! The second way in: `wharfd connect` under a real sshd. Shows 3 of the operate issue (R41).

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wharf_tests::{World, http};

/// What the connection must do, whichever way it came in.
#[test]
fn a_deploy_through_openssh_resumes_is_watched_and_is_one_at_a_time() {
    let mut world = World::fitnessapp();
    world.enter_through_openssh("--role deploy --app '*'");
    let misplaced = world.deploy(&[]).exits(4);
    assert!(misplaced.stderr.contains("may not place"), "{}", misplaced.stderr);
    world.enter_through_openssh("");
    an_interrupted_upload_goes_on(&world);
    another_watches_while_a_second_is_refused(&world);
    who_leaves_the_queue_is_noticed(&world);
    world.enter_through_openssh("--role read");
    world.laptop.wharf(&["status"]).exits(0);
    let refused = world.deploy(&[]).exits(4);
    assert!(refused.stderr.contains("has the role read"), "{}", refused.stderr);
    world.nothing_is_left("deploys through OpenSSH");
}

const LARGE_BYTES: u64 = 48 << 20;

fn an_interrupted_upload_goes_on(world: &World) {
    let mut noise = vec![0; LARGE_BYTES as usize];
    rand::fill(&mut noise[..]);
    world.laptop.write("backend/model.bin", &noise);
    let first = world.laptop.wharf_json(&["deploy", "--yes", "--accept-new-host-key"]);
    let blobs = world.server.folder.join("state/blobs");
    await_that("a part arrives", || size_of(&blobs) >= LARGE_BYTES / 4);
    first.kill();
    let second = world.deploy(&["--json"]).exits(0).json();
    let uploaded = second.iter().find(|line| line["type"] == "uploaded").expect("a line for the upload");
    let rest = uploaded["content_bytes"].as_u64().expect("a number");
    assert!(rest < LARGE_BYTES, "{rest} bytes were sent again");
    assert_eq!(http::get(world.web_port, "/health").map(|answer| answer.status), Some(200));
}

fn another_watches_while_a_second_is_refused(world: &World) {
    world.laptop.edit("backend/version.py", "1.0.0", "2.0.0");
    let mut first = world.laptop.wharf_json(&["deploy", "--yes"]);
    first.wait_for_step("build");
    let refused = world.deploy(&[]).exits(3);
    assert!(refused.stderr.contains("--lock-wait"), "{}", refused.stderr);
    first.kill();
    let attached = world.laptop.wharf(&["deploy", "--attach", "--json"]).exits(0).json();
    let indices: Vec<u64> = attached
        .iter()
        .filter(|line| line["type"] == "event")
        .filter_map(|line| line["index"].as_u64())
        .collect();
    assert_eq!(indices, (0..indices.len() as u64).collect::<Vec<_>>(), "each event once and in order");
    assert_eq!(world.backend_version(), "2.0.0");
}

fn who_leaves_the_queue_is_noticed(world: &World) {
    world.laptop.edit("backend/version.py", "2.0.0", "3.0.0");
    let mut first = world.laptop.wharf_json(&["deploy", "--yes"]);
    first.wait_for_step("build");
    let queued = world.laptop.wharf_json(&["deploy", "--yes", "--lock-wait", "300"]);
    let joined = || connects(world);
    await_that("the second has come in", || joined() == 2);
    queued.kill();
    await_that("the second's connection ends with it", || joined() == 1);
    assert_eq!(first.finish(), 0);
    // The one who left holds no seat, and began no job.
    world.deploy(&["--dry-run"]).exits(0);
    let jobs = world.laptop.wharf(&["jobs", "--json"]).exits(0).json();
    assert_eq!(jobs.len(), 3, "{jobs:?}");
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

/// Each asks sshd for something else than `wharf`, or tries to change what `wharf` means.
const TRICKS: &[&[&str]] = &[
    &[],
    &["-t"],
    &["-s", "sftp"],
    &["sh"],
    &["sh -c 'touch MARK'"],
    &["wharf; touch MARK"],
    &["wharf && touch MARK"],
    &["wharf | touch MARK"],
    &["wharf\ntouch MARK"],
    &["wharf $(touch MARK)"],
    &["wharf `touch MARK`"],
    &["wharf > MARK"],
    &["$(touch MARK)"],
    &["`touch MARK`"],
    &["wharf --role admin"],
    &["wharf connect --role admin"],
    &["wharfd connect --role admin"],
    &["wharfd serve"],
    &["wharfd"],
    &["WHARF"],
    &[" wharf"],
    &["wharf "],
    &["'wharf'"],
    &["./wharf"],
    &["/usr/bin/wharf"],
    &["env wharf"],
    &["exec wharf"],
    &["scp -t MARK"],
    &["rsync --server . MARK"],
    &["internal-sftp"],
    &["-o", "SetEnv=ENV=MARK BASH_ENV=MARK", "sh"],
    &["-o", "SetEnv=SSH_ORIGINAL_COMMAND=wharf", "sh"],
    &["-W", "127.0.0.1:22"],
];

#[test]
fn tricks_through_openssh_get_nothing_beyond_the_key_s_limits() {
    let mut world = World::fitnessapp();
    world.enter_through_openssh("--role read --app other");
    let mark = world.server.folder.join("mark");
    for trick in TRICKS {
        let said = ssh(&world, &mark.to_string_lossy(), trick);
        assert!(!said.0, "{trick:?} was served: {}", said.1);
        assert!(said.1.is_empty(), "{trick:?} was told {:?}", said.1);
        assert!(!mark.exists(), "{trick:?} ran something");
    }
    // Lines that are not understood, and ones that try to widen what they grant.
    for limits in [
        "--role",
        "--role root",
        "--role=read",
        "--role read --role admin",
        "--role read admin",
        "--app ../x",
        "--app a --app '*'",
        "--apps a",
        "-- --role admin",
        "--config /dev/null",
    ] {
        world.enter_through_openssh(limits);
        let refused = world.laptop.wharf(&["status", "--accept-new-host-key"]);
        assert_eq!(refused.code, 4, "{limits}: {}{}", refused.stdout, refused.stderr);
    }
    // What is asked for within the limits is answered; the app of somebody else is not told of.
    world.enter_through_openssh("--role read --app other --key-name ci");
    let status = world.laptop.wharf(&["status"]).exits(4);
    assert!(status.stderr.contains("may do nothing with an app"), "{}", status.stderr);
    world.deploy(&[]).exits(4);
    world.enter_through_openssh("");
    world.laptop.wharf(&["audit"]).exits(0);
}

/// Whether OpenSSH's client ended well, and what it was told on standard output.
fn ssh(world: &World, mark: &str, trick: &[&str]) -> (bool, String) {
    let sshd = world.sshd.as_ref().expect("an sshd");
    let host = sshd.host();
    let user_at = host.rsplit_once(':').map_or(host.as_str(), |(place, _)| place);
    let words: Vec<String> = trick.iter().map(|word| word.replace("MARK", mark)).collect();
    // Options stand before the host, the command behind it.
    let options = words.iter().take_while(|word| word.starts_with('-')).count();
    let options = if options > 0 && !matches!(trick[0], "-t" | "-s") { options + 1 } else { options };
    let output = Command::new("ssh")
        .args(["-F", "none", "-p", &sshd.port.to_string(), "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"])
        .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i"])
        .arg(world.laptop.key())
        .args(&words[..options])
        .arg(user_at)
        .args(&words[options..])
        .env_remove("SSH_AUTH_SOCK")
        .stdin(Stdio::null())
        .output()
        .expect("ssh is installed");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The bytes of all files below a folder that somebody else is writing.
fn size_of(folder: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => size_of(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

#[track_caller]
fn await_that(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
