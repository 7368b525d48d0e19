//! Reading a dump back out of the repository, piece by piece.

use crate::BackupError;
use crate::backup::blocking;
use crate::gate::Gate;
use crate::repository::{Indexed, Store};
use crate::sealed::{Broken, Opening};
use crate::stream::Dumped;
use bytes::{Bytes, BytesMut};
use rustic_core::repofile::Node;
use rustic_core::{FileType, ReadBackend};
use sha2::{Digest, Sha256};
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use tokio::sync::mpsc::Sender;

/// How much is passed on at once; the repository has it in smaller pieces.
const PIECE_BYTES: usize = 128 * 1024;
/// How much is read from a pack at once, where blobs lie one after another.
const RUN_BYTES: u32 = 1024 * 1024;
const ACTION: &str = "read a dump back";

/// Where dumps are read from.
#[derive(Clone)]
pub(crate) struct Shelf {
    gate: Gate,
    repository: Arc<Indexed>,
}

impl Shelf {
    pub(crate) fn new(store: &Store, repository: &Arc<Indexed>) -> Self {
        Self { gate: store.gate.clone(), repository: Arc::clone(repository) }
    }

    /// Writes a file's content. rustic reads each blob by itself, and has a thread hand each to another.
    fn write_to(&self, node: &Node, to: &mut impl Write) -> Result<(), BackupError> {
        let failed = |cause: String| BackupError::Repository { action: ACTION.to_owned(), cause };
        let broken = |Broken| failed("a part of it is not what was written".to_owned());
        let mut opening = Opening::new(&self.repository.key()).map_err(broken)?;
        // One run after another: all entries of a large dump are a hundred megabytes.
        let mut entries = node.content.iter().flatten().map(|id| self.repository.get_index_entry(id));
        let mut entry = || entries.next().transpose().map_err(BackupError::rustic(ACTION));
        let mut next = entry()?;
        while let Some(first) = next {
            let (mut run, mut end) = (vec![first], first.location.offset + first.location.length);
            next = entry()?;
            while let Some(follows) = next
                && (follows.pack, follows.location.offset) == (first.pack, end)
                && end - first.location.offset < RUN_BYTES
            {
                end += follows.location.length;
                run.push(follows);
                next = entry()?;
            }
            let (offset, length) = (first.location.offset, end - first.location.offset);
            let sealed = self.gate.read_partial(FileType::Pack, &first.pack, false, offset, length);
            let sealed = sealed.map_err(BackupError::rustic(ACTION))?;
            let mut sealed = sealed.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&*shared));
            for entry in &run {
                let mut blob = sealed.split_to(sealed.len().min(entry.location.length as usize));
                let content = opening.blob(&mut blob, entry.location.uncompressed_length).map_err(broken)?;
                to.write_all(content).map_err(|error| failed(error.to_string()))?;
            }
        }
        Ok(())
    }
}

/// Reads a dump, and passes its pieces on to everybody who takes them. Says what was read, or `None` where somebody did
/// not take it to its end.
pub(crate) async fn read_back(
    shelf: Shelf,
    node: Node,
    to: Vec<Sender<Bytes>>,
    on_progress: impl FnMut(u64) + Send + 'static,
) -> Result<Option<Dumped>, BackupError> {
    let piece = BytesMut::with_capacity(PIECE_BYTES);
    let mut readback =
        ReadBack { to, piece, hash: Sha256::new(), size_bytes: 0, refused: false, on_progress };
    blocking(move || {
        let result = shelf.write_to(&node, &mut readback);
        let passed = readback.pass_on();
        let ReadBack { hash, size_bytes, refused, .. } = readback;
        match result {
            // Who takes it had enough before the end, and says why.
            _ if refused => Ok(None),
            Err(error) => Err(error),
            Ok(()) => Ok(passed.ok().map(|()| Dumped { size_bytes, sha256: hash.finalize().into() })),
        }
    })
    .await
}

/// Takes a dump that is read back, hashes it and passes it on.
struct ReadBack<P> {
    to: Vec<Sender<Bytes>>,
    piece: BytesMut,
    hash: Sha256,
    size_bytes: u64,
    refused: bool,
    on_progress: P,
}

impl<P> ReadBack<P> {
    fn pass_on(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = self.piece.split().freeze();
        self.hash.update(&piece);
        for to in &self.to {
            if to.blocking_send(piece.clone()).is_err() {
                self.refused = true;
                return Err(io::Error::new(ErrorKind::BrokenPipe, "the dump is not taken any more"));
            }
        }
        Ok(())
    }
}

impl<P: FnMut(u64)> Write for ReadBack<P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.size_bytes += bytes.len() as u64;
        (self.on_progress)(self.size_bytes);
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.pass_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
