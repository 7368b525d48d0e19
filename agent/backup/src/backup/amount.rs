//! How much is coming, as far as it can be told beforehand: much is cut into larger chunks, since each chunk takes memory
//! while a backup is made and checked, some 500 bytes in all.

use crate::BackupRequest;
use std::path::Path;
use walkdir::WalkDir;

/// More than this is much: 90,000 small chunks.
const MUCH_BYTES: u64 = 1024 * 1024 * 1024;

/// Whether the databases, whose sizes the servers have told, and the volumes are much together. What a project has besides
/// them is little.
pub(super) fn is_much(request: &BackupRequest, databases_bytes: u64) -> bool {
    let volumes = request.volumes.iter().map(|volume| volume.path.as_path());
    let cold = request.cold.iter().map(|copy| copy.path.as_path());
    exceeds(volumes.chain(cold), databases_bytes, MUCH_BYTES)
}

/// Looks no further than it needs to.
fn exceeds<'a>(folders: impl Iterator<Item = &'a Path>, known_bytes: u64, limit_bytes: u64) -> bool {
    let files = folders.flat_map(|folder| WalkDir::new(folder).into_iter().flatten());
    let sizes = files.filter_map(|file| file.metadata().ok()).filter(std::fs::Metadata::is_file);
    let sizes = std::iter::once(known_bytes).chain(sizes.map(|file| file.len()));
    sizes
        .scan(0_u64, |total, size| {
            *total = total.saturating_add(size);
            Some(*total)
        })
        .any(|total| total > limit_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_and_files_count_together() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        for (name, size) in [("a", 400), ("sub/b", 500)] {
            std::fs::write(folder.path().join(name), vec![0; size]).unwrap();
        }
        for (folders, known, much) in
            [(0, 1000, false), (0, 1001, true), (1, 100, false), (1, 101, true), (2, 0, true)]
        {
            let folders = std::iter::repeat_n(folder.path(), folders);
            assert_eq!(exceeds(folders, known, 1000), much, "{known}");
        }
        assert!(!exceeds([Path::new("/nowhere/at/all")].into_iter(), 0, 0));
    }
}
