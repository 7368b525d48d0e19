//! Why a project cannot be packed.

use std::io;
use std::path::PathBuf;
use wharf_proto::{Digest, RelPath, limits, manifest::ManifestError};

/// Why a project cannot be packed. [`PackError::hint`] says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("{} is not a folder that can be read", path.display())]
    Root { path: PathBuf, source: io::Error },
    #[error("{path} cannot be read")]
    Read { path: RelPath, source: io::Error },
    #[error("{} cannot be read", path.display())]
    Rules { path: PathBuf, source: io::Error },
    #[error("{}, line {line}: the rule {rule:?} cannot be read", path.display())]
    Rule { path: PathBuf, line: usize, rule: String, source: ignore::Error },
    #[error("{} is {size_bytes} bytes long, which no file of ignore rules is", path.display())]
    RulesTooLong { path: PathBuf, size_bytes: u64 },
    #[error("the include {pattern:?} cannot be read")]
    Include { pattern: String, source: globset::Error },
    #[error(
        "the path {path}… is {length_bytes} bytes long, more than the {max} allowed",
        max = limits::PATH_BYTES
    )]
    PathTooLong { path: String, length_bytes: usize },
    #[error("the name {name:?} in {folder} cannot be shipped: it is not Unicode")]
    Name { folder: String, name: String },
    #[error(
        "the project has more than the {max} files allowed; {folder} alone holds {count} of them",
        max = limits::MANIFEST_ENTRIES
    )]
    TooManyFiles { folder: String, count: usize },
    #[error("{path} is {size_bytes} bytes long: more than {max} chunks", max = limits::FILE_CHUNKS)]
    FileTooLong { path: RelPath, size_bytes: u64 },
    #[error("{path} was there a moment ago and is gone")]
    Gone { path: RelPath },
    #[error("{path} kept changing while it was read ({tries} tries)")]
    Unstable { path: RelPath, tries: u32 },
    #[error("{path} has changed since it was hashed")]
    Changed { path: RelPath },
    #[error("nothing in this project has the content {digest} that was asked for")]
    UnknownChunk { digest: Digest },
    #[error("the files do not make a manifest")]
    Manifest(#[from] ManifestError),
    #[error("git could not be asked which files are executable")]
    Git { source: io::Error },
    #[error("a zip cannot hold {path}: its name is not UTF-8")]
    ZipName { path: RelPath },
    #[error("a zip cannot hold the symbolic link {path}: the path that it leads to is not UTF-8")]
    ZipLink { path: RelPath },
    #[error("the zip cannot be written")]
    Zip { source: zip::result::ZipError },
    #[error("a pack of {size_bytes} bytes came out, more than the {max} allowed", max = limits::PACK_BYTES)]
    PackTooLong { size_bytes: u64 },
}

impl PackError {
    /// What to do about it: an instruction.
    pub fn hint(&self) -> String {
        match self {
            Self::Root { .. } => "run wharf in the project's folder".into(),
            Self::Read { path, .. } => {
                format!("make {path} readable for you, or leave it out with a line in .wharfignore")
            }
            Self::Rules { path, .. } => format!("make {} readable for you", path.display()),
            Self::Rule { path, .. } => format!("correct the rule in {}", path.display()),
            Self::RulesTooLong { path, .. } => {
                format!("look at {}: is it what it should be?", path.display())
            }
            Self::Include { .. } => "correct `include` under [pack] in wharf.toml".into(),
            Self::PathTooLong { .. } => {
                "leave the folder out with a line in .wharfignore, or shorten its names".into()
            }
            Self::Name { .. } => "rename it, or leave it out with a line in .wharfignore".into(),
            Self::TooManyFiles { folder, .. } => {
                format!(
                    "leave it out with the line `{folder}/` in .wharfignore, if the server does not need it"
                )
            }
            Self::FileTooLong { path, .. } => format!("leave it out with the line `/{path}` in .wharfignore"),
            Self::Gone { .. } => "run the command again when nothing else works on the project".into(),
            Self::Unstable { path, .. } => format!(
                "stop the program that writes {path}, or leave it out with the line `/{path}` in .wharfignore"
            ),
            Self::Changed { .. } => "run the command again; what was sent already is not sent twice".into(),
            Self::UnknownChunk { .. } | Self::PackTooLong { .. } | Self::Manifest(_) => {
                "this is a bug of Wharf's; please report it with this text".into()
            }
            Self::Git { .. } => "install git, or run wharf where `git ls-files -s` works".into(),
            Self::ZipName { path } => {
                format!("rename {path}; `wharf deploy` ships it as it is, only an archive cannot hold it")
            }
            Self::ZipLink { path } => {
                format!(
                    "point {path} elsewhere; `wharf deploy` ships it as it is, only an archive cannot hold it"
                )
            }
            Self::Zip { .. } => "free space on the disk, or write the archive elsewhere with -o".into(),
        }
    }
}
