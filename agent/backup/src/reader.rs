//! Reading what goes into a snapshot.
//!
//! **Invariant**: every `read` fills its buffer but for the last one. A short read makes rustic's chunker shrink its
//! buffer for good, and a backup of seconds takes minutes.

use crate::BackupError;
use crate::ledger::Ledger;
use crate::stream::Piece;
use bytes::{Buf, Bytes};
use jiff::Timestamp;
use nix::fcntl::OFlag;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;

/// Any of the readers.
pub(crate) enum Source {
    File(FileReader),
    Bytes(BytesReader),
    Stream(StreamReader),
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(reader) => reader.read(buffer),
            Self::Bytes(reader) => fill(reader, buffer),
            Self::Stream(reader) => fill(reader, buffer),
        }
    }
}

/// Something that yields its bytes piece by piece; an empty piece is the end.
trait Pieces {
    fn current(&mut self) -> io::Result<&mut Bytes>;
}

/// Fills `buffer` as far as there are bytes.
fn fill(pieces: &mut impl Pieces, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        let piece = pieces.current()?;
        if piece.is_empty() {
            break;
        }
        let count = piece.len().min(buffer.len() - filled);
        piece.copy_to_slice(&mut buffer[filled..filled + count]);
        filled += count;
    }
    Ok(filled)
}

/// Bytes in memory.
pub(crate) struct BytesReader {
    content: Bytes,
}

impl BytesReader {
    pub(crate) fn new(content: Bytes) -> Self {
        Self { content }
    }
}

impl Pieces for BytesReader {
    fn current(&mut self) -> io::Result<&mut Bytes> {
        Ok(&mut self.content)
    }
}

/// A dump as it arrives.
pub(crate) struct StreamReader {
    pieces: Receiver<Piece>,
    current: Bytes,
    ended: bool,
    ledger: Arc<Ledger>,
    on_gone: BackupError,
}

impl StreamReader {
    /// `on_gone` is the fault if the sender goes away without a word.
    pub(crate) fn new(pieces: Receiver<Piece>, ledger: Arc<Ledger>, on_gone: BackupError) -> Self {
        Self { pieces, current: Bytes::new(), ended: false, ledger, on_gone }
    }
}

impl Pieces for StreamReader {
    fn current(&mut self) -> io::Result<&mut Bytes> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Data(bytes)) => {
                    self.ledger.read(bytes.len());
                    self.current = bytes;
                }
                Some(Piece::End) => self.ended = true,
                Some(Piece::Failed(fault)) => {
                    self.ledger.fail(fault);
                    return Err(io::Error::new(ErrorKind::BrokenPipe, "the dump failed"));
                }
                None => {
                    self.ledger.fail(self.on_gone.clone());
                    return Err(io::Error::new(ErrorKind::BrokenPipe, "the dump was cut off"));
                }
            }
        }
        Ok(&mut self.current)
    }
}

/// A project's file. It yields exactly as many bytes as the file had when the folder was walked, so that the size in
/// the snapshot is right: what grows is cut, what shrinks is filled with zeros, and both are noted.
pub(crate) struct FileReader {
    file: File,
    path: PathBuf,
    remaining: u64,
    mtime: Option<Timestamp>,
    ended: bool,
    ledger: Arc<Ledger>,
}

impl FileReader {
    /// `None`: it is gone, or something else lies there now.
    pub(crate) fn open(
        path: &Path,
        size_bytes: u64,
        mtime: Option<Timestamp>,
        ledger: Arc<Ledger>,
    ) -> Result<Option<Self>, BackupError> {
        // Without following a link, and without waiting for the other end of a pipe, that came in the meantime.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
            Ok(file) => file,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(BackupError::unreadable(path, &error)),
        };
        match file.metadata() {
            Ok(found) if !found.is_file() => Ok(None),
            Ok(_) => Ok(Some(Self {
                file,
                path: path.to_owned(),
                remaining: size_bytes,
                mtime,
                ended: false,
                ledger,
            })),
            Err(error) => Err(BackupError::unreadable(path, &error)),
        }
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.ledger.fail(BackupError::unreadable(&self.path, &error));
                    return Err(error);
                }
                Ok(count) => return Ok(count),
            }
        }
    }

    fn note_change(&mut self) {
        self.ended = true;
        let now = self.file.metadata().ok().and_then(|found| modified(&found));
        if now != self.mtime {
            self.ledger.note(format!("{} changed while it was backed up", self.path.display()));
        }
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(buffer.len());
        let mut filled = 0;
        while filled < wanted {
            match self.read_some(&mut buffer[filled..wanted])? {
                0 => {
                    buffer[filled..wanted].fill(0);
                    filled = wanted;
                }
                count => filled += count,
            }
        }
        self.remaining -= filled as u64;
        self.ledger.read(filled);
        if self.remaining == 0 && !self.ended {
            self.note_change();
        }
        Ok(filled)
    }
}

/// Whether an error says that a path leads nowhere any more, or to something else.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    use nix::errno::Errno;
    error.raw_os_error().is_some_and(|code| {
        matches!(
            Errno::from_raw(code),
            Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ESTALE | Errno::ENXIO
        )
    })
}

/// When a file was last changed.
pub(crate) fn modified(metadata: &std::fs::Metadata) -> Option<Timestamp> {
    use std::os::unix::fs::MetadataExt;
    Timestamp::new(metadata.mtime(), i32::try_from(metadata.mtime_nsec()).unwrap_or(0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Phase;
    use crate::line::Outbox;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn ledger() -> (Arc<Ledger>, Sink) {
        let sink = Sink::default();
        (Arc::new(Ledger::new(Arc::new(Outbox::new(sink.clone())), Phase::Files)), sink)
    }

    fn read_file(content: &[u8], size_then: u64) -> (Vec<u8>, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, content).unwrap();
        let (ledger, sink) = ledger();
        let mut read = Vec::new();
        let mut reader = FileReader::open(&path, size_then, None, ledger).unwrap().unwrap();
        reader.read_to_end(&mut read).unwrap();
        let told = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        (read, told)
    }

    #[test]
    fn a_file_that_grew_is_cut_and_one_that_shrank_is_filled() {
        let (read, told) = read_file(b"abcdef", 4);
        assert_eq!(read, b"abcd");
        assert!(told.contains("changed while"), "{told}");
        assert_eq!(read_file(b"ab", 4).0, b"ab\0\0");
    }

    #[test]
    fn what_is_no_file_any_more_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _) = ledger();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        for path in [folder.path().join("none"), link, folder.path().to_owned()] {
            assert!(FileReader::open(&path, 1, None, Arc::clone(&ledger)).unwrap().is_none(), "{path:?}");
        }
    }

    #[test]
    fn a_stream_fills_every_read_however_it_is_cut() {
        let (sender, receiver) = tokio::sync::mpsc::channel(100);
        for piece in [&b"ab"[..], b"", b"cdefg", b"h"] {
            sender.try_send(Piece::Data(Bytes::copy_from_slice(piece))).unwrap();
        }
        sender.try_send(Piece::End).unwrap();
        let gone = BackupError::Invalid { what: String::new() };
        let mut reader = Source::Stream(StreamReader::new(receiver, ledger().0, gone));
        let mut buffer = [0; 6];
        assert_eq!(reader.read(&mut buffer).unwrap(), 6);
        assert_eq!(&buffer, b"abcdef");
        assert_eq!(reader.read(&mut buffer).unwrap(), 2);
        assert_eq!(reader.read(&mut buffer).unwrap(), 0);
    }

    #[test]
    fn a_stream_that_is_cut_off_is_a_fault() {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        sender.try_send(Piece::Data(Bytes::from_static(b"half"))).unwrap();
        drop(sender);
        let (ledger, _) = ledger();
        let gone = BackupError::Invalid { what: "gone".into() };
        let mut reader = Source::Stream(StreamReader::new(receiver, Arc::clone(&ledger), gone.clone()));
        assert!(reader.read_to_end(&mut Vec::new()).is_err());
        assert_eq!(ledger.fault(), Some(gone));
    }
}
