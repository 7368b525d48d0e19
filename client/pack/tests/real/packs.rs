//! Packs are read back by the same crate that the agent reads them with.

use crate::project::{Project, noise};
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use wharf_pack::{Hashed, Pack, PackError, packs};
use wharf_proto::message::PackEncoding;
use wharf_proto::{Digest, limits};
use zip::{CompressionMethod, ZipArchive};

fn all(hashed: &Hashed) -> Vec<Digest> {
    hashed.manifest().chunks().map(|chunk| chunk.digest).collect()
}

/// The content of a pack, checked on the way; how each entry is compressed beside it.
fn open(pack: &Pack) -> BTreeMap<Digest, (Vec<u8>, CompressionMethod)> {
    assert_eq!(pack.encoding, PackEncoding::Zip);
    assert!(pack.bytes.len() as u64 <= limits::PACK_BYTES);
    let mut zip = ZipArchive::new(Cursor::new(&pack.bytes)).unwrap();
    let mut found = BTreeMap::new();
    for at in 0..zip.len() {
        let mut entry = zip.by_index(at).unwrap();
        let digest: Digest = entry.name().unwrap().parse().unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert_eq!(Digest::of(&content), digest);
        found.insert(digest, (content, entry.compression()));
    }
    assert_eq!(found.len(), pack.chunks);
    assert_eq!(found.values().map(|(content, _)| content.len() as u64).sum::<u64>(), pack.raw_bytes);
    found
}

#[test]
fn each_missing_chunk_is_in_one_pack() {
    let project = Project::new();
    for at in 0..60 {
        project.file(&format!("f{at}"), noise(400_000 + at, at as u64));
    }
    project.file("twice-1", "same").file("twice-2", "same").file("long", noise(9_000_000, 99));
    let hashed = project.hash();
    let made: Vec<Pack> = packs(&hashed, &all(&hashed)).map(Result::unwrap).collect();
    assert!(made.len() > 6);
    let mut found = BTreeMap::new();
    for pack in &made {
        assert!(pack.raw_bytes <= limits::PACK_TARGET_BYTES, "{}", pack.raw_bytes);
        for (digest, content) in open(pack) {
            assert!(found.insert(digest, content).is_none(), "{digest} twice");
        }
    }
    let expected: std::collections::BTreeSet<Digest> = all(&hashed).into_iter().collect();
    assert_eq!(found.into_keys().collect::<std::collections::BTreeSet<_>>(), expected);
}

#[test]
fn only_what_is_missing_is_packed_in_the_manifests_order() {
    let project = Project::new();
    project.file("a", "1").file("b", "2").file("c", "3");
    let hashed = project.hash();
    let missing = [Digest::of(b"3"), Digest::of(b"1"), Digest::of(b"3")];
    let made: Vec<Pack> = packs(&hashed, &missing).map(Result::unwrap).collect();
    assert_eq!(made.len(), 1);
    let zip = ZipArchive::new(Cursor::new(&made[0].bytes)).unwrap();
    let names: Vec<_> = zip.file_names().map(Result::unwrap).collect();
    assert_eq!(names, [Digest::of(b"1").to_hex(), Digest::of(b"3").to_hex()]);
    assert_eq!(packs(&hashed, &[]).count(), 0);
}

#[test]
fn what_does_not_shrink_is_stored() {
    let project = Project::new();
    let (text, photo) = ("text ".repeat(1000), noise(5000, 1));
    project.file("text", &text).file("photo", &photo);
    let hashed = project.hash();
    let pack = packs(&hashed, &all(&hashed)).next().unwrap().unwrap();
    let found = open(&pack);
    assert_eq!(found[&Digest::of(text.as_bytes())].1, CompressionMethod::Deflated);
    assert_eq!(found[&Digest::of(&photo)].1, CompressionMethod::Stored);
    let again = packs(&hashed, &all(&hashed)).next().unwrap().unwrap();
    assert!(pack.bytes == again.bytes, "the same chunks give the same pack");
}

#[test]
fn many_tiny_chunks_stay_within_the_limit() {
    let project = Project::new();
    for at in 0..24_000 {
        project.file(&format!("d{}/f{at}", at % 100), at.to_string());
    }
    let hashed = project.hash();
    let made: Vec<Pack> = packs(&hashed, &all(&hashed)).map(Result::unwrap).collect();
    assert_eq!(made.iter().map(|pack| pack.chunks).sum::<usize>(), 24_000);
    for pack in &made {
        open(pack);
        assert!(pack.bytes.len() as u64 <= limits::PACK_TARGET_BYTES + 1024, "{}", pack.bytes.len());
    }
}

#[test]
fn a_file_that_changed_since_ends_it() {
    let project = Project::new();
    project.file("a", "before");
    let hashed = project.hash();
    project.file("a", "after!");
    let result = packs(&hashed, &all(&hashed)).next().unwrap();
    assert!(matches!(result, Err(PackError::Changed { .. })));
}

#[test]
fn content_that_nobody_has_is_told_first() {
    let project = Project::new();
    project.file("a", "x");
    let hashed = project.hash();
    let results: Vec<_> = packs(&hashed, &[Digest::of(b"x"), Digest::of(b"?")]).collect();
    assert!(matches!(results.as_slice(), [Err(PackError::UnknownChunk { .. })]));
}
