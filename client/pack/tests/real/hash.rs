//! Manifests, and reading content again.

use crate::project::{Project, noise};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use wharf_pack::{PackError, hash, hash_with};
use wharf_proto::{Digest, EntryKind, limits, manifest::Chunk};

fn chunks<'a>(hashed: &'a wharf_pack::Hashed, path: &str) -> &'a [Chunk] {
    match &hashed.manifest().get(&path.parse().unwrap()).unwrap().kind {
        EntryKind::File { chunks, .. } => chunks,
        other => panic!("{path} is {other:?}"),
    }
}

#[test]
fn small_files_are_one_chunk_and_empty_ones_none() {
    let project = Project::new();
    let most = noise(limits::CHUNK_MAX_BYTES as usize, 1);
    project.file("empty", "").file("a", "content").file("b", "content").file("most", &most);
    let hashed = project.hash();
    assert!(chunks(&hashed, "empty").is_empty());
    assert_eq!(chunks(&hashed, "a"), [Chunk { digest: Digest::of(b"content"), size_bytes: 7 }]);
    assert_eq!(chunks(&hashed, "a"), chunks(&hashed, "b"));
    assert_eq!(
        chunks(&hashed, "most"),
        [Chunk { digest: Digest::of(&most), size_bytes: limits::CHUNK_MAX_BYTES }]
    );
    assert_eq!(hashed.read_chunk(&Digest::of(b"content")).unwrap(), "content");
    assert_eq!(hashed.read_chunk(&Digest::of(&most)).unwrap(), most);
}

#[test]
fn a_long_file_is_cut_by_its_content() {
    let project = Project::new();
    let mut content = noise(12 * 1024 * 1024, 2);
    project.file("disk.img", &content);
    let before = project.hash();
    let first = chunks(&before, "disk.img").to_vec();
    assert!(first.len() > 3);
    assert!(first.iter().all(|chunk| chunk.size_bytes <= limits::CHUNK_MAX_BYTES));
    let joined: Vec<u8> = first.iter().flat_map(|c| before.read_chunk(&c.digest).unwrap()).collect();
    assert!(joined == content);
    // A byte put in near the start moves all that follows: only the chunks there are new.
    content.insert(100, 7);
    project.file("disk.img", &content);
    let after = project.hash();
    let new = chunks(&after, "disk.img").iter().filter(|chunk| !first.contains(chunk)).count();
    assert!((1..=2).contains(&new), "{new} new chunks of {}", first.len());
}

#[test]
fn the_same_project_gives_the_same_manifest() {
    let project = Project::new();
    for at in 0..200 {
        project.file(&format!("d{}/f{at}", at % 7), noise(at * 31, at as u64));
    }
    let seen = AtomicU64::new(0);
    let walk = project.walk();
    let hashed = hash_with(&walk, project.root(), &|bytes| {
        seen.fetch_add(bytes, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(hashed.manifest(), project.hash().manifest());
    assert_eq!(seen.into_inner(), walk.size_bytes());
    assert_eq!(hashed.manifest().size_bytes(), walk.size_bytes());
    let json = serde_json::to_string(hashed.manifest()).unwrap();
    assert_eq!(&serde_json::from_str::<wharf_proto::Manifest>(&json).unwrap(), hashed.manifest());
}

#[test]
fn times_and_modes_are_in_the_manifest() {
    let project = Project::new();
    project.file("a", "x");
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_600_000_000_999);
    fs::File::options().append(true).open(project.path("a")).unwrap().set_modified(time).unwrap();
    let hashed = project.hash();
    let EntryKind::File { mtime_seconds, .. } = hashed.manifest().entries()[0].kind else { panic!("a file") };
    assert_eq!(mtime_seconds, 1_600_000_000);
}

#[test]
fn content_that_changed_since_is_never_given() {
    let project = Project::new();
    project.file("a", "before").file("b", "b");
    let hashed = project.hash();
    project.file("a", "after!");
    let digest = Digest::of(b"before");
    assert!(matches!(hashed.read_chunk(&digest), Err(PackError::Changed { .. })));
    project.file("a", "bef");
    assert!(matches!(hashed.read_chunk(&digest), Err(PackError::Changed { .. })));
    fs::remove_file(project.path("a")).unwrap();
    assert!(matches!(hashed.read_chunk(&digest), Err(PackError::Gone { .. })));
    assert!(matches!(hashed.read_chunk(&Digest::of(b"?")), Err(PackError::UnknownChunk { .. })));
}

#[test]
fn a_file_that_went_after_the_walk_is_named() {
    let project = Project::new();
    project.file("a", "x").file("b", "y");
    let walk = project.walk();
    fs::remove_file(project.path("b")).unwrap();
    let error = hash(&walk, project.root()).unwrap_err();
    assert!(matches!(&error, PackError::Gone { path } if path.to_string() == "b"), "{error:?}");
}

#[cfg(unix)]
#[test]
fn a_file_that_became_a_link_is_not_followed() {
    let project = Project::new();
    project.file("a", "x");
    let walk = project.walk();
    fs::remove_file(project.path("a")).unwrap();
    project.link("a", "/etc/hostname");
    let error = hash(&walk, project.root()).unwrap_err();
    assert!(matches!(&error, PackError::Unstable { .. }), "{error:?}");
}

/// How long 20,000 small files take; a number to look at, not a test.
#[test]
fn measure_many_small_files() {
    if std::env::var_os("WHARF_TEST_LONG").is_none() {
        return;
    }
    let project = Project::new();
    for at in 0..20_000_usize {
        project.file(&format!("d{}/e{}/f{at}.txt", at % 40, at % 400), noise(200 + at % 20_000, at as u64));
    }
    for _ in 0..3 {
        let start = std::time::Instant::now();
        let walk = project.walk();
        let walked = start.elapsed();
        let hashed = hash(&walk, project.root()).unwrap();
        let bytes = hashed.manifest().size_bytes();
        println!("{} files, {bytes} bytes: walk {walked:?}, all {:?}", walk.entries.len(), start.elapsed());
    }
}
