//! Folders of migrations, before anything is sent: the same rules as the server's.

use super::Files;
use crate::config::Config;
use wharf_migrations::{Script, scripts};
use wharf_proto::{Entry, Failure, FailureKind};

/// Looks through every file of every folder that `wharf.toml` names.
///
/// # Errors
/// A name or a file that the server would refuse.
pub fn check(config: &Config, files: &Files) -> Result<(), Failure> {
    let folders = config.spec.migrate.iter().filter_map(|one| one.folder.as_ref());
    for folder in folders {
        for found in scripts(folder, files.manifest().entries()).map_err(|error| error.failure())? {
            std::iter::once(found.up).chain(found.down).try_for_each(|entry| read(config, entry))?;
        }
    }
    Ok(())
}

fn read(config: &Config, entry: &Entry) -> Result<(), Failure> {
    let content = std::fs::read(entry.path.below(&config.root)).map_err(|error| {
        Failure::from_error(FailureKind::Environment, &error).cause(format!("while reading {}", entry.path))
    })?;
    Script::read(&content).map(drop).map_err(|error| error.failure(&entry.path))
}
