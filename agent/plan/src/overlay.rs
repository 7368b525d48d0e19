//! How the app directory becomes the next release's: what is written, what is removed, what is left alone.
//!
//! **Invariants**: only paths that a release shipped are ever touched; what changed on the server since Wharf wrote it is
//! saved aside first, and where containers can write it is not touched at all; folders go only when Wharf's files made
//! them and they are empty. Operations are in an order in which each can be done, and doing one again does no harm.

mod conflict;

use crate::refusal::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use wharf_proto::plan::FileChanges;
use wharf_proto::{Digest, Entry, EntryKind, Manifest, RelPath};

/// What stands at a path of the app directory. Links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskEntry {
    /// [`Entry::identity`] of the file as it is.
    File(Digest),
    /// [`Entry::identity`] of the link as it is.
    Link(Digest),
    Folder,
    /// A device, socket or pipe.
    Special,
}

/// The facts that an overlay is made from.
pub struct OverlayFacts<'a> {
    /// What Wharf last wrote; `None` where nothing is Wharf's, as in a stack that was adopted.
    pub live: Option<&'a Manifest>,
    pub next: &'a Manifest,
    /// `next` is the record of an adopted stack: what Wharf did not overwrite is the server's still, and stays.
    pub next_is_adopted: bool,
    /// Everything in the app directory, or at least all that is at, above or below a path of `live` or `next`.
    pub disk: &'a BTreeMap<RelPath, DiskEntry>,
    /// What containers can write: `None` is the whole project. See [`crate::inputs::writable_mounts`].
    pub writable_mounts: &'a [Option<RelPath>],
}

/// One step. `save_aside`: what is there is not what Wharf wrote, and must be kept elsewhere first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOp {
    /// Remove a file or link.
    Remove { path: RelPath, save_aside: bool },
    /// Remove a folder. `required`: something else comes in its place, so that it must be empty; otherwise it stays when
    /// it is not.
    RemoveFolder { path: RelPath, required: bool },
    /// Make a folder, or set an existing one's mode.
    MakeFolder { path: RelPath, mode: u32 },
    /// Put a file or link there, in one step, over a file or link that may be there.
    Write { entry: Entry, save_aside: bool },
}

/// The way from what is on the disk to the next release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlay {
    /// Empty where there are refusals.
    pub ops: Vec<FileOp>,
    /// Shipped earlier and no more, but written by containers since: they stay, as the server's.
    pub left: Vec<RelPath>,
    pub refusals: Vec<Refusal>,
    pub changes: FileChanges,
}

const FOLDER_MODE: u32 = 0o755;

/// What turns the disk into `next`, and leaves the server's own alone.
pub fn overlay(facts: &OverlayFacts<'_>) -> Overlay {
    let mut work =
        Work { facts, out: Overlay::default(), writable_drift: Vec::new(), removed: BTreeSet::new() };
    let mut removals = work.remove_what_next_lacks();
    let mut writes = Vec::new();
    let mut folders = BTreeMap::new();
    for entry in facts.next.entries() {
        work.place(entry, &mut removals, &mut writes, &mut folders);
    }
    let folder_removals = work.remove_folders(&folders, &writes);
    work.finish(removals, folder_removals, folders, writes)
}

struct Work<'a> {
    facts: &'a OverlayFacts<'a>,
    out: Overlay,
    writable_drift: Vec<RelPath>,
    /// Paths that are removed before anything is written.
    removed: BTreeSet<RelPath>,
}

impl Work<'_> {
    fn disk(&self, path: &RelPath) -> Option<DiskEntry> {
        self.facts.disk.get(path).copied()
    }

    fn live(&self, path: &RelPath) -> Option<&Entry> {
        self.facts.live?.get(path)
    }

    fn is_writable(&self, path: &RelPath) -> bool {
        self.facts.writable_mounts.iter().any(|m| m.as_ref().is_none_or(|mount| path.is_within(mount)))
    }

    /// Whether what is at the path is what Wharf wrote there.
    fn is_ours(&self, path: &RelPath, identity: Digest) -> bool {
        self.live(path).is_some_and(|entry| entry.identity() == identity)
    }

    /// Files and links of the live release that the next one lacks.
    fn remove_what_next_lacks(&mut self) -> Vec<FileOp> {
        let mut removals = Vec::new();
        let Some(live) = self.facts.live else { return removals };
        for entry in live.entries() {
            if self.facts.next.get(&entry.path).is_some() {
                continue;
            }
            let (Some(DiskEntry::File(identity) | DiskEntry::Link(identity)), true) =
                (self.disk(&entry.path), !matches!(entry.kind, EntryKind::Folder { .. }))
            else {
                continue;
            };
            let save_aside = entry.identity() != identity;
            if save_aside && self.is_writable(&entry.path) {
                self.out.left.push(entry.path.clone());
                continue;
            }
            if save_aside {
                self.out.changes.drifted.push(entry.path.clone());
            }
            self.out.changes.removed += 1;
            self.removed.insert(entry.path.clone());
            removals.push(FileOp::Remove { path: entry.path.clone(), save_aside });
        }
        removals
    }

    /// Puts one entry of the next release where it belongs.
    fn place(
        &mut self,
        entry: &Entry,
        removals: &mut Vec<FileOp>,
        writes: &mut Vec<FileOp>,
        folders: &mut BTreeMap<RelPath, u32>,
    ) {
        if let EntryKind::Folder { mode } = entry.kind {
            return self.place_folder(entry, mode, removals, folders);
        }
        let is_free = match self.disk(&entry.path) {
            Some(DiskEntry::File(there) | DiskEntry::Link(there)) => {
                writes.extend(self.overwrite(entry, there));
                return;
            }
            Some(DiskEntry::Folder) => self.clear_folder(&entry.path),
            Some(DiskEntry::Special) => self.refuse_special(&entry.path),
            None => true,
        };
        if is_free && self.make_parents(&entry.path, folders) {
            self.out.changes.added += 1;
            writes.push(FileOp::Write { entry: entry.clone(), save_aside: false });
        }
    }

    /// A file or link is there already.
    fn overwrite(&mut self, entry: &Entry, there: Digest) -> Option<FileOp> {
        let left_alone = self.facts.next_is_adopted && self.live(&entry.path).is_none();
        if there == entry.identity() || left_alone {
            self.out.changes.unchanged += 1;
            return None;
        }
        let drifted = !self.is_ours(&entry.path, there);
        if drifted && self.is_writable(&entry.path) {
            self.writable_drift.push(entry.path.clone());
            return None;
        }
        if drifted {
            self.out.changes.drifted.push(entry.path.clone());
        }
        self.out.changes.changed += 1;
        Some(FileOp::Write { entry: entry.clone(), save_aside: drifted })
    }

    fn place_folder(
        &mut self,
        entry: &Entry,
        mode: u32,
        removals: &mut Vec<FileOp>,
        folders: &mut BTreeMap<RelPath, u32>,
    ) {
        let is_free = match self.disk(&entry.path) {
            Some(DiskEntry::Folder) => return self.keep_folder(entry, mode, folders),
            Some(DiskEntry::File(there) | DiskEntry::Link(there)) => {
                self.clear_file(&entry.path, there, removals)
            }
            Some(DiskEntry::Special) => self.refuse_special(&entry.path),
            None => true,
        };
        if is_free && self.make_parents(&entry.path, folders) {
            self.out.changes.added += 1;
            folders.insert(entry.path.clone(), mode);
        }
    }

    /// Another mode on the disk is the server's business, unless the release itself changes it.
    fn keep_folder(&mut self, entry: &Entry, mode: u32, folders: &mut BTreeMap<RelPath, u32>) {
        match self.live(&entry.path).map(|live| &live.kind) {
            Some(EntryKind::Folder { mode: live }) if *live != mode => {
                self.out.changes.changed += 1;
                folders.insert(entry.path.clone(), mode);
            }
            _ => self.out.changes.unchanged += 1,
        }
    }

    /// The folders above a path that are not there yet. False where something that is not ours is in the way.
    fn make_parents(&mut self, path: &RelPath, folders: &mut BTreeMap<RelPath, u32>) -> bool {
        let mut above = path.parent();
        while let Some(folder) = above {
            match self.disk(&folder) {
                Some(DiskEntry::Folder) => return true,
                Some(_) if !self.removed.contains(&folder) => {
                    self.refuse_file_in_the_way(&folder);
                    return false;
                }
                Some(_) | None => {
                    folders.entry(folder.clone()).or_insert(FOLDER_MODE);
                }
            }
            above = folder.parent();
        }
        true
    }

    /// Folders that only Wharf's files made and that nothing is left in.
    fn remove_folders(&self, made: &BTreeMap<RelPath, u32>, writes: &[FileOp]) -> Vec<FileOp> {
        let replaced: BTreeSet<&RelPath> = writes
            .iter()
            .filter_map(|op| match op {
                FileOp::Write { entry, .. } => Some(&entry.path),
                _ => None,
            })
            .filter(|path| self.disk(path) == Some(DiskEntry::Folder))
            .collect();
        let needed = folders_of(self.facts.next);
        let once = self.facts.live.map(folders_of).unwrap_or_default();
        let mut gone: Vec<RelPath> = once
            .into_iter()
            .filter(|folder| !needed.contains(folder) && !made.contains_key(folder))
            .filter(|folder| self.disk(folder) == Some(DiskEntry::Folder))
            .collect();
        gone.reverse();
        let ops = gone.into_iter().filter_map(|path| {
            let required = replaced.iter().any(|replaced| path.is_within(replaced));
            (required || !self.touches_a_mount(&path)).then_some(FileOp::RemoveFolder { path, required })
        });
        ops.collect()
    }

    /// Whether a container mounts the folder, something in it, or something around it: then it is not ours alone.
    fn touches_a_mount(&self, folder: &RelPath) -> bool {
        self.facts.writable_mounts.iter().flatten().any(|m| m.is_within(folder) || folder.is_within(m))
    }

    fn finish(
        mut self,
        mut removals: Vec<FileOp>,
        folder_removals: Vec<FileOp>,
        folders: BTreeMap<RelPath, u32>,
        writes: Vec<FileOp>,
    ) -> Overlay {
        if !self.writable_drift.is_empty() {
            let paths = std::mem::take(&mut self.writable_drift);
            self.out.refusals.push(Refusal::WritableMountOverwrite { paths });
        }
        self.out.changes.drifted.sort();
        self.out.refusals.sort();
        self.out.refusals.dedup();
        if self.out.refusals.is_empty() {
            removals.extend(folder_removals);
            removals.extend(folders.into_iter().map(|(path, mode)| FileOp::MakeFolder { path, mode }));
            removals.extend(writes);
            self.out.ops = removals;
        }
        self.out
    }
}

/// Every folder that a manifest's paths need or list, sorted: parents before children.
fn folders_of(manifest: &Manifest) -> BTreeSet<RelPath> {
    let mut folders = BTreeSet::new();
    for entry in manifest.entries() {
        if matches!(entry.kind, EntryKind::Folder { .. }) {
            folders.insert(entry.path.clone());
        }
        let mut above = entry.path.parent();
        while let Some(folder) = above {
            above = folder.parent();
            if !folders.insert(folder) {
                break;
            }
        }
    }
    folders
}

#[cfg(test)]
mod tests;
