//! Reading a job's events as they come.

use super::{EventError, Progress, blocking, journal};
use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;
use wharf_proto::{Event, EventBody, JobId};

/// What is read of the file at once.
const PIECE_BYTES: usize = 256 * 1024;

/// The events of one job, each once and in order, to its last.
#[derive(Debug)]
pub struct Follow {
    job: JobId,
    path: PathBuf,
    file: Arc<File>,
    progress: watch::Receiver<Progress>,
    /// Where the first event that was not read begins.
    offset: u64,
    /// The number of that event.
    next_index: u64,
    from_index: u64,
    ready: VecDeque<Event>,
    finished: bool,
}

/// Whole events that were read, and where the next begins.
struct Piece {
    events: Vec<Event>,
    bytes: u64,
}

impl Follow {
    pub(super) fn new(
        job: JobId,
        path: PathBuf,
        file: File,
        progress: watch::Receiver<Progress>,
        from_index: u64,
    ) -> Self {
        Self {
            job,
            path,
            file: Arc::new(file),
            progress,
            offset: 0,
            next_index: 0,
            from_index,
            ready: VecDeque::new(),
            finished: false,
        }
    }

    /// The next event, as soon as there is one; `None` after the job's last. A job that a crash interrupted goes on when
    /// the agent resumes it.
    ///
    /// May be dropped while it waits, as in `select!`, without losing an event.
    ///
    /// # Errors
    /// A file that cannot be read, or that was removed before the job was over.
    pub async fn next(&mut self) -> Result<Option<Event>, EventError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if self.finished {
                return Ok(None);
            }
            let closed = self.progress.has_changed().is_err();
            let readable = self.progress.borrow_and_update().bytes;
            if self.read(readable).await? {
                continue;
            }
            if closed {
                return Err(EventError::Removed(self.job));
            }
            // Closing wakes, too: then the file is read once more.
            let _ = self.progress.changed().await;
        }
    }

    /// Reads the next events before `readable`; whether there were any.
    async fn read(&mut self, readable: u64) -> Result<bool, EventError> {
        if readable <= self.offset {
            return Ok(false);
        }
        let (file, path) = (self.file.clone(), self.path.clone());
        let (job, offset, index) = (self.job, self.offset, self.next_index);
        let piece = blocking(move || {
            read_piece(&file, job, offset, readable, index).map_err(|source| EventError::Io {
                act: "read",
                path,
                source,
            })
        })
        .await?;
        self.offset += piece.bytes;
        self.next_index += piece.events.len() as u64;
        let any = !piece.events.is_empty();
        self.finished = piece.events.last().is_some_and(|e| matches!(e.body, EventBody::Finished { .. }));
        self.ready.extend(piece.events.into_iter().filter(|event| event.index >= self.from_index));
        Ok(any)
    }
}

/// Reads the whole events in a piece of the file; one event at least, however long it is. A line that is not the event
/// that is due was torn by a crash: what stands before it counts, and it is read again when the log was mended.
fn read_piece(file: &File, job: JobId, offset: u64, end: u64, first_index: u64) -> std::io::Result<Piece> {
    let available = usize::try_from(end - offset).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    loop {
        let have = bytes.len();
        let want = available.min(have + PIECE_BYTES);
        bytes.resize(want, 0);
        let mut filled = have;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            match file.read_at(room, offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let short = filled < want;
        bytes.truncate(filled);
        if short || want == available || bytes.contains(&b'\n') {
            return Ok(whole_events(&bytes, job, first_index));
        }
    }
}

fn whole_events(bytes: &[u8], job: JobId, first_index: u64) -> Piece {
    let mut piece = Piece { events: Vec::new(), bytes: 0 };
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(event) = journal::parse(line, job, first_index + piece.events.len() as u64) else { break };
        let last = matches!(event.body, EventBody::Finished { .. });
        piece.events.push(event);
        piece.bytes += line.len() as u64;
        if last {
            break;
        }
    }
    piece
}
