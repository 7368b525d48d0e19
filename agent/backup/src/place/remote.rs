//! Files somewhere else as rustic's backend: blocking, patient, and never without a limit.

use super::files::{Files, Trouble};
use bytes::{Bytes, BytesMut};
use rustic_core::{BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How often a call is tried, with a pause that doubles in between.
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// For a call that moves next to nothing, and for each MiB that it moves besides.
const CALL: Duration = Duration::from_secs(60);
const MIB: Duration = Duration::from_secs(20);
const MIB_BYTES: u64 = 1024 * 1024;

/// The largest file that is read whole, in bytes: packs have at most 64 MiB, an index some more.
const FILE_BYTES: u64 = 512 * MIB_BYTES;

#[derive(Debug)]
pub(crate) struct Remote {
    files: Arc<dyn Files>,
    name: String,
    runtime: Handle,
}

impl Remote {
    /// Must be called within a runtime, which the calls then use.
    pub(crate) fn new(files: Arc<dyn Files>, name: String) -> Self {
        Self { files, name, runtime: Handle::current() }
    }

    /// Runs a call to its end, again if its trouble may have passed.
    fn call<T, F: Future<Output = Result<T, Trouble>>>(
        &self,
        doing: &str,
        file: &str,
        moves_bytes: u64,
        call: impl Fn() -> F,
    ) -> RusticResult<T> {
        let limit = CALL + MIB * u32::try_from(moves_bytes / MIB_BYTES).unwrap_or(u32::MAX / 64);
        let tried = self.runtime.block_on(async {
            let mut pause = FIRST_PAUSE;
            for last in (0..TRIES).rev().map(|left| left == 0) {
                let trouble = match tokio::time::timeout(limit, call()).await {
                    Ok(Ok(done)) => return Ok(done),
                    Ok(Err(trouble)) => trouble,
                    Err(_) => Trouble::Passing(format!("no answer within {} s", limit.as_secs())),
                };
                if last || !matches!(trouble, Trouble::Passing(_)) {
                    return Err(trouble);
                }
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            Err(Trouble::Lasting("it was never tried".to_owned()))
        });
        tried.map_err(|trouble| {
            RusticError::with_source(ErrorKind::Backend, "{place} failed to {doing} {file}", trouble)
                .attach_context("place", self.name.clone())
                .attach_context("doing", doing)
                .attach_context("file", file)
        })
    }
}

/// The folders at the top; must be called within a runtime.
pub(crate) fn folders(files: &dyn Files) -> Result<Vec<String>, String> {
    let listed = async { tokio::time::timeout(CALL, files.folders()).await };
    match Handle::current().block_on(listed) {
        Ok(Ok(names)) => Ok(names),
        Ok(Err(trouble)) => Err(trouble.to_string()),
        Err(_) => Err(format!("no answer within {} s", CALL.as_secs())),
    }
}

/// The name of a repository's file, as restic names it.
fn name(kind: FileType, id: &Id) -> String {
    let hex = id.to_hex();
    let hex: &str = &hex;
    match kind {
        FileType::Config => "config".to_owned(),
        FileType::Pack => format!("data/{}/{hex}", hex.get(..2).unwrap_or_default()),
        _ => format!("{}/{hex}", kind.dirname()),
    }
}

impl ReadBackend for Remote {
    fn location(&self) -> String {
        self.name.clone()
    }

    fn list_with_size(&self, kind: FileType) -> RusticResult<Vec<(Id, u32)>> {
        if kind == FileType::Config {
            let size = self.call("look for", "config", 0, || self.files.size("config"))?;
            return Ok(size
                .into_iter()
                .map(|size| (Id::default(), u32::try_from(size).unwrap_or(u32::MAX)))
                .collect());
        }
        let folder = kind.dirname();
        let found = self.call("list", folder, 0, || self.files.list(folder))?;
        // A file that is being written has another name, and is none of the repository's.
        let ids = found.into_iter().filter_map(|(name, size)| {
            Some((name.parse::<Id>().ok().filter(|_| name.len() == 64)?, u32::try_from(size).ok()?))
        });
        Ok(ids.collect())
    }

    fn read_full(&self, kind: FileType, id: &Id) -> RusticResult<Bytes> {
        let name = name(kind, id);
        self.call("read", &name, 64 * MIB_BYTES, || self.files.read(&name, None))
    }

    fn read_partial(
        &self,
        kind: FileType,
        id: &Id,
        _cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        let name = name(kind, id);
        let range = (u64::from(offset), u64::from(length));
        self.call("read", &name, range.1, || async {
            let piece = self.files.read(&name, Some(range)).await?;
            if piece.len() as u64 == range.1 {
                return Ok(piece);
            }
            Err(Trouble::Passing(format!("{} bytes came where {length} were asked for", piece.len())))
        })
    }

    fn warmup_path(&self, kind: FileType, id: &Id) -> String {
        name(kind, id)
    }
}

impl WriteBackend for Remote {
    fn write_bytes(&self, kind: FileType, id: &Id, _cacheable: bool, content: BytesList) -> RusticResult<()> {
        let name = name(kind, id);
        let size_bytes = content.size() as u64;
        let content = joined(content);
        self.call("write", &name, size_bytes, || async {
            self.files.write(&name, content.clone()).await?;
            match self.files.size(&name).await? {
                Some(size) if size == size_bytes => Ok(()),
                found => Err(Trouble::Passing(format!("{size_bytes} bytes were sent, {found:?} are there"))),
            }
        })
    }

    fn remove(&self, kind: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        let name = name(kind, id);
        self.call("remove", &name, 0, || self.files.remove(&name))
    }
}

fn joined(content: BytesList) -> Bytes {
    let mut pieces = content.into_vec();
    if pieces.len() == 1 {
        return pieces.pop().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in pieces {
        whole.extend_from_slice(&piece);
    }
    whole.freeze()
}

/// Whether a file of that size may be read whole.
pub(crate) fn sane(size_bytes: u64) -> Result<(), Trouble> {
    if size_bytes <= FILE_BYTES {
        return Ok(());
    }
    Err(Trouble::Lasting(format!("it has {size_bytes} bytes, which no file of a repository has")))
}
