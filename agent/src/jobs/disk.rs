//! What lies on the server's disk, in the manifest's terms.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use wharf_plan::overlay::DiskEntry;
use wharf_proto::manifest::{Chunk, LinkTarget};
use wharf_proto::{Digest, Entry, EntryKind, Manifest, RelPath, limits};

/// What is at `path`, as an entry called `name`; `None` where there is nothing, or something that no release ships
/// (a device, a socket). `each` is given every chunk of a file. Files are cut at fixed lengths, so a file above one
/// chunk differs from the client's entry for it even where the content is equal; [`is`] compares those.
///
/// # Errors
/// A file that cannot be read.
pub fn entry(
    path: &Path,
    name: &RelPath,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Option<Entry>> {
    let Some(metadata) = look(path)? else { return Ok(None) };
    let mode = metadata.permissions().mode() & 0o777;
    let kind = if metadata.is_symlink() {
        EntryKind::Symlink { target: LinkTarget::new(fs::read_link(path)?.as_os_str().as_bytes()) }
    } else if metadata.is_dir() {
        EntryKind::Folder { mode }
    } else if metadata.is_file() {
        let mut chunks = Vec::new();
        read_in_pieces(path, limits::CHUNK_MAX_BYTES, |piece| {
            chunks.push(Chunk {
                digest: Digest::of(piece),
                size_bytes: u32::try_from(piece.len()).unwrap_or(u32::MAX),
            });
            each(piece)
        })?;
        let size_bytes = chunks.iter().map(|chunk| u64::from(chunk.size_bytes)).sum();
        EntryKind::File { mode, mtime_seconds: metadata.mtime(), size_bytes, chunks }
    } else {
        return Ok(None);
    };
    Ok(Some(Entry { path: name.clone(), kind }))
}

/// What is in the app directory at every path of `manifests`, above it, and, where a folder stands in a file's place,
/// below it.
///
/// # Errors
/// A file that cannot be read.
pub fn survey(app_dir: &Path, manifests: &[&Manifest]) -> io::Result<BTreeMap<RelPath, DiskEntry>> {
    let mut found = BTreeMap::new();
    for entry in manifests.iter().flat_map(|manifest| manifest.entries()) {
        let mut above = entry.path.parent();
        while let Some(folder) = above {
            above = folder.parent();
            if let std::collections::btree_map::Entry::Vacant(place) = found.entry(folder) {
                let at = place.key().below(app_dir);
                if let Some(there) = disk_entry(&at, place.key(), &[])? {
                    place.insert(there);
                }
            }
        }
        if found.contains_key(&entry.path) {
            continue;
        }
        let candidates: Vec<&Entry> =
            manifests.iter().filter_map(|manifest| manifest.get(&entry.path)).collect();
        let at = entry.path.below(app_dir);
        if let Some(there) = disk_entry(&at, &entry.path, &candidates)? {
            found.insert(entry.path.clone(), there);
            if there == DiskEntry::Folder && !matches!(entry.kind, EntryKind::Folder { .. }) {
                below(&at, &entry.path, &mut found)?;
            }
        }
    }
    Ok(found)
}

fn below(folder: &Path, name: &RelPath, found: &mut BTreeMap<RelPath, DiskEntry>) -> io::Result<()> {
    for child in fs::read_dir(folder)? {
        let child = child?;
        let path = [name.as_bytes(), b"/", child.file_name().as_bytes()].concat();
        let Ok(name) = RelPath::new(path) else { continue };
        if let Some(there) = disk_entry(&child.path(), &name, &[])? {
            if there == DiskEntry::Folder {
                below(&child.path(), &name, found)?;
            }
            found.insert(name, there);
        }
    }
    Ok(())
}

fn disk_entry(path: &Path, name: &RelPath, candidates: &[&Entry]) -> io::Result<Option<DiskEntry>> {
    let Some(metadata) = look(path)? else { return Ok(None) };
    if metadata.is_dir() {
        return Ok(Some(DiskEntry::Folder));
    }
    for candidate in candidates {
        if is(path, candidate)? {
            let kind = if metadata.is_symlink() { DiskEntry::Link } else { DiskEntry::File };
            return Ok(Some(kind(candidate.identity())));
        }
    }
    Ok(Some(match entry(path, name, |_| Ok(()))? {
        Some(found) if metadata.is_symlink() => DiskEntry::Link(found.identity()),
        Some(found) => DiskEntry::File(found.identity()),
        None => DiskEntry::Special,
    }))
}

/// Whether what is at `path` is exactly `entry`, but for times.
///
/// # Errors
/// A file that cannot be read.
pub fn is(path: &Path, entry: &Entry) -> io::Result<bool> {
    let Some(metadata) = look(path)? else { return Ok(false) };
    let mode = metadata.permissions().mode() & 0o777;
    match &entry.kind {
        EntryKind::Symlink { target } => {
            Ok(metadata.is_symlink() && fs::read_link(path)?.as_os_str().as_bytes() == target.to_bytes())
        }
        EntryKind::Folder { mode: expected } => Ok(metadata.is_dir() && mode == *expected),
        EntryKind::File { mode: expected, size_bytes, chunks, .. } => {
            if !metadata.is_file() || mode != *expected || metadata.len() != *size_bytes {
                return Ok(false);
            }
            has_chunks(path, chunks)
        }
    }
}

fn has_chunks(path: &Path, chunks: &[Chunk]) -> io::Result<bool> {
    let mut file = fs::File::open(path)?;
    let mut buffer = Vec::new();
    for chunk in chunks {
        buffer.resize(chunk.size_bytes as usize, 0);
        match file.read_exact(&mut buffer) {
            Ok(()) if Digest::of(&buffer) == chunk.digest => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(file.read(&mut [0])? == 0)
}

fn read_in_pieces(path: &Path, length: u32, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut file = fs::File::open(path)?;
    let mut piece = Vec::new();
    loop {
        piece.clear();
        file.by_ref().take(length.into()).read_to_end(&mut piece)?;
        if piece.is_empty() {
            return Ok(());
        }
        each(&piece)?;
    }
}

fn look(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_what_is_there_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let name: RelPath = "file".parse().unwrap();
        fs::write(&path, vec![7; limits::CHUNK_MAX_BYTES as usize + 5]).unwrap();
        let mut seen = 0;
        let count = |piece: &[u8]| {
            seen += piece.len();
            Ok(())
        };
        let found = entry(&path, &name, count).unwrap().unwrap();
        assert_eq!(seen, limits::CHUNK_MAX_BYTES as usize + 5);
        assert!(is(&path, &found).unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(!is(&path, &found).unwrap());
        assert_eq!(entry(&folder.path().join("none/x"), &name, |_| Ok(())).unwrap(), None);
    }
}
