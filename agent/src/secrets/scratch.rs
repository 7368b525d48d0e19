//! A folder of the agent's, readable by nobody else, for what Compose is asked to read. It goes when it is dropped.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use wharf_proto::{Failure, FailureKind};

pub struct Scratch(PathBuf);

impl Scratch {
    /// # Errors
    /// The state folder cannot be written to.
    pub fn make(below: &Path) -> Result<Self, Failure> {
        let path = below.join(format!("scratch-{:016x}", rand::random::<u64>()));
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|error| {
            Failure::new(FailureKind::Environment, format!("cannot make {}", path.display()))
                .cause(error.to_string())
                .hint("look at the free space and the rights of the agent's state folder")
        })?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
