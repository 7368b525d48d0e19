use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use wharf_proto::manifest::{Chunk, LinkTarget};
use wharf_proto::{Entry, EntryKind, Manifest, RelPath};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

fn store() -> (tempfile::TempDir, BlobStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = BlobStore::open(&dir.path().join("blobs")).unwrap();
    (dir, store)
}

fn zip_of(entries: &[(String, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(name.as_str(), SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn named(content: &[u8]) -> (String, &[u8]) {
    (Digest::of(content).to_hex(), content)
}

fn wanted(contents: &[&[u8]]) -> HashSet<Digest> {
    contents.iter().map(|content| Digest::of(content)).collect()
}

/// Every file below the store's folder but the folders themselves.
fn files(store: &BlobStore) -> usize {
    store.folders().chain([store.temporary()]).map(|folder| std::fs::read_dir(folder).unwrap().count()).sum()
}

fn file(path: impl Into<Vec<u8>>, mode: u32, chunks: &[Digest], store: &BlobStore) -> Entry {
    let chunks: Vec<_> = chunks
        .iter()
        .map(|digest| Chunk { digest: *digest, size_bytes: store.read(*digest).unwrap().len() as u32 })
        .collect();
    let size_bytes = chunks.iter().map(|chunk| u64::from(chunk.size_bytes)).sum();
    let kind = EntryKind::File { mode, mtime_seconds: 1_700_000_000, size_bytes, chunks };
    Entry { path: RelPath::new(path).unwrap(), kind }
}

fn link(path: &str, target: &[u8]) -> Entry {
    Entry { path: path.parse().unwrap(), kind: EntryKind::Symlink { target: LinkTarget::new(target) } }
}

#[test]
fn a_pack_is_stored_in_every_encoding() {
    let (_dir, store) = store();
    let many: Vec<Vec<u8>> = (0..50u32).map(|number| number.to_le_bytes().to_vec()).collect();
    for (method, few) in [
        (CompressionMethod::Stored, [b"a".as_slice(), b""]),
        (CompressionMethod::Deflated, [b"b", b"c"]),
        (CompressionMethod::Zstd, [b"d", b"e"]),
    ] {
        // More than are synced one by one, in one of the three.
        let more = if method == CompressionMethod::Stored { many.as_slice() } else { &[] };
        let contents: Vec<&[u8]> = few.into_iter().chain(more.iter().map(Vec::as_slice)).collect();
        let entries: Vec<_> = contents.iter().map(|content| named(content)).collect();
        let stored = store.put_pack_zip(&zip_of(&entries, method), &wanted(&contents)).unwrap();
        let expected: Vec<_> = contents.iter().map(|c| (Digest::of(c), c.len() as u64)).collect();
        assert_eq!(stored, expected);
        for content in contents {
            assert_eq!(store.read(Digest::of(content)).unwrap(), content);
        }
    }
}

#[test]
fn what_one_store_packs_another_one_takes() {
    let ((_dir, from), (_other, to)) = (store(), store());
    let large = |seed: u8| -> Vec<u8> { (0..3 * 1024 * 1024u32).map(|n| (n % 251) as u8 ^ seed).collect() };
    let contents = [b"small".to_vec(), large(1), large(2), Vec::new(), large(3)];
    let digests: Vec<Digest> = contents.iter().map(|content| from.put(content).unwrap()).collect();
    let all: HashSet<Digest> = digests.iter().copied().collect();
    let (mut left, mut sizes) = (digests.as_slice(), Vec::new());
    while !left.is_empty() {
        let pack = from.pack_zip(left).unwrap();
        assert!(
            pack.content_bytes <= limits::PACK_TARGET_BYTES && pack.zip.len() as u64 <= limits::PACK_BYTES
        );
        to.put_pack_zip(&pack.zip, &all).unwrap();
        sizes.push(pack.blobs);
        left = &left[pack.blobs..];
    }
    assert_eq!(sizes, [2, 2, 1], "as much as fits into one");
    for (digest, content) in digests.iter().zip(&contents) {
        assert_eq!(to.read(*digest).unwrap(), *content);
    }
    assert!(matches!(from.pack_zip(&[Digest::of(b"nowhere")]), Err(BlobError::Missing(_))));
}

#[test]
fn a_bad_entry_refuses_the_pack_and_keeps_what_was_good_before_it() {
    let good: (String, &[u8]) = named(b"good");
    let late = named(b"late");
    let bomb = vec![0; limits::CHUNK_MAX_BYTES as usize + 1];
    let bomb_digest = Digest::of(&bomb);
    let check = |bad: (String, &[u8]), is_it: fn(&BlobError) -> bool| {
        let (_dir, store) = store();
        let mut wanted = wanted(&[b"good", b"late", b"promised"]);
        wanted.insert(bomb_digest);
        let pack = zip_of(&[good.clone(), bad.clone(), late.clone()], CompressionMethod::Deflated);
        let error = store.put_pack_zip(&pack, &wanted).unwrap_err();
        assert!(is_it(&error), "{error:?}");
        assert!(error.to_string().contains(&bad.0), "{error} does not name {}", bad.0);
        assert_eq!(store.read(Digest::of(b"good")).unwrap(), b"good");
        assert_eq!(files(&store), 1, "only the good one is there, and nothing temporary");
    };
    check((Digest::of(b"promised").to_hex(), b"other"), |e| matches!(e, BlobError::WrongDigest { .. }));
    check((bomb_digest.to_hex(), &bomb), |e| matches!(e, BlobError::TooLong { .. }));
    check(named(b"uncalled for"), |e| matches!(e, BlobError::Unwanted { .. }));
    check(("../../etc/passwd".into(), b"x"), |e| matches!(e, BlobError::Name { .. }));
    check((Digest::of(b"promised").to_hex().to_uppercase(), b"promised"), |e| {
        matches!(e, BlobError::Name { .. })
    });
}

/// The length that a zip's header states is a lie here: it is the inflating that must stop.
#[test]
fn a_bomb_is_stopped_while_it_inflates() {
    let (_dir, store) = store();
    let bomb = vec![0; 16 * 1024 * 1024];
    let digest = Digest::of(&bomb);
    let mut pack = zip_of(&[(digest.to_hex(), &bomb)], CompressionMethod::Deflated);
    assert!(pack.len() < 1024 * 1024);
    // The uncompressed size, in the local header and in the directory.
    let size = (bomb.len() as u32).to_le_bytes();
    let places: Vec<_> =
        pack.windows(4).enumerate().filter(|(_, four)| *four == size).map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        pack[at..at + 4].copy_from_slice(&5u32.to_le_bytes());
    }
    assert!(store.put_pack_zip(&pack, &HashSet::from([digest])).is_err());
    assert_eq!(files(&store), 0);
}

#[test]
fn what_is_no_zip_is_refused() {
    let (_dir, store) = store();
    assert!(matches!(store.put_pack_zip(b"PK\x03\x04 nothing", &HashSet::new()), Err(BlobError::NotAZip(_))));
    let long = vec![0; limits::PACK_BYTES as usize + 1];
    assert!(matches!(store.put_pack_zip(&long, &HashSet::new()), Err(BlobError::PackTooLong(_))));
    let whole = zip_of(&[named(b"content")], CompressionMethod::Deflated);
    for length in 0..whole.len() {
        assert!(store.put_pack_zip(&whole[..length], &wanted(&[b"content"])).is_err());
    }
}

#[test]
fn missing_lists_each_once_in_order() {
    let (_dir, store) = store();
    let here = store.put(b"here").unwrap();
    let [b, a] = [Digest::of(b"b"), Digest::of(b"a")];
    assert_eq!(store.missing([b, here, a, b, here]).unwrap(), [b, a]);
}

#[test]
fn a_damaged_blob_is_never_given_out_and_is_asked_for_again() {
    let (dir, store) = store();
    let digest = store.put(b"content").unwrap();
    std::fs::write(store.path(digest), b"rotten!").unwrap();
    let to = dir.path().join("out");
    let chunk = Chunk { digest, size_bytes: 7 };
    let meta = FileMeta { mode: 0o644, mtime_seconds: 0, owner: None };
    std::fs::write(&to, b"before").unwrap();
    assert!(matches!(store.write_file(&[chunk], &to, meta, true), Err(BlobError::Damaged(_))));
    assert_eq!(std::fs::read(&to).unwrap(), b"before");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file stays");
    assert_eq!(store.missing([digest]).unwrap(), [digest]);
    assert!(matches!(store.read(digest), Err(BlobError::Missing(_))));
}

#[test]
fn a_chunk_that_is_not_as_long_as_promised_is_refused() {
    let (dir, store) = store();
    let digest = store.put(b"content").unwrap();
    let meta = FileMeta { mode: 0o644, mtime_seconds: 0, owner: None };
    let chunk = Chunk { digest, size_bytes: 6 };
    let error = store.write_file(&[chunk], &dir.path().join("out"), meta, false).unwrap_err();
    assert!(matches!(error, BlobError::Size { expected: 6, found: 7, .. }));
}

#[test]
fn a_file_replaces_a_link_and_not_what_the_link_leads_to() {
    let (dir, store) = store();
    let digest = store.put(b"new").unwrap();
    let (target, to) = (dir.path().join("target"), dir.path().join("to"));
    std::fs::write(&target, b"old").unwrap();
    std::os::unix::fs::symlink(&target, &to).unwrap();
    let meta = FileMeta { mode: 0o640, mtime_seconds: -5, owner: None };
    store.write_file(&[Chunk { digest, size_bytes: 3 }], &to, meta, true).unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), b"old");
    let data = std::fs::symlink_metadata(&to).unwrap();
    assert!(data.is_file());
    assert_eq!((data.mode() & 0o7777, data.mtime()), (0o640, -5));
}

#[test]
fn temporary_files_of_a_crash_are_swept() {
    let (dir, store) = store();
    std::fs::write(store.temporary().join("17"), b"half").unwrap();
    let store = BlobStore::open(&dir.path().join("blobs")).unwrap();
    assert_eq!(files(&store), 0);
    assert_eq!(std::fs::metadata(&store.shared.dir).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn retain_keeps_what_is_wanted_leased_or_young() {
    let (_dir, store) = store();
    let [kept, leased, gone] = [b"kept".as_slice(), b"leased", b"gone"].map(|c| store.put(c).unwrap());
    let stray = store.folders().next().unwrap().join("notes.txt");
    std::fs::write(&stray, b"not ours").unwrap();
    let keep = HashSet::from([kept]);

    assert_eq!(store.retain(&keep, Duration::from_secs(3600)).unwrap(), Removed::default());
    let first = store.lease([leased, leased]);
    let second = store.lease([leased]);
    assert_eq!(store.leased(), HashSet::from([leased]));
    assert_eq!(store.retain(&keep, Duration::ZERO).unwrap(), Removed { blobs: 1, bytes: 4 });
    drop(first);
    assert_eq!(store.retain(&keep, Duration::ZERO).unwrap(), Removed::default());
    assert_eq!(store.missing([kept, leased, gone]).unwrap(), [gone]);
    drop(second);
    assert!(store.leased().is_empty());
    assert_eq!(store.retain(&keep, Duration::ZERO).unwrap(), Removed { blobs: 1, bytes: 6 });
    assert_eq!(store.missing([kept, leased, gone]).unwrap(), [leased, gone]);
    assert!(stray.exists());
}

#[test]
fn a_release_is_written_out_as_it_was() {
    let (dir, store) = store();
    let parts = [b"one ".as_slice(), b"two"].map(|content| store.put(content).unwrap());
    let manifest = Manifest::new(vec![
        file("deep/er/file", 0o640, &parts, &store),
        file("run", 0o755, &parts[..1], &store),
        file("locked", 0o000, &parts[1..], &store),
        file("empty", 0o644, &[], &store),
        file(b"caf\xe9".to_vec(), 0o644, &parts[1..], &store),
        link("out", b"/etc/passwd"),
        link("deep/up", b"../run"),
        link("odd", b"\xff\xfe"),
        Entry { path: "hollow/inner".parse().unwrap(), kind: EntryKind::Folder { mode: 0o750 } },
    ])
    .unwrap();
    let root = dir.path().join("stage");
    let own = nix::unistd::getuid().as_raw();
    let group = nix::unistd::getgid().as_raw();
    store.materialise(&manifest, &root, Some((own, group))).unwrap();

    let at = |path: &[u8]| root.join(std::ffi::OsStr::from_bytes(path));
    let mode = |path: &[u8]| std::fs::symlink_metadata(at(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(std::fs::read(at(b"deep/er/file")).unwrap(), b"one two");
    assert_eq!(std::fs::read(at(b"caf\xe9")).unwrap(), b"two");
    assert_eq!(std::fs::read(at(b"empty")).unwrap(), b"");
    assert_eq!(std::fs::metadata(at(b"run")).unwrap().mtime(), 1_700_000_000);
    let modes: [(&[u8], u32); 7] = [
        (b"deep", 0o755),
        (b"deep/er", 0o755),
        (b"deep/er/file", 0o640),
        (b"run", 0o755),
        (b"locked", 0o000),
        (b"hollow/inner", 0o750),
        (b"hollow", 0o755),
    ];
    for (path, expected) in modes {
        assert_eq!(mode(path), expected, "{}", String::from_utf8_lossy(path));
    }
    for (path, target) in
        [(b"out".as_slice(), b"/etc/passwd".as_slice()), (b"deep/up", b"../run"), (b"odd", b"\xff\xfe")]
    {
        assert_eq!(std::fs::read_link(at(path)).unwrap().as_os_str().as_bytes(), target);
    }
    assert!(matches!(store.materialise(&manifest, &root, None), Err(BlobError::NotEmpty(_))));
}

/// A manifest that was never checked, as only a bug or a forged state could bring it.
#[test]
fn nothing_is_written_through_a_link_of_the_release() {
    let (dir, store) = store();
    let digest = store.put(b"evil").unwrap();
    let outside = dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let entries = vec![link("a", outside.as_os_str().as_bytes()), file("a/evil", 0o644, &[digest], &store)];
    let forged: Manifest = serde_json::from_value(serde_json::to_value(entries).unwrap()).unwrap();
    assert!(store.materialise(&forged, &dir.path().join("stage"), None).is_err());
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_missing_chunk_fails_and_names_the_file() {
    let (dir, store) = store();
    let digest = store.put(b"x").unwrap();
    let manifest = Manifest::new(vec![file("some/file", 0o644, &[digest], &store)]).unwrap();
    std::fs::remove_file(store.path(digest)).unwrap();
    let error = store.materialise(&manifest, &dir.path().join("stage"), None).unwrap_err();
    assert!(matches!(&error, BlobError::Entry { source, .. } if matches!(**source, BlobError::Missing(_))));
    assert!(error.to_string().contains("some/file"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Any files, cut into any chunks, come back out byte by byte, by the tree and by the stream.
    #[test]
    fn trees_come_back_as_they_went_in(
        files in proptest::collection::btree_map(
            "[a-c]{1,2}(/[a-c]{1,2}){0,2}\\.f",
            (proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 0..4), 0o400u32..0o1000),
            0..12,
        )
    ) {
        let (dir, store) = store();
        let mut entries = Vec::new();
        let mut expected = BTreeMap::new();
        for (path, (parts, mode)) in &files {
            let digests: Vec<_> = parts.iter().map(|part| store.put(part).unwrap()).collect();
            entries.push(file(path.as_str(), *mode, &digests, &store));
            expected.insert(path, parts.concat());
        }
        let manifest = Manifest::new(entries).unwrap();
        let root = dir.path().join("stage");
        store.materialise(&manifest, &root, None).unwrap();
        for entry in manifest.entries() {
            let EntryKind::File { chunks, mode, .. } = &entry.kind else { panic!("only files") };
            let content = &expected[&entry.path.to_string()];
            let mut streamed = Vec::new();
            store.open_file(chunks).read_to_end(&mut streamed).unwrap();
            prop_assert_eq!(&streamed, content);
            let path = entry.path.below(&root);
            prop_assert_eq!(&std::fs::read(&path).unwrap(), content);
            prop_assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, *mode);
        }
    }
}
