//! What a back end must be able to do: files by name, below one folder.

use async_trait::async_trait;
use bytes::Bytes;
use std::fmt;

/// What went wrong, by what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("there is no such file")]
    Missing,
    /// Trying again would not help.
    #[error("{0}")]
    Lasting(String),
    /// Trying again may help.
    #[error("{0}")]
    Passing(String),
}

/// Files somewhere else. Names have slashes, and only letters, digits and `-` between them.
#[async_trait]
pub(crate) trait Files: fmt::Debug + Send + Sync + 'static {
    /// The files below a folder, with their sizes, by their last names. A folder that is not there is empty.
    async fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, Trouble>;

    /// The names of the folders at the top.
    async fn folders(&self) -> Result<Vec<String>, Trouble>;

    /// The size of a file; `None`: there is none.
    async fn size(&self, name: &str) -> Result<Option<u64>, Trouble>;

    /// A file, or `length` bytes of it from `offset` on.
    async fn read(&self, name: &str, range: Option<(u64, u64)>) -> Result<Bytes, Trouble>;

    /// Writes a file that is not there yet: whole, or not at all.
    async fn write(&self, name: &str, content: Bytes) -> Result<(), Trouble>;

    async fn remove(&self, name: &str) -> Result<(), Trouble>;
}
