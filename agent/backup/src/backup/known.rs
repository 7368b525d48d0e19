//! Files that are in the repository already, told to rustic as files of an earlier snapshot.
//!
//! A dump is stored before its size is known, and then becomes part of a snapshot. rustic would read it, cut it and hash it
//! a second time for that; files that an earlier snapshot has unchanged it takes over. So the dumps are laid before it as
//! such a snapshot, in memory alone ([`crate::gate::Gate::show`]).
//!
//! **Invariant**: nothing is ever taken for stored that only this snapshot has. Its folders hold a file by a name that no
//! snapshot has, so that none of them is the same as one that is to be written.

use crate::BackupError;
use crate::gate::Shown;
use crate::repository::Store;
use crate::sealed::{Broken, Opening, seal};
use rustic_core::repofile::{IndexFile, MasterKey, Metadata, Node, NodeType, SnapshotFile, Tree};
use rustic_core::{FileType, Id, OpenStatus, ReadBackend, Repository, TreeId};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

/// No label makes such a name.
const MARK: &str = "known to wharf alone";

/// A folder: its files, and the folders in it.
#[derive(Default)]
struct Folder {
    files: BTreeMap<OsString, Node>,
    folders: BTreeMap<OsString, Self>,
}

impl Folder {
    fn add(&mut self, path: &Path, node: Node) {
        let Some(name) = path.file_name() else { return };
        let above = path.parent().unwrap_or(Path::new("")).components();
        let names = above.filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            _ => None,
        });
        let folder = names.fold(self, |folder, name| folder.folders.entry(name).or_default());
        folder.files.insert(name.to_owned(), node);
    }
}

/// Of files that the repository has, with their content: the id of the snapshot, and what it is made of.
pub(super) fn known(
    files: impl IntoIterator<Item = (PathBuf, Node)>,
    key: &MasterKey,
) -> Result<(Id, Vec<Shown>), BackupError> {
    let mut root = Folder::default();
    files.into_iter().for_each(|(path, node)| root.add(&path, node));
    let mut pack = Pack { key, content: Vec::new(), blobs: Vec::new() };
    let tree = pack.tree(root)?;
    let id = id_of(&pack.content);
    let index = json!({ "packs": [{ "id": id, "blobs": pack.blobs }] });
    let index = file(FileType::Index, &index, key)?;
    let snapshot = file(FileType::Snapshot, &SnapshotFile { tree, ..SnapshotFile::default() }, key)?;
    let snapshot_id = snapshot.id;
    let pack = Shown { kind: FileType::Pack, id, content: pack.content.into() };
    Ok((snapshot_id, vec![pack, index, snapshot]))
}

/// The file at a path of a snapshot that this run has written the trees of. The index of the whole repository is not asked:
/// it is read once, when these files are shown.
pub(super) fn node_of(
    store: &Store,
    repository: &Repository<OpenStatus>,
    tree: TreeId,
    path: &str,
) -> Result<Node, BackupError> {
    let missing = || BackupError::Invalid { what: format!("{path} was not stored") };
    let (mut tree, mut names) = (Some(tree), path.split('/').filter(|name| !name.is_empty()).peekable());
    while let (Some(id), Some(name)) = (tree, names.next()) {
        let nodes = written_tree(store, repository, id)?.ok_or_else(missing)?.nodes;
        let node = nodes.into_iter().find(|node| node.name() == OsStr::new(name)).ok_or_else(missing)?;
        if names.peek().is_none() {
            return Ok(node);
        }
        tree = node.subtree;
    }
    Err(missing())
}

fn written_tree(
    store: &Store,
    repository: &Repository<OpenStatus>,
    tree: TreeId,
) -> Result<Option<Tree>, BackupError> {
    let read = |error| BackupError::rustic("read a dump back")(error);
    for (_, id) in store.gate.written().0.into_iter().filter(|(kind, _)| *kind == FileType::Index) {
        let index: IndexFile = repository.get_file(&id.into()).map_err(read)?;
        let blobs = index.packs.iter().flat_map(|pack| pack.blobs.iter().map(|blob| (pack.id, blob)));
        let Some((pack, blob)) = blobs.into_iter().find(|(_, blob)| *blob.id == *tree) else { continue };
        let at = blob.location;
        let sealed = store.gate.read_partial(FileType::Pack, &pack, false, at.offset, at.length);
        let mut sealed = sealed.map_err(read)?.to_vec();
        let mut opening = Opening::new(&repository.key()).map_err(unmade)?;
        let json = opening.blob(&mut sealed, at.uncompressed_length).map_err(unmade)?;
        return serde_json::from_slice(json)
            .map(Some)
            .map_err(|error| BackupError::Invalid { what: error.to_string() });
    }
    Ok(None)
}

/// A pack of trees in the making.
struct Pack<'a> {
    key: &'a MasterKey,
    content: Vec<u8>,
    /// As an index has them.
    blobs: Vec<Value>,
}

impl Pack<'_> {
    fn tree(&mut self, folder: Folder) -> Result<TreeId, BackupError> {
        let mut nodes = folder.files;
        nodes.insert(MARK.into(), Node::new_node(OsStr::new(MARK), NodeType::File, Metadata::default()));
        for (name, below) in folder.folders {
            let mut node = Node::new_node(&name, NodeType::Dir, Metadata::default());
            node.subtree = Some(self.tree(below)?);
            nodes.insert(name, node);
        }
        let json = to_json(&Tree { nodes: nodes.into_values().collect() })?;
        let id = id_of(&json);
        let sealed = seal(self.key, &json).map_err(unmade)?;
        // Of a large dump it is some hundred megabytes, which are not to be there several times.
        drop(json);
        self.blobs
            .push(json!({ "id": id, "type": "tree", "offset": self.content.len(), "length": sealed.len() }));
        if self.content.is_empty() {
            self.content = sealed
        } else {
            self.content.extend(sealed)
        }
        Ok(id.into())
    }
}

fn file(kind: FileType, content: &impl Serialize, key: &MasterKey) -> Result<Shown, BackupError> {
    let content = seal(key, &to_json(content)?).map_err(unmade)?;
    Ok(Shown { kind, id: id_of(&content), content: content.into() })
}

fn to_json(content: &impl Serialize) -> Result<Vec<u8>, BackupError> {
    serde_json::to_vec(content).map_err(|error| BackupError::Invalid { what: error.to_string() })
}

fn unmade(_: Broken) -> BackupError {
    BackupError::Invalid { what: "the key does not open what it has sealed".to_owned() }
}

fn id_of(content: &[u8]) -> Id {
    Id::new(Sha256::digest(content).into())
}
