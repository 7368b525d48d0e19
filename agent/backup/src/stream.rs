//! A dump on its way out of a container: streamed, hashed and watched, whatever kind of database it is of.

use crate::exec::{Early, Program, Running, Tail};
use crate::instance::Instance;
use crate::trailer::Trailer;
use crate::{BackupError, TableRows};
use bollard::Docker;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Pieces under way between the engine and the repository; each is what the engine sends at once, 32 KiB or so.
const PIECES: usize = 32;
/// How much of the beginning is kept, for what a missing program says.
const HEAD_BYTES: u64 = 512;

/// A piece of a dump.
#[derive(Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    /// The program ended with exit code 0, and this was all.
    End,
    Failed(BackupError),
}

/// What was dumped, or read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dumped {
    pub(crate) size_bytes: u64,
    pub(crate) sha256: [u8; 32],
}

/// A dump that was made.
pub(crate) struct Written {
    pub(crate) dumped: Dumped,
    /// The rows that were seen in it.
    pub(crate) rows: Vec<TableRows>,
    /// What goes on in the same exec, and will check the dump.
    pub(crate) checker: Option<Running>,
}

/// Where a dump that was made will be, once [`Piece::End`] has come.
pub(crate) type DumpResult = Arc<Mutex<Option<Written>>>;

/// Looks at a dump as it passes.
pub(crate) trait Watch: Send {
    fn see(&mut self, piece: &[u8]);

    /// Whether what passed is a whole dump, and the rows in it as far as they can be told; else why it is none.
    fn verdict(&mut self) -> Result<Vec<TableRows>, String>;
}

/// The program that writes a dump, in the database's own container.
#[derive(Clone)]
pub(crate) struct DumpProgram {
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<String>,
    /// How long it may write nothing.
    pub(crate) patience: Duration,
}

impl DumpProgram {
    /// Its name, for people.
    pub(crate) fn name(&self) -> &str {
        self.arguments.first().map_or("", String::as_str)
    }
}

/// A program that was started early.
pub(crate) struct Waiting {
    pub(crate) early: Early,
    /// What it waits for.
    pub(crate) line: String,
    /// How it tells that it has written the dump, and is ready to check one.
    pub(crate) trailer: Trailer,
}

/// Starts a dump. The pieces must be read to their end.
pub(crate) fn start_dump(
    docker: Docker,
    instance: Instance,
    (program, waiting): (DumpProgram, Option<Waiting>),
    mut watch: Box<dyn Watch>,
    result: DumpResult,
) -> Receiver<Piece> {
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        let last = match dump(&docker, &instance, (&program, waiting), watch.as_mut(), &sender).await {
            Ok(written) => {
                *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(written);
                Piece::End
            }
            Err(fault) => Piece::Failed(fault),
        };
        // Nobody reads any more only if the backup has failed already.
        let _ = sender.send(last).await;
    });
    receiver
}

async fn start(
    docker: &Docker,
    instance: &Instance,
    program: &DumpProgram,
    waiting: Option<Waiting>,
) -> Result<(Running, Option<Trailer>), String> {
    if let Some(Waiting { early, line, trailer }) = waiting {
        let mut running = early.running().await?;
        // One that is gone says why in what it has written.
        let _ = running.tell(&line).await;
        return Ok((running, Some(trailer)));
    }
    let arguments: Vec<&str> = program.arguments.iter().map(String::as_str).collect();
    let environment = program.environment.clone();
    let program =
        Program { container: &instance.container, arguments: &arguments, environment, input: false };
    Ok((program.start(docker).await?, None))
}

async fn dump(
    docker: &Docker,
    instance: &Instance,
    (program, waiting): (&DumpProgram, Option<Waiting>),
    watch: &mut dyn Watch,
    pieces: &Sender<Piece>,
) -> Result<Written, BackupError> {
    let failed = |exit, text: &str| instance.failed(program.name(), exit, text);
    let silent = |cause: String| failed(None, &cause);
    let (mut running, mut trailer) = start(docker, instance, program, waiting).await.map_err(silent)?;
    let mut passing = Passing { watch, pieces, hash: Sha256::new(), size_bytes: 0, head: Tail::default() };
    let exit = loop {
        let Some(piece) = running.next_within(program.patience).await.map_err(silent)? else {
            break running.exit().await.map_err(silent)?;
        };
        let taken = match &mut trailer {
            None => passing.take(piece).await,
            Some(trailer) => {
                let [earlier, now] = trailer.pass(&piece);
                passing.take(earlier).await && passing.take(now).await
            }
        };
        if !taken {
            return Err(failed(None, "nobody takes the dump any more"));
        }
        if let Some(exit) = trailer.as_ref().and_then(Trailer::exit) {
            break Some(exit);
        }
    };
    let marked = trailer.as_ref().is_none_or(|trailer| trailer.exit().is_some());
    if exit != Some(0) || !marked {
        // What a program says in error may come after what it writes.
        while let Ok(Some(_)) = running.next().await {}
        passing.head.push(trailer.as_ref().filter(|_| !marked).map_or(&[][..], Trailer::rest));
        // The engine reports a program that is missing on standard output.
        let said = match running.stderr.text() {
            text if text.is_empty() && matches!(exit, Some(126 | 127)) => passing.head.text(),
            text => text,
        };
        return Err(failed(exit, &said));
    }
    let (dumped, rows) = passing.all().map_err(|why| failed(exit, &why))?;
    // What it said in error stays: a check that ends at once may have been heard before the dump's mark was.
    Ok(Written { dumped, rows, checker: trailer.map(|_| running) })
}

/// A dump as it passes.
struct Passing<'a> {
    watch: &'a mut dyn Watch,
    pieces: &'a Sender<Piece>,
    hash: Sha256,
    size_bytes: u64,
    head: Tail,
}

impl Passing<'_> {
    /// Passes a piece on; `false` where nobody takes it.
    async fn take(&mut self, piece: Bytes) -> bool {
        if piece.is_empty() {
            return true;
        }
        if self.size_bytes < HEAD_BYTES {
            self.head.push(piece.get(..512).unwrap_or(&piece));
        }
        self.hash.update(&piece);
        self.watch.see(&piece);
        self.size_bytes += piece.len() as u64;
        self.pieces.send(Piece::Data(piece)).await.is_ok()
    }

    /// What passed, where it is a whole dump.
    fn all(self) -> Result<(Dumped, Vec<TableRows>), String> {
        let rows = self.watch.verdict()?;
        Ok((Dumped { size_bytes: self.size_bytes, sha256: self.hash.finalize().into() }, rows))
    }
}
