//! Our reading of `.dockerignore` against Docker's own: the same context goes through `docker build`, and what came out
//! of `COPY . /` must be what the matcher lets in.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene must fail")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use wharf_plan::dockerignore::Ignore;

const FILES: [&str; 22] = [
    ".env",
    ".env.x",
    "OTHER.md",
    "README.md",
    "a*b",
    "a/b.pyc",
    "a/b/c.go",
    "a/b/c.gox",
    "axb",
    "docs/README.md",
    "docs/o",
    "docs/sub/README.md",
    "docs/sub/deep/x.txt",
    "node_modules/m/f",
    "src/x/y",
    "src/x/z(1).txt",
    "temp",
    "tempa",
    "vendor/node_modules/f",
    "web/node_modules/f",
    "web/src/a.md",
    "ü/ö.md",
];

const IGNORES: [&str; 24] = [
    "*.md\n!README.md",
    "docs\n!docs/README.md",
    "docs\n!docs/sub\ndocs/sub/deep",
    "*\n!src",
    "*\n!docs/sub/deep",
    "**/node_modules",
    "node_modules/",
    "a/**\n!a/b/c.go",
    ".env*\n**/*.pyc",
    "a\\*b",
    "**\n!**/*.md",
    "docs/*\n!docs/sub",
    "/temp?",
    "# *.md\n  temp  ",
    "**/sub/**",
    "**c.go*",
    "*/*/README.md",
    "[a-c]*",
    "[^a-z]*",
    "src/x/z(1).txt",
    "./docs/../a",
    "!*.md\n*.md",
    "**/x\n!**/y",
    "ü/*",
];

/// What Docker copies from `folder`.
fn copied(folder: &Path, out: &Path) -> BTreeSet<String> {
    let dockerfile = out.with_extension("Dockerfile");
    fs::write(&dockerfile, "FROM scratch\nCOPY . /\n").unwrap();
    let output = Command::new("docker")
        .args(["build", "--quiet", "--no-cache", "--file"])
        .arg(&dockerfile)
        .arg("--output")
        .arg(out)
        .arg(folder)
        .env("DOCKER_BUILDKIT", "1")
        .output()
        .expect("docker runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut found = BTreeSet::new();
    list(out, out, &mut found);
    found
}

fn list(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(root, &path, found);
        } else {
            found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn the_matcher_lets_in_what_docker_copies() {
    let root = tempfile::tempdir().unwrap();
    let context = root.path().join("context");
    for file in FILES {
        let path = context.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    for (index, text) in IGNORES.iter().enumerate() {
        fs::write(context.join(".dockerignore"), text).unwrap();
        let docker = copied(&context, &root.path().join(format!("out{index}")));
        let ignore = Ignore::parse(text).unwrap();
        let ours: BTreeSet<String> = FILES
            .iter()
            .chain(&[".dockerignore"])
            .filter(|path| !ignore.excludes(&path.parse().unwrap()))
            .map(|path| (*path).to_owned())
            .collect();
        assert_eq!(ours, docker, "{text:?}");
    }
}
