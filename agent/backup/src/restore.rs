//! Getting files back out.
//!
//! Files are streamed one by one: rustic's own restore needs half a gigabyte of memory.
//!
//! **Invariant**: nothing that exists is overwritten, and nothing is written outside the folder that was named.

use crate::line::Outbox;
use crate::manifest::BackupManifest;
use crate::repository::{Indexed, Store, snapshot};
use crate::walk::unix_mode;
use crate::{BackupError, DumpOutReport, DumpOutRequest, Phase, Progress, RestoreReport, RestoreRequest};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Uid, geteuid};
use rustic_core::LsOptions;
use rustic_core::repofile::{Metadata, Node, NodeType};
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// Writes what lies below a path of a snapshot to an empty folder.
pub(crate) fn restore(request: &RestoreRequest, outbox: &Outbox) -> Result<RestoreReport, BackupError> {
    let store = Store::lock(&request.repo, &request.key_file)?;
    let repository = store.open_indexed()?;
    let root = find(&repository, &request.snapshot, &request.path)?;
    empty_folder(&request.to)?;
    let mut restored = RestoreReport { files: 0, size_bytes: 0 };
    // Folders get their modes and times last: a folder that may not be written to could not be filled.
    let mut folders = Vec::new();
    if root.is_dir() {
        folders.push((request.to.clone(), root.meta.clone()));
    }
    let nodes =
        repository.ls(&root, &LsOptions::default()).map_err(BackupError::rustic("read a snapshot"))?;
    for item in nodes {
        let (path, node) = item.map_err(BackupError::rustic("read a snapshot"))?;
        // A single file is listed without a name of its own.
        let path = if path.as_os_str().is_empty() { PathBuf::from(&*root.name()) } else { path };
        let to = below(&request.to, &path)?;
        match &node.node_type {
            NodeType::Dir => {
                DirBuilder::new().mode(0o700).create(&to).map_err(|e| target(&to, &e))?;
                folders.push((to, node.meta));
            }
            NodeType::File => {
                restored.size_bytes += write_file(&repository, &node, &to)?.0;
                restored.files += 1;
            }
            NodeType::Symlink { .. } => {
                std::os::unix::fs::symlink(node.node_type.to_link(), &to).map_err(|e| target(&to, &e))?;
                set_metadata(&to, &node.meta, true).map_err(|e| target(&to, &e))?;
                restored.files += 1;
            }
            _ => outbox.note(format!("{} is no file, and is left out", path.display())),
        }
        let (files, bytes) = (restored.files, restored.size_bytes);
        outbox.progress(Progress { phase: Phase::Restore, files, bytes });
    }
    for (folder, metadata) in folders.iter().rev() {
        set_metadata(folder, metadata, false).map_err(|e| target(folder, &e))?;
    }
    Ok(restored)
}

/// Writes one file of a snapshot to a new file, and compares a dump with the hash that was noted when it was made.
pub(crate) fn dump_out(request: &DumpOutRequest) -> Result<DumpOutReport, BackupError> {
    let store = Store::lock(&request.repo, &request.key_file)?;
    let repository = store.open_indexed()?;
    let node = find(&repository, &request.snapshot, &request.path)?;
    if !node.is_file() {
        return Err(BackupError::Invalid { what: format!("{} is no file", request.path) });
    }
    let (size_bytes, sha256) = write_file(&repository, &node, &request.to)?;
    let found = snapshot(&repository, &request.snapshot)?;
    let manifest = BackupManifest::of(&repository, &found).unwrap_or_default();
    if let Some(dump) = manifest.dumps.iter().find(|dump| dump.path == request.path)
        && dump.sha256 != sha256
    {
        let finding = format!("{} is not what was dumped", request.path);
        return Err(BackupError::Damaged { repo: store.repo, findings: vec![finding] });
    }
    Ok(DumpOutReport { size_bytes, sha256 })
}

pub(crate) fn find(
    repository: &Indexed,
    id: &wharf_proto::BackupId,
    path: &str,
) -> Result<Node, BackupError> {
    let found = snapshot(repository, id)?;
    repository
        .node_from_snapshot_and_path(&found, path)
        .map_err(|_| BackupError::NotFound { what: format!("{path} of the backup {}", id.short()) })
}

fn empty_folder(to: &Path) -> Result<(), BackupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(to).map_err(|e| target(to, &e))?;
    let mut entries = std::fs::read_dir(to).map_err(|e| target(to, &e))?;
    if entries.next().is_some() {
        return Err(BackupError::TargetNotEmpty { to: to.to_owned() });
    }
    Ok(())
}

fn below(to: &Path, path: &Path) -> Result<PathBuf, BackupError> {
    if path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(to.join(path));
    }
    Err(BackupError::Invalid { what: format!("{} leads out of its folder", path.display()) })
}

/// Writes a new file, and returns its size and SHA-256.
pub(crate) fn write_file(repository: &Indexed, node: &Node, to: &Path) -> Result<(u64, String), BackupError> {
    let file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(to)
        .map_err(|error| target(to, &error))?;
    let mut hashing = Hashing { file, hash: Sha256::new(), size_bytes: 0, fault: None };
    let read = repository.dump(node, &mut hashing);
    if let Some(error) = hashing.fault {
        return Err(target(to, &error));
    }
    read.map_err(BackupError::rustic("read a file back"))?;
    hashing
        .file
        .sync_all()
        .and_then(|()| set_metadata(to, &node.meta, false))
        .map_err(|error| target(to, &error))?;
    Ok((hashing.size_bytes, hex::encode(hashing.hash.finalize())))
}

/// Owner (for root alone), mode and time.
fn set_metadata(path: &Path, metadata: &Metadata, link: bool) -> io::Result<()> {
    if geteuid() == Uid::from_raw(0) {
        std::os::unix::fs::lchown(path, metadata.uid, metadata.gid)?;
    }
    if let Some(mode) = metadata.mode.filter(|_| !link) {
        std::fs::set_permissions(path, Permissions::from_mode(unix_mode(mode)))?;
    }
    if !link {
        // A file system without access lists takes the file all the same.
        let _ = crate::attributes::write(path, metadata);
    }
    if let Some(mtime) = metadata.mtime {
        let time = TimeSpec::new(mtime.as_second(), mtime.subsec_nanosecond().into());
        utimensat(nix::fcntl::AT_FDCWD, path, &time, &time, UtimensatFlags::NoFollowSymlink)?;
    }
    Ok(())
}

/// A file that is hashed while it is written.
struct Hashing {
    file: File,
    hash: Sha256,
    size_bytes: u64,
    fault: Option<io::Error>,
}

impl Write for Hashing {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.file.write_all(piece) {
            let kind = error.kind();
            self.fault = Some(error);
            return Err(kind.into());
        }
        self.hash.update(piece);
        self.size_bytes += piece.len() as u64;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn target(path: &Path, cause: &dyn std::fmt::Display) -> BackupError {
    BackupError::Target { path: path.to_owned(), cause: cause.to_string() }
}
