use super::*;
use crate::refusal::InTheWay;
use proptest::prelude::*;
use wharf_proto::manifest::Chunk;

type Tree = BTreeMap<RelPath, DiskEntry>;

fn path(text: &str) -> RelPath {
    text.parse().unwrap()
}

fn file(at: &str, content: u8) -> Entry {
    let chunk = Chunk { digest: Digest([content; 32]), size_bytes: 1 };
    let kind = EntryKind::File { mode: 0o644, mtime_seconds: 0, size_bytes: 1, chunks: vec![chunk] };
    Entry { path: path(at), kind }
}

fn folder(at: &str) -> Entry {
    Entry { path: path(at), kind: EntryKind::Folder { mode: 0o755 } }
}

fn manifest(entries: Vec<Entry>) -> Manifest {
    Manifest::new(entries).unwrap()
}

fn on_disk(entry: &Entry) -> DiskEntry {
    match entry.kind {
        EntryKind::Folder { .. } => DiskEntry::Folder,
        EntryKind::Symlink { .. } => DiskEntry::Link(entry.identity()),
        EntryKind::File { .. } => DiskEntry::File(entry.identity()),
    }
}

/// A disk with these entries and the folders above them.
fn disk(entries: &[Entry]) -> Tree {
    let mut tree = Tree::new();
    for entry in entries {
        tree.insert(entry.path.clone(), on_disk(entry));
        let mut above = entry.path.parent();
        while let Some(at) = above {
            above = at.parent();
            tree.insert(at, DiskEntry::Folder);
        }
    }
    tree
}

/// Does what an executor would, and fails where one would.
fn apply(tree: &mut Tree, ops: &[FileOp]) {
    let is_folder =
        |tree: &Tree, at: &RelPath| at.parent().is_none_or(|p| tree.get(&p) == Some(&DiskEntry::Folder));
    for op in ops {
        match op {
            FileOp::Remove { path, .. } => {
                let gone = tree.remove(path);
                assert!(!matches!(gone, Some(DiskEntry::Folder)), "{op:?}");
            }
            FileOp::RemoveFolder { path, required } => {
                let empty = !tree.keys().any(|at| at != path && at.is_within(path));
                assert!(empty || !required, "{op:?}");
                if empty {
                    tree.remove(path);
                }
            }
            FileOp::MakeFolder { path, .. } => {
                assert!(is_folder(tree, path), "{op:?}");
                let there = tree.insert(path.clone(), DiskEntry::Folder);
                assert!(matches!(there, None | Some(DiskEntry::Folder)), "{op:?}");
            }
            FileOp::Write { entry, .. } => {
                assert!(is_folder(tree, &entry.path), "{op:?}");
                let there = tree.insert(entry.path.clone(), on_disk(entry));
                assert!(!matches!(there, Some(DiskEntry::Folder | DiskEntry::Special)), "{op:?}");
            }
        }
    }
}

fn facts<'a>(live: Option<&'a Manifest>, next: &'a Manifest, disk: &'a Tree) -> OverlayFacts<'a> {
    OverlayFacts { live, next, next_is_adopted: false, disk, writable_mounts: &[] }
}

fn names(paths: &[RelPath]) -> Vec<String> {
    paths.iter().map(ToString::to_string).collect()
}

#[test]
fn shipped_files_come_change_and_go_and_the_servers_stay() {
    let live = manifest(vec![file("a", 1), file("old/x", 1), file("same", 1), file("up/.keep", 1)]);
    let next = manifest(vec![file("a", 2), file("new/y", 1), file("same", 1)]);
    let server = [file(".env", 7), file("up/photo", 7)];
    let mut tree = disk(&[live.entries(), &server].concat());
    let plan = overlay(&facts(Some(&live), &next, &tree));
    assert_eq!(
        (plan.changes.added, plan.changes.changed, plan.changes.removed, plan.changes.unchanged),
        (1, 1, 2, 1)
    );
    assert!(plan.changes.drifted.is_empty() && plan.refusals.is_empty());
    apply(&mut tree, &plan.ops);
    assert_eq!(tree, disk(&[next.entries(), &server].concat()));
    // Again: nothing to do.
    assert_eq!(overlay(&facts(Some(&next), &next, &tree)).ops, []);
}

#[test]
fn what_changed_on_the_server_is_saved_aside() {
    let live = manifest(vec![file("a", 1), file("gone", 1)]);
    let next = manifest(vec![file("a", 2), file("b", 2)]);
    let tree = disk(&[file("a", 9), file("b", 9), file("gone", 9)]);
    let plan = overlay(&facts(Some(&live), &next, &tree));
    assert_eq!(names(&plan.changes.drifted), ["a", "b", "gone"]);
    assert!(plan.ops.iter().all(|op| matches!(
        op,
        FileOp::Write { save_aside: true, .. } | FileOp::Remove { save_aside: true, .. }
    )));
}

#[test]
fn what_containers_wrote_is_neither_overwritten_nor_removed() {
    let live = manifest(vec![file("data/a", 1), file("data/gone", 1), file("data/kept", 1)]);
    let mounts = [Some(path("data"))];
    let tree = disk(&[file("data/a", 9), file("data/gone", 9), file("data/kept", 1)]);
    let next = manifest(vec![file("data/a", 2)]);
    let plan = overlay(&OverlayFacts { writable_mounts: &mounts, ..facts(Some(&live), &next, &tree) });
    assert_eq!(plan.refusals, [Refusal::WritableMountOverwrite { paths: vec![path("data/a")] }]);
    assert_eq!(plan.ops, []);
    // Not shipped any more: it is the server's from now on. The folder is a mount's, and stays.
    let next = manifest(vec![]);
    let plan = overlay(&OverlayFacts { writable_mounts: &mounts, ..facts(Some(&live), &next, &tree) });
    assert_eq!(names(&plan.left), ["data/a", "data/gone"]);
    assert_eq!(plan.ops, [FileOp::Remove { path: path("data/kept"), save_aside: false }]);
    let whole = [None];
    let next = manifest(vec![file("data/a", 2)]);
    let plan = overlay(&OverlayFacts { writable_mounts: &whole, ..facts(Some(&live), &next, &tree) });
    assert_eq!(plan.refusals.len(), 1);
}

#[test]
fn on_adoption_nothing_is_wharfs() {
    let next = manifest(vec![file("a", 1), file("b", 2)]);
    let tree = disk(&[file("a", 1), file("b", 1), file("server", 1)]);
    let plan = overlay(&facts(None, &next, &tree));
    assert_eq!(plan.ops, [FileOp::Write { entry: file("b", 2), save_aside: true }]);
    assert_eq!(plan.changes.removed, 0);
}

#[test]
fn going_back_to_an_adopted_stack_touches_only_what_wharf_wrote() {
    // v0 had a, b, c and the server's notes; v1 shipped a and b2, and the server changed the notes since.
    let v0 = manifest(vec![file("a", 1), file("c", 1), file("notes", 1)]);
    let v1 = manifest(vec![file("a", 2), file("b2", 2)]);
    let mut tree = disk(&[file("a", 2), file("b2", 2), file("notes", 9)]);
    let plan = overlay(&OverlayFacts { next_is_adopted: true, ..facts(Some(&v1), &v0, &tree) });
    apply(&mut tree, &plan.ops);
    assert_eq!(tree, disk(&[file("a", 1), file("c", 1), file("notes", 9)]));
    assert!(plan.changes.drifted.is_empty());
}

#[test]
fn kinds_change_places_where_all_is_wharfs() {
    for (live, next) in [
        (vec![file("a", 1)], vec![file("a/b/c", 1)]),
        (vec![file("a/b/c", 1), file("a/d", 1)], vec![file("a", 1)]),
        (vec![folder("a/b")], vec![file("a", 1)]),
        (vec![file("a", 1)], vec![folder("a")]),
        (vec![folder("a")], vec![file("a/x", 1)]),
        (vec![file("a/x", 1)], vec![folder("a")]),
    ] {
        let (live, next) = (manifest(live), manifest(next));
        let mut tree = disk(live.entries());
        let plan = overlay(&facts(Some(&live), &next, &tree));
        assert_eq!(plan.refusals, []);
        apply(&mut tree, &plan.ops);
        assert_eq!(tree, disk(next.entries()));
    }
}

#[test]
fn the_servers_own_files_are_never_in_the_way_silently() {
    let live = manifest(vec![file("a/shipped", 1)]);
    for (next, tree, at, what) in [
        (file("a", 1), disk(&[file("a/shipped", 1), file("a/mine", 1)]), "a", InTheWay::Folder),
        (file("x/y", 1), disk(&[file("x", 9)]), "x", InTheWay::File),
        (folder("x"), disk(&[file("x", 9)]), "x", InTheWay::File),
        (file("x", 1), Tree::from([(path("x"), DiskEntry::Special)]), "x", InTheWay::Special),
        (file("x/y", 1), Tree::from([(path("x"), DiskEntry::Link(Digest([1; 32])))]), "x", InTheWay::File),
        (file("f", 1), disk(&[folder("f/mine")]), "f", InTheWay::Folder),
    ] {
        let next = manifest(vec![next]);
        let plan = overlay(&facts(Some(&live), &next, &tree));
        assert_eq!(plan.refusals, [Refusal::PathInTheWay { path: path(at), what }]);
        assert_eq!(plan.ops, []);
    }
}

/// Few names, so that files, folders and releases meet.
fn any_manifest() -> impl Strategy<Value = Manifest> {
    let name = prop_oneof![Just("a"), Just("b"), Just("a-b")];
    let entry =
        (proptest::collection::vec(name, 1..4), 0..3_u8, 0..6_u8).prop_map(|(parts, content, kind)| {
            if kind == 0 { folder(&parts.join("/")) } else { file(&parts.join("/"), content) }
        });
    proptest::collection::vec(entry, 0..8).prop_map(|entries| {
        let mut taken: Vec<Entry> = Vec::new();
        for entry in entries {
            let clash = |t: &Entry| t.path.is_within(&entry.path) || entry.path.is_within(&t.path);
            if !taken.iter().any(clash) {
                taken.push(entry);
            }
        }
        manifest(taken)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn an_overlay_gives_the_next_release_and_keeps_the_servers(
        live in any_manifest(), next in any_manifest(), server in any_manifest(), drift in any_manifest(),
        adopted: bool, mount in proptest::option::of(prop_oneof![Just("a"), Just("b/a")]),
    ) {
        // The disk: what Wharf wrote, some of it changed since, and what the server made where there is room.
        let mut entries: Vec<Entry> = live.entries().to_vec();
        for changed in drift.entries() {
            if let Some(at) = entries.iter_mut().find(|e| e.path == changed.path) {
                *at = changed.clone();
            }
        }
        for made in server.entries() {
            if !entries.iter().any(|e| e.path.is_within(&made.path) || made.path.is_within(&e.path)) {
                entries.push(made.clone());
            }
        }
        let before = disk(&entries);
        let mounts = [mount.map(path)];
        let writable: &[Option<RelPath>] = if mounts[0].is_some() { &mounts } else { &[] };
        let facts = OverlayFacts {
            live: (!adopted).then_some(&live), next: &next, next_is_adopted: false, disk: &before, writable_mounts: writable,
        };
        let plan = overlay(&facts);
        prop_assert_eq!(&plan, &overlay(&facts));
        if !plan.refusals.is_empty() {
            prop_assert!(plan.ops.is_empty());
            return Ok(());
        }
        let mut after = before.clone();
        apply(&mut after, &plan.ops);
        for entry in next.entries() {
            prop_assert_eq!(after.get(&entry.path), Some(&on_disk(entry)));
        }
        let shipped = |at: &RelPath| next.get(at).is_some() || (!adopted && live.get(at).is_some());
        for (at, entry) in &before {
            if *entry != DiskEntry::Folder && !shipped(at) {
                prop_assert_eq!(after.get(at), Some(entry), "the server's {}", at);
            }
        }
        for (at, entry) in &after {
            let known = before.get(at) == Some(entry) || next.get(at).is_some()
                || (*entry == DiskEntry::Folder && next.entries().iter().any(|e| e.path.is_within(at)));
            prop_assert!(known, "{} came from nowhere", at);
            let was_file = live.get(at).is_some_and(|e| on_disk(e) != DiskEntry::Folder);
            let stale = !adopted && was_file && next.get(at).is_none() && *entry != DiskEntry::Folder;
            prop_assert!(!stale || plan.left.contains(at), "{} should be gone", at);
        }
        // What is lost from the disk was saved aside, or was Wharf's own.
        for op in &plan.ops {
            let (at, saved) = match op {
                FileOp::Remove { path, save_aside } => (path, *save_aside),
                FileOp::Write { entry, save_aside } => (&entry.path, *save_aside),
                _ => continue,
            };
            if let Some(there) = before.get(at) && *there != DiskEntry::Folder {
                let ours = !adopted && live.get(at).map(on_disk).as_ref() == Some(there);
                prop_assert!(ours || saved, "{} would be lost", at);
            }
        }
        // Done twice, it does no harm: the second plan has nothing to write.
        let again = overlay(&OverlayFacts { live: Some(&next), next: &next, disk: &after, ..facts });
        prop_assert_eq!(again.ops, vec![]);
    }
}
