//! The program as it is called: help, exit codes, streams.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends by panicking")]

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

fn wharf(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wharf"))
        .args(args)
        .current_dir(folder)
        .env_remove("WHARF_ENV")
        .env_remove("SSH_AUTH_SOCK")
        .env("COLUMNS", "100")
        .env("HOME", folder)
        .env("WHARF_KNOWN_HOSTS", folder.join("known_hosts"))
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn project(host: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("docker-compose.yml"), "services: {}\n").unwrap();
    let text = format!(
        "app = \"fit\"\n[server]\nhost = \"{host}\"\npath = \"/srv/fit\"\n[compose]\nfiles = [\"docker-compose.yml\"]\n"
    );
    fs::write(folder.path().join("wharf.toml"), text).unwrap();
    folder
}

/// A loopback port that nobody listens on: it was free a moment ago.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn help() {
    let folder = tempfile::tempdir().unwrap();
    for command in [None, Some("deploy"), Some("rollback"), Some("logs"), Some("pack")] {
        let args: Vec<&str> = command.into_iter().chain(["--help"]).collect();
        let output = wharf(folder.path(), &args);
        assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
        insta::assert_snapshot!(format!("help_{}", command.unwrap_or("wharf")), out(&output));
    }
}

/// Neither needs a project or a server.
#[test]
fn completions_and_manual_pages() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = wharf(folder.path(), &["completions", shell]);
        assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""), "{shell}");
        let script = out(&output);
        for word in ["rollback", "accept-detach", "incident"] {
            assert!(script.contains(word), "{word} for {shell}");
        }
    }
    let output = wharf(folder.path(), &["man"]);
    assert!(out(&output).contains(".TH wharf 1"), "{}", out(&output));
    assert_eq!(wharf(folder.path(), &["man", "--to", "pages/man1", "-q"]).status.code(), Some(0));
    let page = fs::read_to_string(folder.path().join("pages/man1/wharf-backup-create.1")).unwrap();
    assert!(page.contains("lock\\-wait"), "{page}");
    fs::write(folder.path().join("file"), "").unwrap();
    let output = wharf(folder.path(), &["man", "--to", "file/man1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("the pages cannot be written"), "{}", err(&output));
}

#[test]
fn what_is_typed_wrongly_is_2() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        ["deplyo"].as_slice(),
        &["deploy", "--bump", "huge"],
        &["rollback", "latest"],
        &["deploy", "-q", "-v"],
        &["status", "--interval", "5"],
        &["status", "--watch", "--interval", "0"],
        &["completions", "tcsh"],
        &["report"],
    ] {
        assert_eq!(wharf(folder.path(), args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_configuration_that_is_missing_or_wrong_is_2() {
    let nowhere = tempfile::tempdir().unwrap();
    let output = wharf(nowhere.path(), &["deploy"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).starts_with("error: there is no wharf.toml in "), "{}", err(&output));

    for (host, env) in [("not a host", None), ("home.example", Some("production"))] {
        let project = project(host);
        let args: Vec<&str> =
            ["deploy"].into_iter().chain(env.into_iter().flat_map(|env| ["--env", env])).collect();
        assert_eq!(wharf(project.path(), &args).status.code(), Some(2), "{host}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_4() {
    let project = project(&format!("deploy@127.0.0.1:{}", closed_port()));
    for args in
        [["deploy", "--yes"].as_slice(), &["releases"], &["status", "--json"], &["rollback"], &["logs"]]
    {
        let output = wharf(project.path(), args);
        assert_eq!(output.status.code(), Some(4), "{args:?}: {}", err(&output));
        assert!(err(&output).starts_with("error: "), "{}", err(&output));
        if args.contains(&"--json") {
            let line: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
            assert_eq!((&line["type"], &line["kind"]), (&"failure".into(), &"unreachable".into()));
        } else {
            assert_eq!(out(&output), "");
        }
    }
}

#[test]
fn down_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = String::new();
    for args in [["down", "--volumes"].as_slice(), &["down", "-v"], &["down"]] {
        let output = wharf(folder.path(), args);
        assert_eq!((output.status.code(), out(&output).as_str()), (Some(3), ""));
        told += &format!("$ wharf {}\n{}\n", args.join(" "), err(&output));
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_pack_is_a_zip_without_secrets() {
    let project = project("home.example");
    fs::write(project.path().join(".env.prod"), "DB_PASSWORD=x\n").unwrap();
    let output = wharf(project.path(), &["pack", "-o", "deploy.zip", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let line: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!((&line["type"], &line["files"]), (&"packed".into(), &2.into()));
    let zip = fs::read(project.path().join("deploy.zip")).unwrap();
    assert!(zip.starts_with(b"PK"));
    assert!(!zip.windows(9).any(|name| name == b".env.prod"));
    assert!(err(&output).contains(".env.prod"), "{}", err(&output));
}

/// Every `wharf …` that the documentation of pipelines tells people to write is one that `wharf` understands.
#[test]
fn the_commands_for_pipelines_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let text = include_str!("../../docs/CI.md");
    let in_workflow = text.lines().filter_map(|line| line.trim().strip_prefix("- run: "));
    let in_shell = text.lines().filter(|line| line.starts_with("wharf "));
    let commands: Vec<&str> = in_workflow.chain(in_shell).filter(|line| line.starts_with("wharf ")).collect();
    assert!(commands.len() > 6, "{commands:?}");
    for command in commands {
        let args: Vec<&str> = command.split_whitespace().skip(1).chain(["--help"]).collect();
        let output = wharf(folder.path(), &args);
        assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""), "{command}");
    }
    let unknown = wharf(folder.path(), &["deploy", "--no-such-flag", "--help"]);
    assert_eq!(unknown.status.code(), Some(2), "--help hides a wrong flag");
}
