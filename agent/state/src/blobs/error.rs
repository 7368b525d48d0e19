//! Why content cannot be stored or written out.

use std::path::{Path, PathBuf};
use wharf_proto::{Digest, RelPath, limits};

#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("cannot {act} {}; make sure that wharfd may use it and that the disk is not full", path.display())]
    Io {
        act: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the pack is not a zip archive that can be read; deploy again")]
    NotAZip(#[source] zip::result::ZipError),
    #[error("chunks cannot be packed")]
    Zip(#[source] zip::result::ZipError),
    #[error("the pack is {0} bytes long, more than the {max} allowed; upgrade the older of wharf and wharfd", max = limits::PACK_BYTES)]
    PackTooLong(u64),
    #[error("entry {name} of the pack cannot be unpacked; deploy again")]
    Unpack {
        name: String,
        #[source]
        source: std::io::Error,
    },
    #[error("entry {name:?} of the pack is not named by a digest; upgrade the older of wharf and wharfd")]
    Name { name: String },
    #[error("entry {name} of the pack was not asked for; deploy again")]
    Unwanted { name: String },
    #[error("{name} is longer than the {max} bytes that a chunk may have; deploy again", max = limits::CHUNK_MAX_BYTES)]
    TooLong { name: String },
    #[error("entry {name} of the pack holds something else, with digest {found}; deploy again")]
    WrongDigest { name: String, found: Digest },
    #[error("chunk {0} is not on the server; deploy again to send it")]
    Missing(Digest),
    #[error(
        "chunk {0} was damaged on the server's disk and is removed; check the disk, then deploy again to send it anew"
    )]
    Damaged(Digest),
    #[error("chunk {digest} is {found} bytes long where the manifest says {expected}; deploy again")]
    Size { digest: Digest, expected: u32, found: usize },
    #[error("{} is not empty; a release is written out into an empty folder only", .0.display())]
    NotEmpty(PathBuf),
    #[error("cannot write out {path}")]
    Entry {
        path: RelPath,
        #[source]
        source: Box<BlobError>,
    },
}

impl BlobError {
    pub(super) fn io(act: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { act, path, source }
    }
}
