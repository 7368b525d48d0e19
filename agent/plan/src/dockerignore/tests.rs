use super::*;
use wharf_proto::EntryKind;

fn manifest(paths: &[&str]) -> Manifest {
    let file = |path: &&str| Entry {
        path: path.parse().unwrap(),
        kind: EntryKind::File { mode: 0o644, mtime_seconds: 0, size_bytes: 0, chunks: vec![] },
    };
    Manifest::new(paths.iter().map(file).collect()).unwrap()
}

fn excludes(ignore: &str, path: &str) -> bool {
    Ignore::parse(ignore).unwrap().excludes(&path.parse().unwrap())
}

/// Docker's documentation and moby's own table (`patternmatcher_test.go`).
#[test]
fn patterns_match_as_in_moby() {
    for (pattern, path, expected) in [
        // docs.docker.com, "dockerignore file".
        ("*/temp*", "somedir/temporary.txt", true),
        ("*/temp*", "somedir/temp", true),
        ("*/temp*", "temp", false),
        ("*/*/temp*", "somedir/subdir/temporary.txt", true),
        ("*/*/temp*", "somedir/temporary.txt", false),
        ("temp?", "tempa", true),
        ("temp?", "temp", false),
        ("temp?", "tempab", false),
        ("**/*.go", "a.go", true),
        ("**/*.go", "a/b/c.go", true),
        ("**/*.go", "a/b/c.gox", false),
        ("/foo/bar", "foo/bar", true),
        ("foo/bar/", "foo/bar", true),
        ("./foo", "foo", true),
        ("foo/../bar", "bar", true),
        // Anchored: unlike git's rules, a bare name is at the root only.
        ("node_modules", "node_modules/x/y", true),
        ("node_modules", "web/node_modules", false),
        ("*.md", "README.md", true),
        ("*.md", "docs/README.md", false),
        // moby's table.
        ("**", "file", true),
        ("**", "dir/file", true),
        ("**/", "file", true),
        ("**/**", "dir/file", true),
        ("dir/**", "dir/file", true),
        ("dir/**", "dir/dir2/file/", true),
        ("dir/**", "dir", false),
        ("**/dir", "dir", true),
        ("**/dir2/*", "dir/dir2/file", true),
        ("**/dir2/**", "dir/dir2/dir2/file", true),
        ("**file", "file", true),
        ("**file", "dir/file", true),
        ("**file", "dir/dir/file", true),
        ("**/file", "dir/dir/file", true),
        ("**/file*", "dir/dir/file.txt", true),
        ("**/file*txt", "dir/dir/file.txt", true),
        ("**/file*.txt", "dir/dir/file.txt", true),
        ("**/file*.txt*", "dir/dir/file.txt", true),
        ("**/**/*.txt", "dir/dir/file.txt", true),
        ("**/**/*.txt2", "dir/dir/file.txt", false),
        ("**/*.txt", "file.txt", true),
        ("a**/*.txt", "a/file.txt", true),
        ("a**/*.txt", "a/dir/file.txt", true),
        ("a/*.txt", "a/dir/file.txt", false),
        ("a/**/*.txt", "a/dir/dir/file.txt", true),
        ("a[b-d]e", "ae", false),
        ("a[b-d]e", "ace", true),
        ("a[b-d]e", "aae", false),
        ("a[^b-d]e", "aze", true),
        (".*", ".foo", true),
        (".*", "foo", false),
        ("abc.def", "abcdef", false),
        ("abc.def", "abc.def", true),
        ("abc.def", "abcZdef", false),
        ("a\\*b", "a*b", true),
        ("a\\*b", "axb", false),
        ("**/foo/bar", "foo/bar", true),
        ("**/foo/bar", "dir/dir2/foo/bar", true),
        ("abc/**", "abc/def/ghi", true),
        ("**/.foo", ".foo", true),
        ("**/.foo", "bar.foo", false),
        ("a(b)c/def", "a(b)c/def", true),
        ("a(b)c/def", "a(b)c/xyz", false),
        ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
        (
            "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
            "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
            true,
        ),
        ("dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", true),
        ("[a-z]x", "bx", true),
        (".", "a", false),
    ] {
        let path = path.trim_end_matches('/');
        assert_eq!(excludes(pattern, path), expected, "{pattern} on {path}");
    }
}

#[test]
fn the_last_match_wins_and_folders_hand_down() {
    for (ignore, path, expected) in [
        ("*.md\n!README.md", "README.md", false),
        ("*.md\n!README.md", "OTHER.md", true),
        // docs: README-secret.md stays out, and with the lines swapped every README is in.
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
        ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false),
        ("docs\n!docs/README.md", "docs/README.md", false),
        ("docs\n!docs/README.md", "docs/other", true),
        ("docs\n!docs/README.md", "docs/sub/README.md", true),
        ("*\n!src", "src/a/b", false),
        ("*\n!src\nsrc/a", "src/a/b", true),
        ("*\n!src/a", "src/b", true),
        ("**\n!util/docker/web", "util/docker/web/foo", false),
        ("**\n!util/docker/web\nutil/docker/web/foo", "util/docker/web/foo", true),
        ("!a", "a", false),
        ("  spaced  ", "spaced", true),
        ("! a\n", "a", false),
        ("a\n! a", "a", false),
        ("# comment\n#x", "#x", false),
        ("\\#x", "#x", true),
        ("\u{feff}bom", "bom", true),
        ("a\r\nb\r\n", "b", true),
    ] {
        assert_eq!(excludes(ignore, path), expected, "{ignore:?} on {path}");
    }
}

#[test]
fn patterns_that_docker_refuses_are_refused() {
    for bad in ["!", "a\n! ", "[", "a[b", "[]a]", "[-x]", "[x-]", "a\\", "[^]"] {
        assert!(Ignore::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn names_that_are_not_utf8_are_filtered_too() {
    let path = RelPath::new(b"a/\xff.log".to_vec()).unwrap();
    assert!(Ignore::parse("**/*.log").unwrap().excludes(&path));
}

#[test]
fn the_context_is_a_folder_of_the_project() {
    let manifest = manifest(&[
        "backend/.dockerignore",
        "backend/Dockerfile",
        "backend/app.py",
        "backend/a.pyc",
        "web/a.pyc",
    ]);
    let (context, dockerfile) = ("backend".parse().unwrap(), "backend/Dockerfile".parse().unwrap());
    let found = filter_context(
        &manifest,
        Some(&context),
        Some(&dockerfile),
        Some("*.pyc\nDockerfile\n.dockerignore"),
    )
    .unwrap();
    let paths = |entries: &[Entry]| entries.iter().map(|e| e.path.to_string()).collect::<Vec<_>>();
    assert_eq!(paths(&found.entries), ["app.py"]);
    assert_eq!(paths(&found.needed), [".dockerignore", "Dockerfile"]);
    let whole = filter_context(&manifest, None, None, None).unwrap();
    assert_eq!(whole.entries.len(), 5);
}

#[test]
fn the_dockerfiles_own_ignore_file_wins() {
    let manifest =
        manifest(&[".dockerignore", "docker/app.Dockerfile", "docker/app.Dockerfile.dockerignore"]);
    let of = |dockerfile: &str| {
        ignore_file(&manifest, None, Some(&dockerfile.parse().unwrap())).map(|e| e.path.to_string())
    };
    assert_eq!(of("docker/app.Dockerfile").as_deref(), Some("docker/app.Dockerfile.dockerignore"));
    assert_eq!(of("Dockerfile").as_deref(), Some(".dockerignore"));
    assert!(ignore_file(&manifest, Some(&"web".parse().unwrap()), None).is_none());
}
