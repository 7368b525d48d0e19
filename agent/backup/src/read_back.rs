//! Reading a dump back out of the repository, piece by piece.

use crate::backup::blocking;
use crate::line::Outbox;
use crate::repository::Indexed;
use crate::stream::Dumped;
use crate::{BackupError, Phase, Progress};
use bytes::Bytes;
use rustic_core::repofile::Node;
use sha2::{Digest, Sha256};
use std::future::Future;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Pieces under way between the repository and who takes them.
const PIECES: usize = 16;

/// Starts reading. The pieces come in the receiver; the future, which must be awaited meanwhile, says what was read, or
/// `None` where nobody took it to its end.
pub(crate) fn read_back(
    repository: Arc<Indexed>,
    node: Node,
    phase: Phase,
    outbox: Arc<Outbox>,
) -> (impl Future<Output = Result<Option<Dumped>, BackupError>>, Receiver<Bytes>) {
    let (sender, pieces) = mpsc::channel(PIECES);
    let mut readback = ReadBack { sender, hash: Sha256::new(), size_bytes: 0, refused: false, phase, outbox };
    let reading = blocking(move || {
        let result = repository.dump(&node, &mut readback);
        let ReadBack { hash, size_bytes, refused, .. } = readback;
        match result {
            Err(error) if !refused => Err(BackupError::rustic("read a dump back")(error)),
            // pg_restore had enough before the end; it says why.
            Err(_) => Ok(None),
            Ok(()) => Ok(Some(Dumped { size_bytes, sha256: hash.finalize().into() })),
        }
    });
    (reading, pieces)
}

/// Takes a dump that is read back, hashes it and passes it on.
struct ReadBack {
    sender: Sender<Bytes>,
    hash: Sha256,
    size_bytes: u64,
    refused: bool,
    phase: Phase,
    outbox: Arc<Outbox>,
}

impl Write for ReadBack {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.hash.update(piece);
        self.size_bytes += piece.len() as u64;
        self.outbox.progress(Progress { phase: self.phase, files: 0, bytes: self.size_bytes });
        if self.sender.blocking_send(Bytes::copy_from_slice(piece)).is_err() {
            self.refused = true;
            return Err(io::Error::new(ErrorKind::BrokenPipe, "the dump is not taken any more"));
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
