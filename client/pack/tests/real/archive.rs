//! `wharf pack` writes what the real `unzip` opens.

use crate::project::{Project, noise, tree};
use std::fs::{self, File};
use std::io::Cursor;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use wharf_pack::{PackError, archive};

fn zipped(project: &Project) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    archive(&project.hash(), &mut bytes).unwrap();
    bytes.into_inner()
}

/// Extracts with Info-ZIP's unzip; false where there is none.
fn unzip(zip: &Path, into: &Path) -> bool {
    let run = Command::new("unzip")
        .args(["-q", "-o"])
        .arg(zip)
        .arg("-d")
        .arg(into)
        .env("LC_ALL", "C.UTF-8")
        .output();
    match run {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            true
        }
        Err(_) => {
            eprintln!("skipped: no unzip here");
            false
        }
    }
}

#[test]
fn unzip_gives_the_same_tree() {
    let project = Project::new();
    project
        .file("run.sh", "#!/bin/sh\n")
        .mode("run.sh", 0o755)
        .file("private", "x")
        .mode("private", 0o600)
        .file("empty", "")
        .file("src/grün/日本 語.md", "text ".repeat(5000))
        .file("odd \\ name's*?.txt", "x")
        .file("-rf", "x")
        .file("photo.bin", noise(300_000, 3))
        .file("long.bin", noise(6_000_000, 4))
        .folder("cache/inner")
        .mode("cache/inner", 0o750)
        .link("src/link", "grün/日本 語.md")
        .link("out", "../../elsewhere");
    for (path, seconds) in [("empty", 1_600_000_001_u64), ("photo.bin", 1), ("run.sh", 2_000_000_000)] {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        File::options().append(true).open(project.path(path)).unwrap().set_modified(time).unwrap();
    }
    let there = Project::new();
    there.file("deploy.zip", zipped(&project)).folder("out");
    if unzip(&there.path("deploy.zip"), &there.path("out")) {
        assert_eq!(tree(&there.path("out")), tree(project.root()));
        // Once more, over what is there.
        assert!(unzip(&there.path("deploy.zip"), &there.path("out")));
        assert_eq!(tree(&there.path("out")), tree(project.root()));
    }
}

#[test]
fn the_same_project_gives_the_same_bytes() {
    let project = Project::new();
    project.files(&["b", "a/c", "a/b"]).folder("d").link("l", "b");
    assert!(zipped(&project) == zipped(&project));
    let zip = zip::ZipArchive::new(Cursor::new(zipped(&project))).unwrap();
    assert_eq!(zip.file_names().map(Result::unwrap).collect::<Vec<_>>(), ["a/b", "a/c", "b", "d/", "l"]);
}

#[test]
fn names_that_a_zip_cannot_hold_are_told_before_a_byte_is_written() {
    let project = Project::new();
    project.file("a", "x");
    fs::write(project.root().join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "x").unwrap();
    let mut out = Cursor::new(Vec::new());
    assert!(matches!(archive(&project.hash(), &mut out), Err(PackError::ZipName { .. })));
    assert!(out.into_inner().is_empty());

    let project = Project::new();
    std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(b"caf\xe9"), project.path("link")).unwrap();
    let result = archive(&project.hash(), Cursor::new(Vec::new()));
    assert!(matches!(&result, Err(PackError::ZipLink { path }) if path.to_string() == "link"));
}

#[test]
fn a_file_that_changed_since_is_an_error() {
    let project = Project::new();
    project.file("a", "before");
    let hashed = project.hash();
    project.file("a", "after!");
    assert!(matches!(archive(&hashed, Cursor::new(Vec::new())), Err(PackError::Changed { .. })));
}

/// Takes a minute and writes nothing much: the file is a hole.
#[test]
fn a_file_above_4_gib_survives() {
    if std::env::var_os("WHARF_TEST_LONG").is_none() {
        return;
    }
    let project = Project::new();
    let size_bytes = (4_u64 << 30) + 12_345;
    let file = File::create(project.path("disk.img")).unwrap();
    file.set_len(size_bytes).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"the end", size_bytes - 7).unwrap();
    drop(file);
    let there = Project::new();
    archive(&project.hash(), File::create(there.path("deploy.zip")).unwrap()).unwrap();
    let mut zip = zip::ZipArchive::new(File::open(there.path("deploy.zip")).unwrap()).unwrap();
    assert_eq!(zip.by_name("disk.img").unwrap().size(), size_bytes);
    let test = Command::new("unzip").args(["-q", "-t"]).arg(there.path("deploy.zip")).output();
    if let Ok(output) = test {
        assert!(output.status.success(), "{output:?}");
    }
}
