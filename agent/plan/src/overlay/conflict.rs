//! Paths where the server has something else than the release ships.

use super::{DiskEntry, FileOp, Work, folders_of};
use crate::refusal::{InTheWay, Refusal};
use wharf_proto::{Digest, RelPath};

impl Work<'_> {
    /// A folder stands where a file must be: it may go if all in it is Wharf's and goes anyway.
    pub(super) fn clear_folder(&mut self, folder: &RelPath) -> bool {
        let ours = self.facts.live.map(folders_of).unwrap_or_default();
        let in_it = self.facts.disk.range(folder.clone()..).filter(|(path, _)| path.is_within(folder));
        // Sorted bytes put `a-b` between `a` and `a/b`, so the range has others in it but misses none.
        let all_ours = in_it.into_iter().all(|(path, entry)| match entry {
            DiskEntry::Folder => ours.contains(path),
            DiskEntry::File(_) | DiskEntry::Link(_) => self.removed.contains(path),
            DiskEntry::Special => false,
        });
        if !all_ours {
            self.out.refusals.push(Refusal::PathInTheWay { path: folder.clone(), what: InTheWay::Folder });
        }
        all_ours
    }

    /// A file or link stands where an empty folder must be.
    pub(super) fn clear_file(&mut self, path: &RelPath, there: Digest, removals: &mut Vec<FileOp>) -> bool {
        if self.live(path).is_none() {
            self.refuse_file_in_the_way(path);
            return false;
        }
        let save_aside = !self.is_ours(path, there);
        if save_aside && self.is_writable(path) {
            self.writable_drift.push(path.clone());
            return false;
        }
        if save_aside {
            self.out.changes.drifted.push(path.clone());
        }
        self.removed.insert(path.clone());
        removals.push(FileOp::Remove { path: path.clone(), save_aside });
        true
    }

    pub(super) fn refuse_file_in_the_way(&mut self, path: &RelPath) {
        let what =
            if self.disk(path) == Some(DiskEntry::Special) { InTheWay::Special } else { InTheWay::File };
        self.out.refusals.push(Refusal::PathInTheWay { path: path.clone(), what });
    }

    /// Never free: what it is for is not known.
    pub(super) fn refuse_special(&mut self, path: &RelPath) -> bool {
        self.out.refusals.push(Refusal::PathInTheWay { path: path.clone(), what: InTheWay::Special });
        false
    }
}
