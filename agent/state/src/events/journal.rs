//! A job's file as its writer sees it.
//!
//! **Invariant**: between two calls the file ends after a whole event, or the journal is broken and writes no more.

use super::{EventError, Progress};
use jiff::Timestamp;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use wharf_proto::event::Level;
use wharf_proto::{Event, EventBody, JobId, Outcome, limits};

/// What a control frame needs around an event.
const FRAME_SLACK_BYTES: usize = 1024;
const LINE_BYTES: usize = limits::CONTROL_FRAME_BYTES as usize - FRAME_SLACK_BYTES;

/// What follows a line that was cut.
const CUT: &str = " … (the rest of this line was cut)";

#[derive(Debug)]
pub(super) struct Journal {
    job: JobId,
    path: PathBuf,
    file: File,
    /// Where the last whole event ends.
    bytes: u64,
    next_index: u64,
    output_bytes: u64,
    output_limit_bytes: u64,
    output_is_full: bool,
    /// How the job ended, once it has.
    outcome: Option<Outcome>,
    broken: bool,
}

impl Journal {
    /// Reads what is in the file and cuts off what a crash left half-written.
    pub(super) fn open(
        job: JobId,
        path: PathBuf,
        file: File,
        output_limit_bytes: u64,
    ) -> Result<Self, EventError> {
        let mut journal = Self {
            job,
            path,
            file,
            bytes: 0,
            next_index: 0,
            output_bytes: 0,
            output_limit_bytes,
            output_is_full: false,
            outcome: None,
            broken: false,
        };
        journal.scan()?;
        Ok(journal)
    }

    pub(super) fn progress(&self) -> Progress {
        Progress { bytes: self.bytes }
    }

    pub(super) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Numbers an event and writes it; `None` for output beyond the limit, which is dropped. All but output is on disk
    /// when this returns.
    pub(super) fn append(&mut self, body: EventBody) -> Result<Option<Event>, EventError> {
        if self.broken {
            return Err(EventError::Broken(self.job));
        }
        if self.outcome.is_some() {
            return Err(EventError::Finished(self.job));
        }
        let EventBody::Output { step, service, line } = body else {
            let event = self.write(body)?;
            self.sync()?;
            self.outcome = outcome(&event);
            return Ok(Some(event));
        };
        if self.output_is_full {
            return Ok(None);
        }
        let line = cut(line);
        let length = line.len() as u64;
        if self.output_bytes + length > self.output_limit_bytes {
            let note = self.write(self.full_note())?;
            self.output_is_full = true;
            return Ok(Some(note));
        }
        let event = self.write(EventBody::Output { step, service, line })?;
        self.output_bytes += length;
        Ok(Some(event))
    }

    /// What is said once in place of further output; a scan knows by it that the log is full.
    fn full_note(&self) -> EventBody {
        let text = format!(
            "the output of this job is longer than {} MiB: the rest of it is not kept",
            self.output_limit_bytes >> 20
        );
        EventBody::Note { level: Level::Warning, text }
    }

    fn write(&mut self, body: EventBody) -> Result<Event, EventError> {
        let event = Event { job: self.job, index: self.next_index, at: Timestamp::now(), body };
        let mut line =
            serde_json::to_vec(&event).map_err(|source| EventError::Json { job: self.job, source })?;
        if line.len() > LINE_BYTES {
            return Err(EventError::TooLong { job: self.job, length: line.len(), limit: LINE_BYTES });
        }
        line.push(b'\n');
        self.write_line(&line)?;
        self.bytes += line.len() as u64;
        self.next_index += 1;
        Ok(event)
    }

    /// Writes a line; where that fails, nothing of it stays in the file, and the next may still find room.
    fn write_line(&mut self, line: &[u8]) -> Result<(), EventError> {
        let Err(source) = self.file.write_all(line) else { return Ok(()) };
        self.broken = self.file.set_len(self.bytes).is_err();
        Err(EventError::Io { act: "write", path: self.path.clone(), source })
    }

    /// What could not be synced may be on disk or not: only a scan after a restart tells.
    fn sync(&mut self) -> Result<(), EventError> {
        let Err(source) = self.file.sync_data() else { return Ok(()) };
        self.broken = true;
        Err(EventError::Io { act: "write", path: self.path.clone(), source })
    }

    fn scan(&mut self) -> Result<(), EventError> {
        let io = |act, path: &PathBuf| {
            let path = path.clone();
            move |source| EventError::Io { act, path, source }
        };
        let length = self.file.metadata().map_err(io("read", &self.path))?.len();
        if length == 0 {
            return Ok(());
        }
        let mut reader = BufReader::new(File::open(&self.path).map_err(io("read", &self.path))?);
        let mut line = Vec::new();
        while let Some(event) =
            read_event(&mut reader, &mut line, self.job, self.next_index).map_err(io("read", &self.path))?
        {
            self.bytes += line.len() as u64;
            self.next_index += 1;
            self.outcome = outcome(&event);
            self.output_is_full |= event.body == self.full_note();
            if let EventBody::Output { line, .. } = &event.body {
                self.output_bytes += line.len() as u64;
            }
            if self.outcome.is_some() {
                break;
            }
        }
        if self.bytes < length {
            tracing::warn!(job = %self.job, cut_bytes = length - self.bytes, "cut a torn event off a job's log");
            self.file.set_len(self.bytes).map_err(io("mend", &self.path))?;
        }
        self.file.sync_all().map_err(io("mend", &self.path))
    }
}

/// The next event, if it is whole and the one that is due; `line` then holds its bytes.
fn read_event(
    reader: &mut impl BufRead,
    line: &mut Vec<u8>,
    job: JobId,
    index: u64,
) -> std::io::Result<Option<Event>> {
    line.clear();
    // A line without an end would fill the memory otherwise.
    std::io::Read::take(&mut *reader, LINE_BYTES as u64 + 1).read_until(b'\n', line)?;
    Ok(parse(line, job, index))
}

/// A whole line as the event `index` of `job`.
pub(super) fn parse(line: &[u8], job: JobId, index: u64) -> Option<Event> {
    let json = line.strip_suffix(b"\n")?;
    let event: Event = serde_json::from_slice(json).ok()?;
    (event.job == job && event.index == index).then_some(event)
}

fn outcome(event: &Event) -> Option<Outcome> {
    match &event.body {
        EventBody::Finished { outcome } => Some(outcome.clone()),
        _ => None,
    }
}

/// Cuts a line of output to the length that is kept.
fn cut(mut line: String) -> String {
    if line.len() > limits::OUTPUT_LINE_BYTES {
        let mut end = limits::OUTPUT_LINE_BYTES.saturating_sub(CUT.len());
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
        line.push_str(CUT);
    }
    line
}
