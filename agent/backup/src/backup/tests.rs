use super::*;
use crate::reader::StreamReader;
use crate::source::{Entry, Opener};
use crate::stream::Piece;
use bytes::Bytes;
use jiff::Timestamp;
use rustic_core::repofile::Node;
use rustic_core::{FileType, ReadBackend};
use std::path::{Path, PathBuf};
use wharf_proto::database::DatabaseKind;

struct Scene {
    folder: tempfile::TempDir,
    store: Store,
    ledger: Arc<Ledger>,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (repo, key) = (folder.path().join("repo"), folder.path().join("key"));
        crate::init_repo(&repo, &key).unwrap();
        let store = Store::lock(&repo, &key).unwrap();
        let outbox = Arc::new(Outbox::new(std::io::sink()));
        Self { folder, store, ledger: Arc::new(Ledger::new(outbox, Phase::Files)) }
    }

    /// The same repository, as the next run has it.
    fn again(self) -> Self {
        let Self { folder, store, .. } = self;
        drop(store);
        let store = Store::lock(&folder.path().join("repo"), &folder.path().join("key")).unwrap();
        let outbox = Arc::new(Outbox::new(std::io::sink()));
        Self { folder, store, ledger: Arc::new(Ledger::new(outbox, Phase::Files)) }
    }

    fn entry(&self, path: &str, open: Opener) -> Entry {
        Entry::made(path, 4, "2026-01-02T03:04:05Z".parse().unwrap(), open).unwrap()
    }

    fn file(&self, path: &str, on_disk: &str) -> Entry {
        let path_on_disk = self.folder.path().join(on_disk);
        let ledger = Arc::clone(&self.ledger);
        self.entry(path, Opener::File { path: path_on_disk, size_bytes: 4, mtime: None, ledger })
    }

    fn archive(&self, entries: Vec<Entry>) -> Result<SnapshotFile, BackupError> {
        let repository = self.store.open().unwrap().to_indexed().unwrap();
        let source = SnapshotSource::new(entries.into_iter(), Arc::clone(&self.ledger));
        let parents = latest(&repository).unwrap().into_iter().collect();
        let draft = SnapshotFile { time: jiff::Zoned::now(), ..SnapshotFile::default() };
        archive(&self.store, &repository, source, &self.ledger, parents, draft)
    }

    fn snapshots(&self) -> usize {
        self.store.gate.list(FileType::Snapshot).unwrap().len()
    }
}

#[test]
fn a_file_that_went_away_is_no_fault() {
    let scene = Scene::new();
    std::fs::write(scene.folder.path().join("here"), "here").unwrap();
    let entries = vec![scene.file("/project/gone", "gone"), scene.file("/project/here", "here")];
    let snapshot = scene.archive(entries).unwrap();
    assert_eq!(snapshot.summary.unwrap().total_files_processed, 1);
    assert_eq!(scene.snapshots(), 0);
    scene.store.gate.release().unwrap();
    assert_eq!(scene.snapshots(), 1);
}

#[test]
fn what_a_run_left_that_ended_before_its_check_is_found() {
    let scene = Scene::new();
    let found = |written: &[(FileType, rustic_core::Id)]| {
        let found = crate::verify::unreleased(&scene.store, &scene.store.open().unwrap(), written).unwrap();
        found.into_iter().map(|pack| (*pack.id, pack.blobs)).collect::<Vec<_>>()
    };
    assert_eq!(found(&[]), []);
    let entry = || scene.entry("/file", Opener::Bytes(Bytes::from_static(b"file")));
    scene.archive(vec![entry()]).unwrap();
    scene.store.gate.withhold();
    let left = found(&[]);
    assert!(!left.is_empty() && left.iter().all(|(_, blobs)| !blobs.is_empty()), "{left:?}");
    assert_eq!(found(&scene.store.gate.written().0), []);
    // Nobody builds on what the index does not name.
    let stray = scene.store.gate.path(FileType::Pack, &rustic_core::Id::random());
    std::fs::create_dir_all(stray.parent().unwrap()).unwrap();
    std::fs::write(&stray, "half a pack").unwrap();
    assert_eq!(found(&[]), left);
    std::fs::remove_file(&stray).unwrap();
    let ledger = Arc::new(Ledger::new(Arc::new(Outbox::new(std::io::sink())), Phase::Files));
    let repository = scene.store.open().unwrap().to_indexed_ids().unwrap();
    let source = SnapshotSource::new([entry()].into_iter(), Arc::clone(&ledger));
    let snapshot =
        archive(&scene.store, &repository, source, &ledger, Vec::new(), SnapshotFile::default()).unwrap();
    verify(&scene.store, &snapshot, &Arc::new(Outbox::new(std::io::sink()))).unwrap();
    scene.store.gate.release().unwrap();
    assert_eq!(found(&[]), []);
}

/// Where there is more than a check may read, what this run wrote and what no snapshot has named yet is read all the same.
#[test]
fn what_is_new_is_read_whatever_the_check_has_no_room_for() {
    let contents: [Bytes; 5] = std::array::from_fn(|_| {
        let mut content = vec![0; 300_000];
        rand::Rng::fill_bytes(&mut rand::rng(), &mut content);
        content.into()
    });
    let with = |scene: &Scene, numbers: &[usize]| {
        let entry =
            |&number: &usize| scene.entry(&format!("/file{number}"), Opener::Bytes(contents[number].clone()));
        scene.archive(numbers.iter().map(entry).collect()).unwrap()
    };
    let packs = |scene: &Scene| -> Vec<PathBuf> {
        let (written, _) = scene.store.gate.written();
        let packs = written.iter().filter(|(kind, _)| *kind == FileType::Pack);
        packs.map(|(_, id)| scene.store.gate.path(FileType::Pack, id)).collect()
    };
    // Those with trees are small, and no other snapshot needs them.
    let files = |scene: &Scene| {
        let large = |path: &PathBuf| path.metadata().unwrap().len() > 100_000;
        packs(scene).into_iter().filter(large).collect::<Vec<_>>()
    };
    let scene = Scene::new();
    with(&scene, &[0]);
    let mut shared = files(&scene);
    scene.store.gate.release().unwrap();
    // A run that ended before its check, and a younger snapshot that does not need what it wrote.
    let scene = scene.again();
    with(&scene, &[1]);
    let mut new = files(&scene);
    scene.store.gate.withhold();
    let scene = scene.again();
    with(&scene, &[0, 2]);
    shared.extend(files(&scene));
    scene.store.gate.release().unwrap();
    // One that ended so after the youngest snapshot.
    let scene = scene.again();
    with(&scene, &[3]);
    new.extend(files(&scene));
    scene.store.gate.withhold();
    assert_eq!((shared.len(), new.len()), (2, 2));
    let scene = scene.again();
    let snapshot = with(&scene, &[0, 1, 2, 3, 4]);
    new.extend(packs(&scene));

    let outbox = Arc::new(Outbox::new(std::io::sink()));
    let verify =
        |shared_bytes| crate::verify::verify_within(&scene.store, &snapshot, &outbox, shared_bytes).map(drop);
    verify(0).unwrap();
    for path in &new {
        let whole = damage(path);
        let found = verify(0).unwrap_err();
        assert!(matches!(found, BackupError::Damaged { .. }), "{}: {found:?}", path.display());
        replace(path, &whole);
    }
    // What the parent has is passed over where there is no room, and read where there is.
    let whole: Vec<Vec<u8>> = shared.iter().map(|path| damage(path)).collect();
    verify(0).unwrap();
    assert!(matches!(verify(u64::MAX), Err(BackupError::Damaged { .. })));
    std::iter::zip(&shared, &whole).for_each(|(path, whole)| replace(path, whole));
    verify(u64::MAX).unwrap();
}

/// Changes a byte of a file; what it was.
fn damage(path: &Path) -> Vec<u8> {
    let whole = std::fs::read(path).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 3] ^= 1;
    replace(path, &damaged);
    whole
}

/// Writes another content where files may be read-only, as old as the one before.
fn replace(path: &Path, content: &[u8]) {
    let written = path.metadata().unwrap().modified().unwrap();
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, content).unwrap();
    std::fs::File::options().write(true).open(path).unwrap().set_modified(written).unwrap();
}

#[test]
fn what_is_stored_is_taken_over_by_the_size_that_it_came_to_have() {
    let scene = Scene::new();
    let (path, time) = ("/dumps/db/fitness.pgdump", Timestamp::UNIX_EPOCH);
    let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let stored = scene
        .archive(vec![Entry::made(path, 0, time, Opener::Bytes(content.clone().into())).unwrap()])
        .unwrap();
    scene.store.gate.withhold();
    let blobs =
        known::node_of(&scene.store, &scene.store.open().unwrap(), stored.tree, path).unwrap().content;
    known::node_of(&scene.store, &scene.store.open().unwrap(), stored.tree, "/dumps/db/other").unwrap_err();
    let node = Entry::node(path, content.len() as u64, time).unwrap();
    let file = (path.into(), Node { content: blobs.clone(), ..node.clone() });
    let (id, shown) = known::known([file], &scene.store.open().unwrap().key()).unwrap();
    scene.store.gate.show(shown);
    let repository = open_to_write(&scene.store).unwrap();
    let open = Opener::Stored { path: path.into(), ledger: Arc::clone(&scene.ledger) };
    let entry = Entry { path: path.into(), node, open: Some(open) };
    let ledger = Arc::new(Ledger::new(Arc::new(Outbox::new(std::io::sink())), Phase::Files));
    let source = SnapshotSource::new([entry].into_iter(), Arc::clone(&ledger));
    let draft = SnapshotFile::default();
    let snapshot = archive(&scene.store, &repository, source, &ledger, vec![id], draft).unwrap();
    let snapshot = of_real_parents(&scene.store, &repository, snapshot, Some(id)).unwrap();
    assert_eq!((snapshot.parent, &snapshot.parents), (None, &Vec::new()));
    verify(&scene.store, &snapshot, &Arc::new(Outbox::new(std::io::sink()))).unwrap();
    let repository = scene.store.open_indexed().unwrap();
    let found = repository.node_from_snapshot_and_path(&snapshot, path).unwrap();
    let check = |content| check_contents(&scene.store, &repository, &snapshot, &[(path.to_owned(), content)]);
    check(content_of(&found)).unwrap();
    assert!(matches!(check([0; 32]), Err(BackupError::Damaged { .. })));
    assert_eq!((found.meta.size, &found.content), (content.len() as u64, &blobs));
    let mut read = Vec::new();
    repository.dump(&found, &mut read).unwrap();
    assert!(read == content);
    // Nothing of it can be seen any more.
    assert_eq!(scene.store.gate.release().unwrap(), *snapshot.id);
    assert_eq!(scene.store.open().unwrap().get_all_snapshots().unwrap()[0].parents, []);
}

#[test]
fn what_is_not_known_is_not_taken_for_stored() {
    let scene = Scene::new();
    let open = Opener::Stored { path: "/dumps/db.pgdump".into(), ledger: Arc::clone(&scene.ledger) };
    let fault = scene.archive(vec![scene.entry("/dumps/db.pgdump", open)]).unwrap_err();
    assert!(matches!(fault, BackupError::Invalid { .. }), "{fault:?}");
    assert!(scene.store.gate.release().is_err());
}

#[test]
fn a_stream_that_fails_leaves_nothing_to_release() {
    let scene = Scene::new();
    let fault = BackupError::Invalid { what: "the dump failed".into() };
    let (sender, pieces) = tokio::sync::mpsc::channel(2);
    sender.try_send(Piece::Data(Bytes::from_static(b"half"))).unwrap();
    sender.try_send(Piece::Failed(fault.clone())).unwrap();
    let reader = StreamReader::new(pieces, Arc::clone(&scene.ledger), fault.clone());
    let start = Box::new(move || reader);
    let stream = Opener::Stream { start, ledger: Arc::clone(&scene.ledger) };
    assert_eq!(scene.archive(vec![scene.entry("/dumps/db.pgdump", stream)]).unwrap_err(), fault);
    assert!(scene.store.gate.release().is_err());
    assert_eq!(scene.snapshots(), 0);
}

#[test]
fn much_is_cut_into_larger_chunks_and_the_settings_stay() {
    let chunks = |coarsely: bool| {
        let scene = Scene::new();
        if coarsely {
            scene.store.cut_coarsely();
        }
        let mut content = vec![0; 1_000_000];
        rand::Rng::fill_bytes(&mut rand::rng(), &mut content);
        let entry = scene.entry("/file", Opener::Bytes(content.into()));
        let repository = scene.store.open_to_write().unwrap().to_indexed_ids().unwrap();
        let source = SnapshotSource::new([entry].into_iter(), Arc::clone(&scene.ledger));
        let snapshot =
            archive(&scene.store, &repository, source, &scene.ledger, Vec::new(), SnapshotFile::default())
                .unwrap();
        let scene = scene.again();
        let repository = scene.store.open_indexed().unwrap();
        assert_eq!(repository.config().chunk_size(), 8 * 1024);
        let node = repository.node_from_snapshot_and_path(&snapshot, "/file").unwrap();
        node.content.unwrap().len()
    };
    let (small, large) = (chunks(false), chunks(true));
    assert!(small > 60 && large < 30, "{small} {large}");
}

#[test]
fn what_nobody_reads_back_is_checked_before_it_is_written() {
    let scene = Scene::new();
    let checks = |scene: &Scene| scene.store.open().unwrap().config().extra_verify();
    assert!(!checks(&scene));
    scene.store.check_writes().unwrap();
    assert!(checks(&scene));
    assert!(!checks(&scene.again()), "the settings on the disk have changed");
}

#[test]
fn what_rustic_drops_is_missed() {
    let scene = Scene::new();
    // An entry without a way to read it: rustic logs it and goes on.
    let mut entry = scene.entry("/project/file", Opener::Bytes(Bytes::from_static(b"file")));
    entry.open = None;
    let lost = scene.archive(vec![entry]).unwrap_err();
    assert_eq!(lost, BackupError::Incomplete { expected: 1, missing: 1 });
    assert!(scene.store.gate.release().is_err());
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let request = |dumps: &[&str], cold: &[&str]| BackupRequest {
        repo: "/r".into(),
        key_file: "/k".into(),
        docker_socket: "/d".into(),
        project: None,
        dumps: dumps
            .iter()
            .map(|&label| crate::DumpRequest {
                label: label.into(),
                kind: DatabaseKind::Postgres,
                container: "c".into(),
                user: None,
                database: None,
                commands: None,
            })
            .collect(),
        cold: cold
            .iter()
            .map(|&label| crate::ColdRequest { label: label.into(), path: "/p".into() })
            .collect(),
        volumes: vec![],
        holds: vec![],
        recovery: None,
        tags: vec![],
        host: String::new(),
        time: "2026-01-02T03:04:05Z".parse().unwrap(),
    };
    check_request(&request(&["a", "a/b"], &["a", "b"])).unwrap();
    for (dumps, cold) in
        [(&[][..], &[][..]), (&["a", "a"], &[]), (&["../a"], &[]), (&[], &["a", "a"]), (&[], &["a", "a/b"])]
    {
        assert!(check_request(&request(dumps, cold)).is_err(), "{dumps:?} {cold:?}");
    }
}
