//! A folder that was restored, held against the snapshot that it came from: names, kinds, owners, modes and every byte.
//!
//! It is read from the disk as whoever will use it does, and not from what the restore believes to have written.

use crate::line::Outbox;
use crate::repository::{Indexed, Store};
use crate::restore::find;
use crate::walk::unix_mode;
use crate::{BackupError, CompareReport, CompareRequest, Phase, Progress};
use nix::unistd::geteuid;
use rustic_core::LsOptions;
use rustic_core::repofile::{Node, NodeType};
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// How many differences are told.
const FINDINGS: usize = 10;
const PIECE_BYTES: usize = 64 * 1024;

/// Compares what lies below a path of a snapshot with a folder.
pub(crate) fn compare(request: &CompareRequest, outbox: &Outbox) -> Result<CompareReport, BackupError> {
    let store = Store::lock(&request.repo, &request.key_file)?;
    let repository = store.open_indexed()?;
    let root = find(&repository, &request.snapshot, &request.path)?;
    let mut seen = Seen { with: request.with.clone(), entries: 1, findings: Vec::new() };
    let mut report = CompareReport { files: 0, size_bytes: 0 };
    seen.entry(&repository, &request.with, &root)?;
    let nodes =
        repository.ls(&root, &LsOptions::default()).map_err(BackupError::rustic("read a snapshot"))?;
    for item in nodes {
        let (path, node) = item.map_err(BackupError::rustic("read a snapshot"))?;
        if !matches!(node.node_type, NodeType::Dir | NodeType::File | NodeType::Symlink { .. }) {
            continue;
        }
        seen.entries += 1;
        seen.entry(&repository, &request.with.join(&path), &node)?;
        if !node.is_dir() {
            report.files += 1;
            report.size_bytes += node.meta.size;
        }
        let (files, bytes) = (report.files, report.size_bytes);
        outbox.progress(Progress { phase: Phase::Check, files, bytes });
    }
    seen.nothing_more();
    if seen.findings.is_empty() {
        return Ok(report);
    }
    Err(BackupError::Differs { folder: seen.with, findings: seen.findings })
}

struct Seen {
    with: PathBuf,
    /// How many there must be, the folder itself included.
    entries: u64,
    findings: Vec<String>,
}

impl Seen {
    fn entry(&mut self, repository: &Indexed, path: &Path, node: &Node) -> Result<(), BackupError> {
        let found = match std::fs::symlink_metadata(path) {
            Ok(found) => found,
            Err(error) => {
                self.tell(path, error);
                return Ok(());
            }
        };
        if let Some(what) = unlike(path, node, &found) {
            self.tell(path, what);
        } else if node.is_file() && !same_content(repository, node, path)? {
            self.tell(path, "its content is another");
        }
        Ok(())
    }

    /// Everything was found that must be there; is there more?
    fn nothing_more(&mut self) {
        let there = WalkDir::new(&self.with).follow_links(false).into_iter().count() as u64;
        if there > self.entries {
            let more = there - self.entries;
            self.findings.push(format!("there are {more} entries that the backup does not have"));
        }
    }

    fn tell(&mut self, path: &Path, what: impl std::fmt::Display) {
        if self.findings.len() < FINDINGS {
            self.findings.push(format!("{}: {what}", path.display()));
        }
    }
}

fn unlike(path: &Path, node: &Node, found: &Metadata) -> Option<&'static str> {
    let kind = found.file_type();
    let is_alike = match &node.node_type {
        NodeType::Dir => kind.is_dir(),
        NodeType::File => kind.is_file(),
        _ => kind.is_symlink(),
    };
    if !is_alike {
        return Some("it is of another kind");
    }
    if node.is_symlink() && !std::fs::read_link(path).is_ok_and(|to| to == node.node_type.to_link()) {
        return Some("it leads elsewhere");
    }
    if node.is_file() && found.len() != node.meta.size {
        return Some("it has another size");
    }
    let mode = node.meta.mode.map(unix_mode).filter(|_| !node.is_symlink());
    if mode.is_some_and(|mode| mode != found.permissions().mode() & 0o7777) {
        return Some("it has another mode");
    }
    let owner = |expected: Option<u32>, is: u32| expected.is_none_or(|expected| expected == is);
    let owned = owner(node.meta.uid, found.uid()) && owner(node.meta.gid, found.gid());
    // Nobody but root can give files away.
    (geteuid().is_root() && !owned).then_some("it has another owner")
}

fn same_content(repository: &Indexed, node: &Node, path: &Path) -> Result<bool, BackupError> {
    let file = File::open(path).map_err(|error| BackupError::unreadable(path, &error))?;
    let mut against = Against { file, same: true, fault: None };
    let read = repository.dump(node, &mut against);
    if let Some(error) = against.fault {
        return Err(BackupError::unreadable(path, &error));
    }
    read.map_err(BackupError::rustic("read a file back"))?;
    Ok(against.same)
}

/// Takes what the snapshot has, and reads the same from the file.
struct Against {
    file: File,
    same: bool,
    fault: Option<io::Error>,
}

impl Write for Against {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let mut buffer = [0; PIECE_BYTES];
        let length = piece.len().min(PIECE_BYTES);
        let (buffer, piece) = (&mut buffer[..length], &piece[..length]);
        match self.file.read_exact(buffer) {
            Ok(()) => self.same &= *buffer == *piece,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.same = false,
            Err(error) => {
                let kind = error.kind();
                self.fault = Some(error);
                return Err(kind.into());
            }
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
