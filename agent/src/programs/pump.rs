//! The bytes between a client and a program.
//!
//! **Invariant**: the conversation is read at all times: a program that does not read its input holds up neither a Ctrl-C
//! nor the notice that the client left. What waits for it is bounded by the client's window.

use super::size;
use crate::conversation::{Stop, Talk};
use crate::failures;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, SimplexStream, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wharf_engine::interactive::{Input, Output, Program};
use wharf_engine::{Engine, EngineError, StreamKind};
use wharf_proto::frame::{Frame, Kind};
use wharf_proto::limits::TERMINAL_WINDOW_BYTES;
use wharf_proto::message::{ClientMessage, ServerMessage};
use wharf_proto::terminal::{OutputStream, Window};
use wharf_proto::{Failure, FailureKind};

/// Handed to the program at once.
const PIECE_BYTES: usize = 64 * 1024;
/// Reports of input passed on that may wait.
const REPORTS: usize = 16;

/// Carries input and output until the program has ended; its exit code.
///
/// # Errors
/// The client left, or the engine broke off.
pub async fn pump(
    talk: &mut Talk,
    engine: &Engine,
    program: &Program,
    (mut output, input): (Output, Input),
) -> Result<i32, Stop> {
    let mut window = Window::new();
    let mut stream = OutputStream::Stdout;
    let (mut feed, mut fed) = Feed::start(input);
    loop {
        tokio::select! {
            frame = talk.hear() => {
                if let Some(new) = take(&mut feed, &mut window, frame?).await? {
                    engine.resize(program, new).await.map_err(of_engine)?;
                }
            },
            piece = output.next(), if window.room() > 0 => match piece.map_err(of_engine)? {
                Some((kind, bytes)) => {
                    window.sent(bytes.len());
                    say_piece(talk, &mut stream, kind, bytes).await?;
                }
                None => break,
            },
            Some(bytes) = fed.recv() => talk.say(&ServerMessage::Taken { bytes }).await?,
        }
    }
    // A program may close its outputs and run on: the client may still leave.
    let code = tokio::select! {
        code = engine.exit_of(program) => code.map_err(of_engine)?,
        gone = only_gone(talk) => return Err(gone),
    };
    Ok(i32::try_from(code).unwrap_or(i32::MAX))
}

/// Tells the client something as if the program had, on standard error.
pub async fn say_error(talk: &mut Talk, text: &str) -> Result<(), Stop> {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    say_piece(talk, &mut OutputStream::Stdout, StreamKind::Stderr, bytes).await
}

async fn say_piece(
    talk: &mut Talk,
    current: &mut OutputStream,
    kind: StreamKind,
    bytes: Bytes,
) -> Result<(), Stop> {
    let stream = match kind {
        StreamKind::Stdout => OutputStream::Stdout,
        StreamKind::Stderr => OutputStream::Stderr,
    };
    if stream != *current {
        talk.say(&ServerMessage::Stream { stream }).await?;
        *current = stream;
    }
    talk.send(Frame { kind: Kind::Bulk, payload: bytes }).await
}

/// One frame of the client's; a new size, where it is one.
async fn take(
    feed: &mut Feed,
    window: &mut Window,
    frame: Frame,
) -> Result<Option<wharf_engine::interactive::Size>, Stop> {
    if frame.kind == Kind::Bulk {
        feed.write(&frame.payload).await;
        return Ok(None);
    }
    match frame.message().map_err(|e| Failure::from_error(FailureKind::Unsupported, &e))? {
        ClientMessage::Resize { size: new } => return Ok(Some(size(new))),
        ClientMessage::Taken { bytes } => window.taken(bytes),
        ClientMessage::InputEnd => feed.end().await,
        _ => {
            return Err(Failure::new(
                FailureKind::Unsupported,
                "a message that has no place while a program runs",
            )
            .into());
        }
    }
    Ok(None)
}

async fn only_gone(talk: &mut Talk) -> Stop {
    loop {
        if let Err(stop) = talk.hear().await {
            return stop;
        }
    }
}

fn of_engine(error: EngineError) -> Stop {
    failures::of_engine(&error).into()
}

/// The program's input, fed by a task of its own.
struct Feed {
    /// `None` after the end.
    pipe: Option<WriteHalf<SimplexStream>>,
    task: JoinHandle<()>,
}

impl Feed {
    fn start(input: Input) -> (Self, mpsc::Receiver<u64>) {
        let window = usize::try_from(TERMINAL_WINDOW_BYTES).unwrap_or(usize::MAX);
        let (reader, pipe) = tokio::io::simplex(window);
        let (report, reports) = mpsc::channel(REPORTS);
        let task = tokio::spawn(feed(reader, input, report));
        (Self { pipe: Some(pipe), task }, reports)
    }

    async fn write(&mut self, bytes: &[u8]) {
        if let Some(pipe) = &mut self.pipe {
            // It fails only where the task is gone, and then nobody wants it.
            let _ = pipe.write_all(bytes).await;
        }
    }

    async fn end(&mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            // Dropping this half would not tell the other one.
            let _ = pipe.shutdown().await;
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn feed(mut reader: impl AsyncReadExt + Unpin, mut input: Input, report: mpsc::Sender<u64>) {
    let mut piece = vec![0; PIECE_BYTES];
    let mut reads = true;
    while let Ok(count) = reader.read(&mut piece).await {
        if count == 0 {
            break;
        }
        // A program that reads no more is like one that ignores what it reads: the client may go on.
        reads = reads && input.write(piece.get(..count).unwrap_or_default()).await.is_ok();
        if report.send(count as u64).await.is_err() {
            return;
        }
    }
    input.end().await;
}
