//! The files of a folder, out of a release's content.

use crate::failures;
use std::io::Read;
use wharf_migrations::{Script, scripts};
use wharf_proto::{Entry, EntryKind, Failure, FailureKind, Manifest, RelPath};
use wharf_state::BlobStore;

/// The most that a folder may hold: it is read into memory.
const FOLDER_BYTES: u64 = 64 * 1024 * 1024;

/// A migration that may be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    pub name: String,
    pub script: Script,
    /// The way back, where there is one.
    pub down: Option<Script>,
}

/// Reads the migrations of a folder, in their order.
///
/// # Errors
/// Names or files that cannot be worked with; content that is missing.
pub async fn read(
    blobs: &BlobStore,
    manifest: &Manifest,
    folder: &RelPath,
) -> Result<Vec<Migration>, Failure> {
    let (blobs, manifest, folder) = (blobs.clone(), manifest.clone(), folder.clone());
    failures::blocking(move || {
        let found = scripts(&folder, manifest.entries()).map_err(|e| e.failure())?;
        let files = found.iter().flat_map(|one| std::iter::once(one.up).chain(one.down));
        if files.map(size).sum::<u64>() > FOLDER_BYTES {
            return Err(Failure::new(
                FailureKind::Refused,
                format!("{folder} has more than {FOLDER_BYTES} bytes of SQL"),
            )
            .hint("load much data with a command instead of a migration"));
        }
        let read = |entry: &Entry| script(&blobs, entry);
        found
            .iter()
            .map(|one| {
                Ok(Migration {
                    name: one.name.to_owned(),
                    script: read(one.up)?,
                    down: one.down.map(read).transpose()?,
                })
            })
            .collect()
    })
    .await
}

/// What [`wharf_migrations::judge`] holds against the table.
pub fn checksums(migrations: &[Migration]) -> Vec<(String, String)> {
    migrations.iter().map(|one| (one.name.clone(), one.script.checksum.clone())).collect()
}

fn size(entry: &Entry) -> u64 {
    match &entry.kind {
        EntryKind::File { size_bytes, .. } => *size_bytes,
        EntryKind::Symlink { .. } | EntryKind::Folder { .. } => 0,
    }
}

fn script(blobs: &BlobStore, entry: &Entry) -> Result<Script, Failure> {
    let EntryKind::File { chunks, .. } = &entry.kind else {
        return Err(wharf_migrations::FolderError::NotAFile(entry.path.clone()).failure());
    };
    let mut content = Vec::new();
    blobs.open_file(chunks).read_to_end(&mut content).map_err(|error| {
        Failure::from_error(FailureKind::Environment, &error)
            .cause(format!("while reading {}", entry.path))
            .hint("look at the disk of the agent's state folder")
    })?;
    Script::read(&content).map_err(|error| error.failure(&entry.path))
}
