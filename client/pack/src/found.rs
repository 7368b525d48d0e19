//! What a walk found: what is shipped, what is not, and what may surprise.

use crate::LeftOut;
use std::collections::BTreeSet;
use std::fmt;
use wharf_proto::{RelPath, manifest::LinkTarget};

/// What is shipped of a project, and what a person should know of the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walk {
    /// Sorted by path.
    pub entries: Vec<Found>,
    /// Secrets that no ignore rule takes, which are not shipped all the same.
    pub left_out: Vec<LeftOut>,
    /// Files that [`crate::PackRules::include`] names: a person knows what they hold.
    pub named: BTreeSet<RelPath>,
    pub warnings: Vec<Warning>,
}

/// One path that is shipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub path: RelPath,
    pub kind: FoundKind,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundKind {
    /// `size_bytes` is for progress: what counts is what is read later.
    File {
        mode: u32,
        size_bytes: u64,
    },
    Symlink {
        target: LinkTarget,
    },
    /// An empty folder.
    Folder {
        mode: u32,
    },
}

/// Something that is shipped, or not, in a way that may surprise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// The link is shipped as it is, but what it leads to is not in the project.
    LinkLeadsOut { path: RelPath, target: String },
    /// A socket, FIFO or device; not shipped.
    NotAFile { path: RelPath, what: &'static str },
    /// A pattern of [`PackRules::include`] named no file.
    IncludesNothing { pattern: String },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkLeadsOut { path, target } => {
                write!(
                    f,
                    "the link {path} leads out of the project, to {target}: the server may have nothing there"
                )
            }
            Self::NotAFile { path, what } => write!(f, "{path} is a {what} and is not shipped"),
            Self::IncludesNothing { pattern } => {
                write!(f, "{pattern:?} under `include` in wharf.toml names no file of this project")
            }
        }
    }
}

impl Walk {
    /// The sum of the files' sizes.
    pub fn size_bytes(&self) -> u64 {
        let size = |found: &Found| match found.kind {
            FoundKind::File { size_bytes, .. } => size_bytes,
            FoundKind::Symlink { .. } | FoundKind::Folder { .. } => 0,
        };
        self.entries.iter().map(size).sum()
    }
}
