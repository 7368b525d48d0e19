//! `wharf init`, as a process, in folders as people have them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends by panicking")]

use std::{fs, path::Path, process::Command};
use tempfile::TempDir;

const COMPOSE: &str = "services:\n  db:\n    image: postgres:17\n    volumes: [\"data:/var/lib/postgresql/data\"]\nvolumes: {data: }\n";

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn wharf(folder: &Path, args: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    let output = command.args(args).current_dir(folder).env_remove("WHARF_ENV").output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn bare() -> TempDir {
    let folder = tempfile::Builder::new().prefix("shop").tempdir().unwrap();
    fs::write(folder.path().join("compose.yaml"), COMPOSE).unwrap();
    folder
}

fn written(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("wharf.toml")).unwrap()
}

#[test]
fn what_is_written_passes_every_check_and_a_second_time_changes_nothing() {
    let folder = bare();
    let ran = wharf(folder.path(), &["init", "--yes", "--server", "deploy@home.example", "--app", "shop"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let text = written(&folder);
    let config = wharf::config::load(folder.path(), None).unwrap();
    assert_eq!(config.spec.path, "/home/deploy/shop");
    assert_eq!(config.spec.postgres.len(), 1);

    let ran = wharf(folder.path(), &["init", "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("Nothing was changed"), "{}", ran.err);
    assert_eq!(written(&folder), text);
}

#[test]
fn what_is_missing_is_told_and_added_only_when_asked_for() {
    let folder = bare();
    let mine = "app = \"shop\"   # mine\n[server]\nhost = \"a@b\"\npath = \"/srv/shop\"\n[compose]\nfiles = [\"compose.yaml\"]\n";
    fs::write(folder.path().join("wharf.toml"), mine).unwrap();
    let ran = wharf(folder.path(), &["init", "--yes"]);
    assert!(ran.err.contains("[[postgres]]") && ran.err.contains("wharf init --add"), "{}", ran.err);
    assert_eq!(written(&folder), mine);

    let ran = wharf(folder.path(), &["init", "--add"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(written(&folder).starts_with(mine), "{}", written(&folder));
    assert_eq!(wharf::config::load(folder.path(), None).unwrap().spec.postgres.len(), 1);
}

#[test]
fn without_a_server_the_place_is_left_and_filled_in_later() {
    let folder = bare();
    let ran = wharf(folder.path(), &["init", "--yes", "--app", "shop"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("no server is set"), "{}", ran.err);
    assert_eq!(wharf(folder.path(), &["status"]).code, 2);
    let ran = wharf(folder.path(), &["init", "--yes", "--server", "root@h:2222", "--add"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(wharf::config::load(folder.path(), None).unwrap().spec.path, "/srv/shop");
    let other = wharf(folder.path(), &["init", "--server", "root@other"]);
    assert_eq!(other.code, 2, "another server than the file's must be refused: {}", other.err);
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_written() {
    let folder = bare();
    for args in [
        &["init", "--yes", "--server", "a b"][..],
        &["init", "--yes", "--server", "a@b", "--path", "relative"],
        &["init", "--yes", "--server", "a@b", "--app", "Not A Name"],
    ] {
        let ran = wharf(folder.path(), args);
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.err);
        assert!(!folder.path().join("wharf.toml").exists());
    }
    let empty = tempfile::tempdir().unwrap();
    let ran = wharf(empty.path(), &["init", "--yes"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("no Compose file"), "{}", ran.err);

    fs::write(folder.path().join("wharf.toml"), "app = [").unwrap();
    let ran = wharf(folder.path(), &["init", "--add"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert_eq!(written(&folder), "app = [");
}

#[test]
fn a_dry_run_prints_and_json_tells_everything() {
    let folder = bare();
    let ran = wharf(folder.path(), &["init", "--dry-run", "--yes", "--server", "a@b"]);
    assert!(ran.out.contains("[[postgres]]"), "{}", ran.out);
    assert!(!folder.path().join("wharf.toml").exists());
    let ran = wharf(folder.path(), &["init", "--json", "--server", "a@b"]);
    let line: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&line["type"], &line["written"]), (&"init".into(), &true.into()));
    assert_eq!(line["findings"]["databases"][0]["service"], "db");
}
