//! A program on the server whose input and output are here.
//!
//! **Invariant**: what the agent sends is read at all times; what waits to be written is bounded by the window, which it
//! keeps to.

use super::{Session, SessionError, Talk, talk};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, SimplexStream, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wharf_proto::{
    frame::{Frame, Kind},
    limits::TERMINAL_WINDOW_BYTES,
    message::{ClientMessage, Request, ServerMessage},
    terminal::{OutputStream, TerminalSize, Window},
};

/// Read or written at once.
const PIECE_BYTES: usize = 32 * 1024;

/// The exit code where nobody reads the output any more, as a shell tells of SIGPIPE.
const NOBODY_READS: i32 = 141;

/// What a program is joined to.
pub struct Ends {
    /// What is typed, piece by piece; it is closed at the end of the input.
    pub input: mpsc::Receiver<Bytes>,
    pub stdout: Box<dyn AsyncWrite + Send + Unpin>,
    pub stderr: Box<dyn AsyncWrite + Send + Unpin>,
    /// New sizes of the terminal.
    pub sizes: mpsc::Receiver<TerminalSize>,
}

/// Asks for a program, and comes back when it runs.
///
/// # Errors
/// The agent's failure, or a connection that breaks.
pub async fn start(session: &Session, request: Request) -> Result<Talk, SessionError> {
    let mut talk = session.open(request).await?;
    match talk.next("the program", Some(talk::ANSWER_WITHIN)).await? {
        ServerMessage::Started => Ok(talk),
        other => Err(talk::unexpected("a program", &other)),
    }
}

/// Carries input and output until the program ends; its exit code. All its output has been written then.
///
/// # Errors
/// The agent's failure, or a connection that breaks.
pub async fn carry(talk: &mut Talk, ends: Ends) -> Result<i32, SessionError> {
    let Ends { mut input, stdout, stderr, mut sizes } = ends;
    let (report, mut written) = mpsc::channel(64);
    let mut outlets = [Outlet::start(stdout, report.clone()), Outlet::start(stderr, report)];
    let mut window = Window::new();
    let (mut current, mut typing, mut resizing) = (0, true, true);
    let code = loop {
        tokio::select! {
            received = talk.rx.receive() => {
                let frame = received?.ok_or(SessionError::Broken { source: None })?;
                if frame.kind == Kind::Bulk {
                    if let Some(outlet) = outlets.get_mut(current) {
                        outlet.write(&frame.payload).await;
                    }
                    continue;
                }
                match frame.message()? {
                    ServerMessage::Stream { stream } => current = usize::from(stream == OutputStream::Stderr),
                    ServerMessage::Taken { bytes } => window.taken(bytes),
                    ServerMessage::Exited { code } => break code,
                    ServerMessage::Failed { failure } => return Err(SessionError::Agent(failure)),
                    other => return Err(talk::unexpected("output", &other)),
                }
            }
            piece = input.recv(), if typing && window.room() > 0 => match piece {
                Some(payload) => {
                    window.sent(payload.len());
                    let frame = Frame { kind: Kind::Bulk, payload };
                    talk::send_frame(&mut *talk.tx, frame, talk::SEND_WITHIN).await?;
                }
                None => {
                    typing = false;
                    talk.send(&ClientMessage::InputEnd).await?;
                }
            },
            size = sizes.recv(), if resizing => match size {
                Some(size) => talk.send(&ClientMessage::Resize { size }).await?,
                None => resizing = false,
            },
            Some(written) = written.recv() => match written {
                Written::Bytes(bytes) => talk.send(&ClientMessage::Taken { bytes }).await?,
                Written::Closed => return Ok(NOBODY_READS),
            },
        }
    };
    for outlet in outlets {
        outlet.finish(&mut written).await;
    }
    Ok(code)
}

/// What became of output.
enum Written {
    Bytes(u64),
    /// Nobody reads it any more (`| head`).
    Closed,
}

/// One of the two outputs, written by a task of its own: whoever reads it here may be slow.
struct Outlet {
    pipe: WriteHalf<SimplexStream>,
    task: JoinHandle<()>,
}

impl Outlet {
    fn start(to: Box<dyn AsyncWrite + Send + Unpin>, report: mpsc::Sender<Written>) -> Self {
        let window = usize::try_from(TERMINAL_WINDOW_BYTES).unwrap_or(usize::MAX);
        // Room for the piece with which the agent may overstep.
        let (reader, pipe) = tokio::io::simplex(window + 256 * 1024);
        Self { pipe, task: tokio::spawn(pass_on(reader, to, report)) }
    }

    async fn write(&mut self, bytes: &[u8]) {
        // It fails only where the task is gone.
        let _ = self.pipe.write_all(bytes).await;
    }

    /// Waits until everything was written.
    async fn finish(self, reports: &mut mpsc::Receiver<Written>) {
        let Self { mut pipe, mut task } = self;
        // Dropping this half would not tell the other one.
        let _ = pipe.shutdown().await;
        loop {
            tokio::select! {
                _ = &mut task => return,
                Some(_) = reports.recv() => {}
            }
        }
    }
}

async fn pass_on(
    mut reader: impl AsyncReadExt + Unpin,
    mut to: Box<dyn AsyncWrite + Send + Unpin>,
    report: mpsc::Sender<Written>,
) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(count) = reader.read(&mut piece).await {
        if count == 0 {
            return;
        }
        let bytes = piece.get(..count).unwrap_or_default();
        let heard = to.write_all(bytes).await.is_ok() && to.flush().await.is_ok();
        let written = if heard { Written::Bytes(count as u64) } else { Written::Closed };
        if report.send(written).await.is_err() || !heard {
            return;
        }
    }
}
