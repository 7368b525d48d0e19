//! Reading back what was written, through a handle that did not write it.
//!
//! The snapshot's tree is walked: every chunk must be in a pack of the right size. Then packs are read:
//! - Those that this run wrote from the disk, every blob decrypted, decompressed and hashed. So is every other that the
//!   snapshot needs and its parent does not, and those that are younger than all snapshots, as a prune leaves them: the run
//!   that wrote one may have failed its check, or never had one, and what is in it is not stored again.
//! - Those that the parent needs, too, are hashed whole, all of them up to a budget, a random choice beyond it (a scheduled
//!   check reads the rest). They were opened before the parent was let through, and a pack's name is the hash of its bytes:
//!   where they are the same, so is all that can be made of them.
//!
//! **Invariant**: no snapshot is let through before every pack that it needs was opened, by this run or by one whose snapshot
//! was let through. What a prune or a copy to here writes nobody opens before the next backup: they compare each blob with
//! what it was made of before they write it ([`Store::check_writes`]).
//!
//! Every other file that this run wrote is hashed whole, from the disk; it bears its hash as its name.

use crate::line::Outbox;
use crate::packs::{self, Reading};
use crate::repository::{Indexed, Store};
use crate::{BackupError, Phase, Progress};
use rand::seq::SliceRandom;
use rustic_core::repofile::{IndexFile, IndexPack, PackId, SnapshotFile};
use rustic_core::{
    CheckOptions, CheckResults, FileType, Id, Open, ReadBackend, Repository, RusticResult, TreeId,
};
use sha2::{Digest, Sha256};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use walkdir::WalkDir;

/// How much of what the snapshot shares with earlier ones is read again, too.
const SHARED_BYTES: u64 = 512 * 1024 * 1024;
/// How many findings are told.
const FINDINGS: usize = 20;

/// Checks the snapshot that the gate holds; the handle through which it was found good.
pub(crate) fn verify(
    store: &Store,
    snapshot: &SnapshotFile,
    outbox: &Arc<Outbox>,
) -> Result<Indexed, BackupError> {
    verify_within(store, snapshot, outbox, SHARED_BYTES)
}

/// As [`verify`], with so much to read of what the snapshot shares with earlier ones.
pub(crate) fn verify_within(
    store: &Store,
    snapshot: &SnapshotFile,
    outbox: &Arc<Outbox>,
    shared_bytes: u64,
) -> Result<Indexed, BackupError> {
    let damaged = |findings| BackupError::Damaged { repo: store.repo.clone(), findings };
    let one = |finding| damaged(vec![finding]);
    let (written, _) = store.gate.written();
    outbox.progress(Progress { phase: Phase::Check, files: 0, bytes: 0 });
    let repository = store.open()?;
    let unreleased = unreleased(store, &repository, &written)?;
    let held: SnapshotFile = repository.get_file(&snapshot.id).map_err(BackupError::rustic("be checked"))?;
    if (held.tree, &held.time) != (snapshot.tree, &snapshot.time) {
        return Err(damaged(vec!["the snapshot is not what was to be written".to_owned()]));
    }
    let results = repository
        .check_with_trees(CheckOptions::default(), vec![snapshot.tree])
        .map_err(BackupError::rustic("be checked"))?;
    let findings = findings(&results, "Error");
    if !findings.is_empty() {
        return Err(damaged(findings));
    }
    let read = Read { outbox, files: AtomicU64::new(0), bytes: AtomicU64::new(0) };
    for (kind, id) in written.iter().filter(|(kind, _)| *kind != FileType::Pack) {
        read.one(hash_file(store, *kind, id).map_err(one)?);
    }
    let key = repository.key();
    let indexed = repository.to_indexed().map_err(BackupError::rustic("read its index"))?;
    let readings = readings(store, &indexed, snapshot, &written, unreleased, shared_bytes)?;
    packs::read_all(readings, &key, |size_bytes| read.one(size_bytes)).map_err(one)?;
    Ok(indexed)
}

/// Tells what was read.
struct Read<'a> {
    outbox: &'a Outbox,
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Read<'_> {
    fn one(&self, size_bytes: u64) {
        let files = self.files.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes = self.bytes.fetch_add(size_bytes, Ordering::Relaxed) + size_bytes;
        self.outbox.progress(Progress { phase: Phase::Check, files, bytes });
    }
}

/// The packs that are to be read, and how.
fn readings(
    store: &Store,
    repository: &Indexed,
    snapshot: &SnapshotFile,
    written: &[(FileType, Id)],
    unreleased: Vec<IndexPack>,
    shared_bytes: u64,
) -> Result<Vec<Reading>, BackupError> {
    let path = |id: &Id| store.gate.path(FileType::Pack, id);
    let opened = |pack: IndexPack| Reading::Opened { path: path(&pack.id), pack };
    let mut folders = HashMap::new();
    let needed = packs_of(repository, snapshot.tree, &mut folders);
    let mut shared = needed.map_err(BackupError::rustic("be checked"))?;
    let mut readings = Vec::new();
    for (_, id) in written.iter().filter(|(kind, _)| *kind == FileType::Index) {
        let index: IndexFile =
            repository.get_file(&(*id).into()).map_err(BackupError::rustic("be checked"))?;
        readings.extend(index.packs.into_iter().map(opened));
    }
    for reading in &readings {
        if let Reading::Opened { pack, .. } = reading {
            shared.remove(&pack.id);
        }
    }
    // What the snapshot does not need, nobody builds on.
    readings.extend(unreleased.into_iter().filter(|pack| shared.remove(&pack.id)).map(opened));
    // A parent that cannot be read vouches for nothing, and is no reason to make no backup.
    let vouched = snapshot.parents.first().and_then(|parent| {
        let parent: SnapshotFile = repository.get_file(parent).ok()?;
        packs_of(repository, parent.tree, &mut folders).ok()
    });
    let unknown: HashSet<PackId> = shared.difference(&vouched.unwrap_or_default()).copied().collect();
    if !unknown.is_empty() {
        let unknown = indexed(repository, |pack| unknown.contains(pack))?;
        readings.extend(unknown.into_iter().filter(|pack| shared.remove(&pack.id)).map(opened));
    }
    let mut shared: Vec<PackId> = shared.into_iter().collect();
    shared.shuffle(&mut rand::rng());
    let mut left_bytes = shared_bytes;
    for id in shared {
        // One whose size cannot be had is read, which says why.
        let size_bytes = path(&id).metadata().map_or(0, |found| found.len());
        if let Some(left) = left_bytes.checked_sub(size_bytes) {
            left_bytes = left;
            readings.push(Reading::Whole { path: path(&id), id: *id });
        }
    }
    Ok(readings)
}

/// What a folder needs, without the folders in it.
struct Folder {
    packs: HashSet<PackId>,
    folders: Vec<TreeId>,
}

impl Folder {
    fn read(repository: &Indexed, tree: TreeId) -> RusticResult<Self> {
        let mut packs = HashSet::from([repository.get_index_entry(&tree)?.pack]);
        let mut folders = Vec::new();
        for node in repository.get_tree(&tree)?.nodes {
            for blob in node.content.iter().flatten() {
                packs.insert(repository.get_index_entry(blob)?.pack);
            }
            folders.extend(node.subtree);
        }
        Ok(Self { packs, folders })
    }
}

/// The packs that a tree needs. A folder that was read before is not read again.
fn packs_of(
    repository: &Indexed,
    tree: TreeId,
    read: &mut HashMap<TreeId, Folder>,
) -> RusticResult<HashSet<PackId>> {
    let (mut packs, mut seen, mut left) = (HashSet::new(), HashSet::from([tree]), vec![tree]);
    while let Some(tree) = left.pop() {
        let folder = match read.entry(tree) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Folder::read(repository, tree)?),
        };
        packs.extend(&folder.packs);
        left.extend(folder.folders.iter().filter(|below| seen.insert(**below)));
    }
    Ok(packs)
}

/// The packs that are younger than the newest snapshot and that this run has not written: those of a run that ended before
/// its check, and those of a prune, for which the parent seems to vouch. What the index does not name nobody builds on, and
/// may be half a file.
pub(crate) fn unreleased<S>(
    store: &Store,
    repository: &Repository<S>,
    written: &[(FileType, Id)],
) -> Result<Vec<IndexPack>, BackupError>
where
    S: Open,
{
    if !store.gate.is_local() {
        return Ok(Vec::new());
    }
    let written: HashSet<String> = written.iter().map(|(_, id)| id.to_hex().as_str().to_owned()).collect();
    let snapshots = store.repo.join(FileType::Snapshot.dirname());
    let newest = files(&snapshots).map(|(_, modified)| modified).max();
    let young: HashSet<String> = files(&store.repo.join("data"))
        .filter(|(name, modified)| newest.is_none_or(|newest| *modified > newest) && !written.contains(name))
        .map(|(name, _)| name)
        .collect();
    if young.is_empty() {
        return Ok(Vec::new());
    }
    indexed(repository, |pack| young.contains(pack.to_hex().as_str()))
}

/// What the index says of some packs.
fn indexed<S: Open>(
    repository: &Repository<S>,
    wanted: impl Fn(&PackId) -> bool,
) -> Result<Vec<IndexPack>, BackupError> {
    let read = |error| BackupError::rustic("read its index")(error);
    let mut found = Vec::new();
    for file in repository.stream_files::<IndexFile>().map_err(read)? {
        let (_, index) = file.map_err(read)?;
        found.extend(index.packs.into_iter().filter(|pack| wanted(&pack.id)));
    }
    Ok(found)
}

/// The files below a folder: name, and when it was written.
fn files(folder: &Path) -> impl Iterator<Item = (String, SystemTime)> {
    let files = WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    files.filter_map(|entry| {
        let modified = entry.metadata().ok()?.modified().ok()?;
        Some((entry.file_name().to_string_lossy().into_owned(), modified))
    })
}

/// What a check found, of one level.
pub(crate) fn findings(results: &CheckResults, level: &str) -> Vec<String> {
    // The type of the levels has no public name.
    let of_level = results.0.iter().filter(|(found, _)| format!("{found:?}") == level);
    of_level.map(|(_, finding)| finding.to_string()).take(FINDINGS).collect()
}

fn hash_remote(store: &Store, kind: FileType, id: &Id) -> Result<u64, String> {
    let content = store.gate.read_full(kind, id).map_err(|error| error.display_log())?;
    if hex::encode(Sha256::digest(&content)) == *id.to_hex() {
        return Ok(content.len() as u64);
    }
    Err(format!("{} {} has another content than was sent", kind.dirname(), &*id.to_hex()))
}

/// Hashes a file of the repository and returns its size.
pub(crate) fn hash_file(store: &Store, kind: FileType, id: &Id) -> Result<u64, String> {
    if kind == FileType::Config {
        return Ok(0);
    }
    if !store.gate.is_local() {
        return hash_remote(store, kind, id);
    }
    packs::hash_file(&store.gate.path(kind, id), id, true)
}
