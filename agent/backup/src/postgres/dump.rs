//! Dumping a database, and checking a dump, with the programs of its own container.

use super::connection::Database;
use super::exec::{Program, Running, SILENCE, Tail};
use crate::BackupError;
use bollard::Docker;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::timeout;

/// Pieces under way between the engine and the repository; each is what the engine sends at once, 32 KiB or so.
const PIECES: usize = 32;
/// The largest globals: roles and tablespaces.
const GLOBALS_BYTES: usize = 16 * 1024 * 1024;
/// How a dump in the custom format begins.
const MAGIC: &[u8] = b"PGDMP";

/// A piece of a dump.
#[derive(Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    /// The program ended with exit code 0, and this was all.
    End,
    Failed(BackupError),
}

/// What was dumped, once [`Piece::End`] has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dumped {
    pub(crate) size_bytes: u64,
    pub(crate) sha256: [u8; 32],
}

/// Where the result of a dump will be.
pub(crate) type DumpResult = Arc<Mutex<Option<Dumped>>>;

/// Starts `pg_dump` on the exported snapshot. The pieces must be read to their end.
pub(crate) fn start_dump(
    docker: Docker,
    database: Database,
    snapshot: String,
    result: DumpResult,
) -> Receiver<Piece> {
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        let last = match dump(&docker, &database, &snapshot, &sender).await {
            Ok(dumped) => {
                *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(dumped);
                Piece::End
            }
            Err(fault) => Piece::Failed(fault),
        };
        // Nobody reads any more only if the backup has failed already.
        let _ = sender.send(last).await;
    });
    receiver
}

async fn dump(
    docker: &Docker,
    database: &Database,
    snapshot: &str,
    pieces: &Sender<Piece>,
) -> Result<Dumped, BackupError> {
    let snapshot = format!("--snapshot={snapshot}");
    let arguments = ["pg_dump", "-w", "-Fc", "-Z0", "--lock-wait-timeout=60000", &snapshot];
    let program = Program {
        container: &database.container,
        arguments: &arguments,
        environment: database.environment(),
        input: false,
    };
    let failed = |exit, text: &str| database.failed("pg_dump", exit, text);
    let mut running = program.start(docker).await.map_err(|cause| failed(None, &cause))?;
    let (mut hash, mut size_bytes, mut head) = (Sha256::new(), 0, Tail::default());
    while let Some(piece) = running.next().await.map_err(|cause| failed(None, &cause))? {
        if size_bytes < 512 {
            head.push(&piece[..piece.len().min(512)]);
        }
        hash.update(&piece);
        size_bytes += piece.len() as u64;
        if pieces.send(Piece::Data(piece)).await.is_err() {
            return Err(failed(None, "nobody takes the dump any more"));
        }
    }
    let exit = running.exit().await.map_err(|cause| failed(None, &cause))?;
    if exit != Some(0) {
        return Err(failed(exit, &last_words(&running, exit, &head)));
    }
    if !head.starts_with(MAGIC) {
        return Err(failed(exit, "what it wrote is no dump"));
    }
    Ok(Dumped { size_bytes, sha256: hash.finalize().into() })
}

/// What a program said before it failed. The engine reports one that is missing on standard output.
fn last_words(running: &Running, exit: Option<i64>, head: &Tail) -> String {
    match running.stderr.text() {
        text if text.is_empty() && matches!(exit, Some(126 | 127)) => head.text(),
        text => text,
    }
}

/// Roles and tablespaces: `pg_dump` leaves them out. Without a superuser, roles come without their passwords.
pub(crate) async fn dump_globals(
    docker: &Docker,
    database: &Database,
    superuser: bool,
) -> Result<Bytes, BackupError> {
    let mut arguments = vec!["pg_dumpall", "-w", "--globals-only"];
    if !superuser {
        arguments.push("--no-role-passwords");
    }
    // pg_dumpall takes no notice of PGDATABASE, but connects to the user's or to `postgres`, and either may be gone.
    let target = format!("--database={}", connection_string(&database.database));
    arguments.push(&target);
    let program = Program {
        container: &database.container,
        arguments: &arguments,
        environment: database.environment(),
        input: false,
    };
    let failed = |exit, text: &str| database.failed("pg_dumpall", exit, text);
    let ended = program.run(docker, GLOBALS_BYTES).await.map_err(|cause| failed(None, &cause))?;
    if ended.exit != Some(0) {
        let text = if ended.stderr.is_empty() {
            String::from_utf8_lossy(&ended.stdout)
        } else {
            ended.stderr.into()
        };
        return Err(failed(ended.exit, &text));
    }
    let tail = &ended.stdout[ended.stdout.len().saturating_sub(512)..];
    if !String::from_utf8_lossy(tail).contains("database cluster dump complete") {
        return Err(failed(ended.exit, "what it wrote is not complete"));
    }
    Ok(ended.stdout.into())
}

/// A database's name where libpq would take one with `=` for a connection string.
pub(super) fn connection_string(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Feeds a dump that was read back to `pg_restore -f /dev/null`, which reads it to its end.
pub(crate) async fn check_dump(
    docker: &Docker,
    database: &Database,
    pieces: &mut Receiver<Bytes>,
) -> Result<(), BackupError> {
    let unchecked = |cause: &str| BackupError::DumpUnchecked {
        label: database.label.clone(),
        cause: database.redact(cause),
    };
    let program = Program {
        container: &database.container,
        arguments: &["pg_restore", "-f", "/dev/null"],
        environment: Vec::new(),
        input: true,
    };
    feed(docker, program, pieces).await.map_err(|cause| unchecked(&cause))
}

/// Runs `pg_restore` and gives it a dump; how it failed, as text.
pub(super) async fn feed(
    docker: &Docker,
    program: Program<'_>,
    pieces: &mut Receiver<Bytes>,
) -> Result<(), String> {
    let mut running = program.start(docker).await?;
    let mut input = std::mem::replace(&mut running.input, Box::pin(tokio::io::sink()));
    let feed = async {
        while let Some(piece) = pieces.recv().await {
            let written = timeout(SILENCE, input.write_all(&piece)).await;
            if !matches!(written, Ok(Ok(()))) {
                break;
            }
        }
        // The half-close, by which the program knows that this was all.
        let _ = input.shutdown().await;
    };
    // It has nothing to say while it reads; a program that ended early leaves its writer hanging, so the end of the
    // output ends both.
    let drained = {
        let drain = running.drain();
        tokio::pin!(drain);
        tokio::select! {
            drained = &mut drain => drained,
            () = feed => timeout(SILENCE, &mut drain)
                .await
                .unwrap_or_else(|_| Err("it did not end after its input had".to_owned())),
        }
    };
    drained?;
    match running.exit().await? {
        Some(0) => Ok(()),
        exit => {
            let code = exit.map_or("no exit code".to_owned(), |code| format!("exit code {code}"));
            Err(format!("pg_restore ended with {code}: {}", running.stderr.text()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_name_is_never_a_connection_string() {
        assert_eq!(connection_string("a b='c\\"), "dbname='a b=\\'c\\\\'");
    }
}
