//! Reading a dump back out of the repository, piece by piece.

use crate::BackupError;
use crate::backup::blocking;
use crate::repository::Indexed;
use crate::stream::Dumped;
use bytes::{Bytes, BytesMut};
use rustic_core::repofile::Node;
use sha2::{Digest, Sha256};
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use tokio::sync::mpsc::Sender;

/// How much is passed on at once; the repository has it in smaller pieces.
const PIECE_BYTES: usize = 128 * 1024;

/// Reads a dump, and passes its pieces on to everybody who takes them. Says what was read, or `None` where somebody did
/// not take it to its end.
pub(crate) async fn read_back(
    repository: Arc<Indexed>,
    node: Node,
    to: Vec<Sender<Bytes>>,
    on_progress: impl FnMut(u64) + Send + 'static,
) -> Result<Option<Dumped>, BackupError> {
    let piece = BytesMut::with_capacity(PIECE_BYTES);
    let mut readback =
        ReadBack { to, piece, hash: Sha256::new(), size_bytes: 0, refused: false, on_progress };
    blocking(move || {
        let result = repository.dump(&node, &mut readback);
        let passed = readback.pass_on();
        let ReadBack { hash, size_bytes, refused, .. } = readback;
        match result {
            // Who takes it had enough before the end, and says why.
            _ if refused => Ok(None),
            Err(error) => Err(BackupError::rustic("read a dump back")(error)),
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
