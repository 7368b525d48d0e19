use super::*;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// A public key of its own, as `ssh-keygen` writes it.
fn key(folder: &std::path::Path, comment: &str) -> String {
    let file = folder.join(format!("key-{}", comment.replace(' ', "-")));
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"])
        .arg(&file)
        .status();
    assert!(made.unwrap().success());
    std::fs::read_to_string(file.with_extension("pub")).unwrap()
}

fn new(public_key: &str, role: wharf_proto::Role, apps: Apps) -> NewKey {
    NewKey { public_key: public_key.into(), role, apps, name: None, expires: None }
}

#[test]
fn keys_come_and_go_and_nothing_else_of_the_file_changes() {
    use wharf_proto::Role;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("authorized_keys");
    let (ann, bob, ci) = (key(folder.path(), "ann"), key(folder.path(), "bob"), key(folder.path(), "ci"));
    let text = format!("# people\n\n{ann}shiny {bob}not a key at all\n");
    std::fs::write(&path, &text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let open = || KeyFile::open(&path).unwrap();
    let read = || std::fs::read_to_string(&path).unwrap();

    let apps = Apps::Named(["blog".parse().unwrap(), "shop".parse().unwrap()].into());
    let added = add(&open(), &new(&ci, Role::Deploy, apps.clone())).unwrap();
    assert_eq!((added.role, added.apps, added.comment.as_str()), (Some(Role::Deploy), Some(apps), "ci"));
    let line = format!("restrict,command=\"wharfd connect --role deploy --app blog --app shop\" {ci}");
    assert_eq!(read(), format!("{text}{line}"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);

    let told = |result: Result<KeyInfo, Failure>| {
        let failure = result.unwrap_err();
        assert_eq!(read(), format!("{text}{line}"), "something was written");
        format!("{failure} | {} | {}", failure.causes.join(" | "), failure.hints.join(" | "))
    };
    // The last admin stays: bob's line is not understood.
    insta::assert_snapshot!("the_last_admin", told(remove(&open(), "ann")));
    let again = told(add(&open(), &new(&ci, Role::Admin, Apps::All)));
    assert!(again.starts_with("this key is there already, in line 6 of "), "{again}");
    assert!(told(add(&open(), &new(&bob, Role::Read, Apps::Named([].into())))).contains("for no app"));
    assert!(told(remove(&open(), "nobody")).starts_with("there is no such key"));
    let past = NewKey {
        expires: Some(Timestamp::UNIX_EPOCH),
        ..new(&key(folder.path(), "past"), Role::Read, Apps::All)
    };
    assert!(told(add(&open(), &past)).contains("would not get what was asked"));

    // With another admin, ann may go, and every line of hers with her.
    let eve = key(folder.path(), "eve");
    let passing = NewKey {
        expires: Some("2999-01-02T03:04:05Z".parse().unwrap()),
        name: Some("a name, with \"quotes\"\nand a break".into()),
        ..new(&eve, Role::Admin, Apps::All)
    };
    let added = add(&open(), &passing).unwrap();
    assert_eq!(added.expires, passing.expires);
    assert_eq!(added.comment, "a name, with \"quotes\"and a break");
    assert!(remove(&open(), "ann").is_err(), "one that expires is not enough");
    remove(&open(), &added.fingerprint).unwrap();
    add(&open(), &new(&eve, Role::Admin, Apps::All)).unwrap();
    remove(&open(), "ann").unwrap();
    let expected = format!("# people\n\nshiny {bob}not a key at all\n{line}");
    assert!(read().starts_with(&expected), "{}", read());
    let keys = infos(&read());
    assert_eq!(keys[0].problem.as_deref(), Some("the option `shiny` is not known"));
    assert_eq!((keys[0].role, keys.len()), (None, 3));
}

#[test]
fn a_private_key_is_refused_and_not_repeated() {
    use wharf_proto::Role;
    let folder = tempfile::tempdir().unwrap();
    key(folder.path(), "mine");
    let private = std::fs::read_to_string(folder.path().join("key-mine")).unwrap();
    let path = folder.path().join("none/authorized_keys");
    let file = KeyFile::open(&path).unwrap();
    let failure = add(&file, &new(&private, Role::Read, Apps::All)).unwrap_err();
    let told = serde_json::to_string(&failure).unwrap();
    assert!(told.contains("private key"), "{told}");
    assert!(private.lines().all(|line| !told.contains(line)), "{told}");
    assert!(!path.exists());
}
