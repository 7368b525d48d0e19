//! Ignore rules are read as the real git reads them.

use crate::project::Project;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use wharf_pack::FoundKind;

const RULES: [&str; 52] = [
    "*.js",
    "/x.js",
    "a/",
    "/a/b",
    "b",
    "!x.js",
    "!a/b/x.js",
    "**/b/**",
    "a/**",
    "a/*",
    "!a/b/",
    "*.{js,ts}",
    "[xy].js",
    "[[:alpha:]].ts",
    "\\!bang",
    "\\#hash",
    "#comment",
    "   ",
    "x.js   ",
    "x.js\r",
    "a/**/keep",
    "**/keep",
    "!keep",
    ".*",
    "!.gitignore",
    "/*",
    "!/a",
    "*/b",
    "b/x.js",
    "dist",
    "dist/",
    "x\\.js",
    "*",
    "!*/",
    "**",
    "/**",
    "?.js",
    "{x,y}.js",
    "{x}.js",
    "!dist/keep",
    "dist/*",
    "!dist",
    "a/b/",
    "/b",
    "[!x].js",
    "[^x].js",
    "a/*/keep",
    "**/",
    "!**/keep",
    "/a/**/x.js",
    "sp ace",
    "ü*",
];

const FILES: [&str; 8] = ["x.js", "y.js", "y.ts", "keep", ".hidden", "{x}.js", "sp ace", "übel"];
const FOLDERS: [&str; 8] = ["", "a/", "b/", "dist/", "a/b/", "a/dist/", "a/b/b/", "dist/a/b/"];

fn rules() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&RULES[..]), 0..5).prop_map(|rules| rules.join("\n"))
}

/// What git would add, asked in a way that the person's own configuration does not matter.
fn by_git(project: &Project) -> BTreeSet<String> {
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .args(args)
            .current_dir(project.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", project.path(".git/home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    git(&["ls-files", "-z", "--others", "--exclude-standard"])
        .split(|b| *b == 0)
        .filter(|path| !path.is_empty())
        .map(|path| String::from_utf8(path.to_vec()).unwrap())
        .collect()
}

fn by_wharf(project: &Project) -> BTreeSet<String> {
    let walk = project.walk();
    assert!(walk.entries.iter().all(|found| matches!(found.kind, FoundKind::File { .. })));
    walk.entries.iter().map(|found| found.path.to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_files_as_git(root in rules(), a in rules(), deep in rules(), exclude in rules()) {
        let project = Project::new();
        for folder in FOLDERS {
            for file in FILES {
                project.file(&format!("{folder}{file}"), "");
            }
        }
        // A repository as `git init` makes it.
        project.folder(".git/objects").folder(".git/refs").file(".git/HEAD", "ref: refs/heads/main\n");
        project.file(".git/info/exclude", &exclude);
        project.file(".gitignore", &root).file("a/.gitignore", &a).file("a/b/.gitignore", &deep);
        prop_assert_eq!(by_wharf(&project), by_git(&project));
        // Without a repository the same rules hold, but for the repository's own.
        fs::remove_file(project.path(".git/info/exclude")).unwrap();
        let in_repository = by_wharf(&project);
        fs::remove_dir_all(project.path(".git")).unwrap();
        prop_assert_eq!(by_wharf(&project), in_repository);
    }
}
