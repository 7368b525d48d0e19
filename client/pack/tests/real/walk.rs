//! Which files are shipped.

use crate::project::{Project, shipped};
use wharf_pack::{PackError, PackRules, walk};

#[test]
fn rules_are_nested_and_can_re_include() {
    let project = Project::new();
    project
        .file(".gitignore", "*.log\n/dist/\nnode_modules/\n")
        .file("web/.gitignore", "!keep.log\n/cache\n")
        .file(".wharfignore", "!dist/\ndocs/\n!/web/cache\n")
        .files(&[
            "a.log",
            "dist/app.js",
            "docs/a.md",
            "web/keep.log",
            "web/other.log",
            "web/cache/x",
            "web/src/cache",
        ])
        .files(&["web/node_modules/m/index.js", "main.py", ".dockerignore", ".hidden/x"]);
    insta::assert_snapshot!(project.shipped(), @r"
    .dockerignore
    .gitignore
    .hidden/x
    .wharfignore
    dist/app.js
    main.py
    web/.gitignore
    web/cache/x
    web/keep.log
    web/src/cache
    ");
}

#[test]
fn git_and_state_are_never_shipped() {
    let project = Project::new();
    project
        .files(&[".git/config", ".wharf/state", ".wharf-tmp-app.json-7", "sub/.git", "sub/.wharf/x", "a"])
        .file(".wharfignore", "!.git\n!.wharf\n");
    assert_eq!(shipped(&project.walk_with(&[".git/**", "**/.wharf/*"])), ".wharfignore\na");
}

#[test]
fn excludes_of_the_repository_count() {
    let project = Project::new();
    project
        .files(&["notes.txt", "keep.txt", "a.py"])
        .file(".git/info/exclude", "*.txt\n")
        .file(".gitignore", "!keep.txt\n");
    assert_eq!(project.shipped(), ".gitignore\na.py\nkeep.txt");
}

#[test]
fn a_project_inside_a_repository_keeps_the_rules_above_it() {
    let outer = Project::new();
    outer
        .folder(".git/info")
        .file(".git/info/exclude", "/apps/web/local\n")
        .file(".gitignore", "__pycache__/\n/apps/web/out\n")
        .file("apps/.gitignore", "/web/tmp\n*.bak\n")
        .files(&["apps/web/main.py", "apps/web/out/x", "apps/web/tmp/x", "apps/web/a.bak", "apps/web/local"])
        .files(&["apps/web/sub/__pycache__/x.pyc", "apps/web/sub/out"]);
    let walk = walk(&outer.path("apps/web"), &PackRules::default()).unwrap();
    assert_eq!(shipped(&walk), "main.py\nsub/out");
}

#[test]
fn a_repository_that_ignores_the_project_has_no_say_in_it() {
    for rule in ["*\n", "/code/\n", "code/web\n"] {
        let home = Project::new();
        home.folder(".git").file(".gitignore", rule).files(&["code/web/main.py", "code/web/code/x"]);
        let walk = walk(&home.path("code/web"), &PackRules::default()).unwrap();
        assert_eq!(shipped(&walk), "code/x\nmain.py", "{rule}");
    }
}

#[test]
fn the_excludes_of_a_worktree_are_the_repositorys() {
    let project = Project::new();
    project
        .file("main/.git/info/exclude", "secret.txt\n")
        .file("main/.git/worktrees/tree/commondir", "../..\n")
        .file("tree/.git", "gitdir: ../main/.git/worktrees/tree\n")
        .files(&["tree/secret.txt", "tree/a"]);
    let walk = walk(&project.path("tree"), &PackRules::default()).unwrap();
    assert_eq!(shipped(&walk), "a");
}

#[test]
fn secrets_are_left_out_and_told() {
    let project = Project::new();
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n-----END OPENSSH PRIVATE KEY-----\n";
    let certificate = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
    project
        .files(&[
            ".env",
            ".env.prod",
            ".env.example",
            "mobile/.env.local",
            "deploy/id_rsa",
            "deploy/id_rsa.pub",
        ])
        .files(&["tls/server.key", "tls/unknown.pem"])
        .file("tls/rds-ca.pem", certificate)
        .file("tls/both.pem", format!("{certificate}{key}"))
        .file("deploy/robot", key)
        .file("ignored.key", key)
        .file(".gitignore", "/ignored.key\n")
        .file("src/sniff.py", format!("HEAD = '''{key}'''\n"))
        .file("long.txt", format!("{key}{}", "x".repeat(70_000)));
    let walk = project.walk();
    let left_out: Vec<String> = walk.left_out.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(left_out.join("\n"), @r"
    .env (env file)
    .env.prod (env file)
    deploy/id_rsa (named like a private key)
    deploy/robot (holds a private key)
    mobile/.env.local (env file)
    tls/both.pem (named like a private key)
    tls/server.key (named like a private key)
    tls/unknown.pem (named like a private key)
    ");
    insta::assert_snapshot!(shipped(&walk), @r"
    .env.example
    .gitignore
    deploy/id_rsa.pub
    long.txt
    src/sniff.py
    tls/rds-ca.pem
    ");
}

#[test]
fn what_is_named_is_shipped_though_ignored_or_secret() {
    let project = Project::new();
    project
        .file(".gitignore", "/build/\n.env*\n")
        .files(&[
            "build/a/keep.bin",
            "build/a/other.bin",
            "build/b/x.bin",
            ".env.build",
            ".env.prod",
            "tls/web.key",
        ])
        .file("tls/other.key", "k");
    let walk = project.walk_with(&["build/a/keep.bin", ".env.build", "tls/web.*", "nothing/*.here"]);
    assert_eq!(shipped(&walk), ".env.build\n.gitignore\nbuild/a/keep.bin\ntls/web.key");
    let warnings: Vec<String> = walk.warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n"), @r#""nothing/*.here" under `include` in wharf.toml names no file of this project"#);
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use wharf_pack::FoundKind;

    #[test]
    fn links_and_empty_folders_are_kept_as_they_are() {
        let project = Project::new();
        project.files(&["a/b", "c"]).folder("empty/inner").folder("only-ignored").folder("ignored");
        project.file(".gitignore", "*.pyc\n/ignored\n").file("only-ignored/x.pyc", "");
        project.link("in", "a/b").link("a/up", "../c").link("out", "../elsewhere").link("abs", "/etc/hosts");
        project.link("loop", "loop").link("dangling", "nothing").link("a/folder", ".").link(".env", "../env");
        insta::assert_snapshot!(project.shipped(), @r"
        .gitignore
        a/b
        a/folder -> .
        a/up -> ../c
        abs -> /etc/hosts
        c
        dangling -> nothing
        empty/inner/
        in -> a/b
        loop -> loop
        out -> ../elsewhere
        ");
        let walk = project.walk();
        let warnings: Vec<String> = walk.warnings.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(warnings.join("\n"), @r"
        the link abs leads out of the project, to /etc/hosts: the server may have nothing there
        the link out leads out of the project, to ../elsewhere: the server may have nothing there
        ");
        assert_eq!(walk.left_out.len(), 1, "a link in place of an env file would hide the server's");
    }

    #[test]
    fn sockets_are_skipped_and_told() {
        let project = Project::new();
        project.file("a", "");
        let _socket = std::os::unix::net::UnixListener::bind(project.path("app.sock")).unwrap();
        let fifo = std::process::Command::new("mkfifo").arg(project.path("pipe")).status().unwrap();
        assert!(fifo.success());
        let walk = project.walk();
        assert_eq!(shipped(&walk), "a");
        let warnings: Vec<String> = walk.warnings.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(warnings.join("\n"), @r"
        app.sock is a socket and is not shipped
        pipe is a FIFO and is not shipped
        ");
    }

    #[test]
    fn names_are_bytes_and_modes_are_kept() {
        let project = Project::new();
        let name = OsStr::from_bytes(b"caf\xe9 \n.txt");
        project.file("grün/日本.md", "");
        fs::write(project.root().join(name), "x").unwrap();
        project.file("run.sh", "#!/bin/sh\n").mode("run.sh", 0o4755);
        let walk = project.walk();
        let paths: Vec<&[u8]> = walk.entries.iter().map(|found| found.path.as_bytes()).collect();
        assert_eq!(paths, [name.as_bytes(), "grün/日本.md".as_bytes(), b"run.sh"]);
        assert!(
            matches!(walk.entries[2].kind, FoundKind::File { mode: 0o755, .. }),
            "set-uid does not travel"
        );
        let manifest = wharf_pack::hash(&walk, project.root()).unwrap();
        assert_eq!(manifest.manifest().entries().len(), 3);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let project = Project::new();
        project.file("a/secretive", "x").mode("a/secretive", 0o000);
        if fs::read(project.path("a/secretive")).is_ok() {
            return as_nobody("walk::unix::what_cannot_be_read_is_named");
        }
        let walked = || walk(project.root(), &PackRules::default());
        let named = |error: PackError, expected: &str| {
            assert!(
                matches!(&error, PackError::Read { path, .. } if path.to_string() == expected),
                "{error:?}"
            );
        };
        named(walked().unwrap_err(), "a/secretive");
        // A long one is not looked into before it is hashed.
        project
            .mode("a/secretive", 0o600)
            .file("a/secretive", "x".repeat(100_000))
            .mode("a/secretive", 0o000);
        named(wharf_pack::hash(&walked().unwrap(), project.root()).unwrap_err(), "a/secretive");
        // What is left out anyway need not be readable.
        project.file(".gitignore", "/a/\n").file("server.pem", "x").mode("server.pem", 0o000);
        assert_eq!(walked().unwrap().left_out.len(), 1);
        project.folder("b").mode("b", 0o000);
        named(walked().unwrap_err(), "b");
        project.mode("b", 0o700).mode(".gitignore", 0o000);
        assert!(matches!(walked().unwrap_err(), PackError::Rules { .. }));
    }

    /// Runs one test again as a user whom permission bits stop: root reads everything.
    fn as_nobody(test: &str) {
        use std::os::unix::process::CommandExt;
        const NOBODY: u32 = 65_534;
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args([test, "--exact"]).uid(NOBODY).gid(NOBODY).current_dir("/").env("TMPDIR", "/tmp");
        match again.output() {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success() && text.contains("1 passed"), "{text}");
            }
            Err(error) => eprintln!("skipped: nobody may not run this test: {error}"),
        }
    }
}

#[test]
fn a_rule_that_cannot_be_read_is_told_for_our_own_file() {
    let project = Project::new();
    project.file("a", "").file(".gitignore", "[z-a]\n");
    assert_eq!(project.shipped(), ".gitignore\na");
    project.file("b/.wharfignore", "ok\n[z-a]\n");
    let error = walk(project.root(), &PackRules::default()).unwrap_err();
    assert!(matches!(error, PackError::Rule { line: 2, .. }), "{error:?}");
}

#[test]
fn no_folder_is_an_error() {
    let project = Project::new();
    project.file("a", "");
    for path in ["none", "a"] {
        let error = walk(&project.path(path), &PackRules::default()).unwrap_err();
        assert!(matches!(error, PackError::Root { .. }), "{error:?}");
    }
}
