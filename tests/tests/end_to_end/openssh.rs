//! Who tries to get more out of the second way in, `wharfd connect` under a real sshd. Show 3 of the operate issue (R41).

use std::process::{Command, Stdio};
use wharf_tests::World;

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
