//! A dump on its way out of a container: streamed, hashed and watched, whatever kind of database it is of.

use crate::exec::{Early, Program, Running, Tail};
use crate::instance::Instance;
use crate::{BackupError, TableRows};
use bollard::Docker;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::sync::PoisonError;
use std::sync::{Arc, Mutex};
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

/// Where the result of a dump will be, once [`Piece::End`] has come: what it was, and the rows that were seen in it.
pub(crate) type DumpResult = Arc<Mutex<Option<(Dumped, Vec<TableRows>)>>>;

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
}

impl DumpProgram {
    /// Its name, for people.
    pub(crate) fn name(&self) -> &str {
        self.arguments.first().map_or("", String::as_str)
    }
}

/// A program that was started early, and the line that it waits for.
pub(crate) type Waiting = (Early, String);

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
) -> Result<Running, String> {
    if let Some((early, line)) = waiting {
        let mut running = early.running().await?;
        // One that is gone says why in what it has written.
        let _ = running.tell(&line).await;
        return Ok(running);
    }
    let arguments: Vec<&str> = program.arguments.iter().map(String::as_str).collect();
    let environment = program.environment.clone();
    Program { container: &instance.container, arguments: &arguments, environment, input: false }
        .start(docker)
        .await
}

async fn dump(
    docker: &Docker,
    instance: &Instance,
    (program, waiting): (&DumpProgram, Option<Waiting>),
    watch: &mut dyn Watch,
    pieces: &Sender<Piece>,
) -> Result<(Dumped, Vec<TableRows>), BackupError> {
    let failed = |exit, text: &str| instance.failed(program.name(), exit, text);
    let running = start(docker, instance, program, waiting);
    let mut running = running.await.map_err(|cause| failed(None, &cause))?;
    let (mut hash, mut size_bytes, mut head) = (Sha256::new(), 0, Tail::default());
    while let Some(piece) = running.next().await.map_err(|cause| failed(None, &cause))? {
        if size_bytes < HEAD_BYTES {
            head.push(piece.get(..512).unwrap_or(&piece));
        }
        hash.update(&piece);
        watch.see(&piece);
        size_bytes += piece.len() as u64;
        if pieces.send(Piece::Data(piece)).await.is_err() {
            return Err(failed(None, "nobody takes the dump any more"));
        }
    }
    let exit = running.exit().await.map_err(|cause| failed(None, &cause))?;
    if exit != Some(0) {
        // The engine reports a program that is missing on standard output.
        let said = match running.stderr.text() {
            text if text.is_empty() && matches!(exit, Some(126 | 127)) => head.text(),
            text => text,
        };
        return Err(failed(exit, &said));
    }
    let tables = watch.verdict().map_err(|why| failed(exit, &why))?;
    Ok((Dumped { size_bytes, sha256: hash.finalize().into() }, tables))
}
