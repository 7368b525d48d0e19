//! Restoring a dump, and running statements, with the programs of the database's own container.

use super::connection::{Database, connect};
use super::dump::feed;
use super::exec::{Program, SILENCE};
use crate::{BackupError, DumpRequest};
use bollard::Docker;
use bytes::Bytes;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// The most that statements may answer.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;
const PSQL: [&str; 8] = ["psql", "-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];

/// Feeds a dump to `pg_restore`, which stops at the first error. With `creates` it makes the database that was dumped.
pub(crate) async fn restore_dump(
    docker: &Docker,
    into: &Database,
    creates: bool,
    pieces: &mut Receiver<Bytes>,
) -> Result<(), BackupError> {
    let target = format!("--dbname={}", super::dump::connection_string(&into.database));
    let mut arguments = vec!["pg_restore", "-w", "--exit-on-error", "--no-tablespaces", &target];
    if creates {
        arguments.push("--create");
    }
    let environment = into.environment();
    let program = Program { container: &into.container, arguments: &arguments, environment, input: true };
    feed(docker, program, pieces).await.map_err(|cause| BackupError::DumpNotRestored {
        label: into.label.clone(),
        cause: into.redact(&cause),
    })
}

/// Makes the roles of the dump's server. What is there already, the user itself, is no failure.
pub(crate) async fn run_globals(docker: &Docker, at: &Database, globals: Vec<u8>) -> Result<(), BackupError> {
    let tolerant = ["psql", "-X", "-w", "-q", "-A", "-t"];
    psql(docker, at, &tolerant, &globals, SILENCE).await.map(drop)
}

/// Runs statements in a database of a container, as its own user, and returns the lines that they print. The first error
/// ends them; statements between `BEGIN` and `COMMIT` are then not done.
///
/// # Errors
/// The container does not run, the database cannot be connected to, a statement fails.
pub async fn sql(
    docker_socket: &Path,
    repo: &Path,
    at: &DumpRequest,
    statements: &str,
) -> Result<Vec<String>, BackupError> {
    let docker = connect(docker_socket).await?;
    let database = Database::find(&docker, at, repo).await?;
    let stdout = psql(&docker, &database, &PSQL, statements.as_bytes(), SILENCE).await?;
    Ok(String::from_utf8_lossy(&stdout).lines().map(str::to_owned).collect())
}

/// Runs a whole script in a database of a container, as its own user, for at most so long. What it selects is thrown away;
/// errors name lines of the script. A script that is not sent to its end is as one whose connection broke there.
///
/// # Errors
/// As [`sql`], and that it took too long: it may still run then.
pub async fn script(
    docker_socket: &Path,
    repo: &Path,
    at: &DumpRequest,
    script: &str,
    limit: Duration,
) -> Result<(), BackupError> {
    let docker = connect(docker_socket).await?;
    let database = Database::find(&docker, at, repo).await?;
    let arguments = [PSQL.as_slice(), &["-o", "/dev/null", "-f", "-"]].concat();
    // Whoever may work for so long may say nothing for so long, and must be the first to hear that the time is over.
    let patience = limit.saturating_add(SILENCE);
    match timeout(limit, psql(&docker, &database, &arguments, script.as_bytes(), patience)).await {
        Ok(ended) => ended.map(drop),
        Err(_) => Err(BackupError::SqlFailed {
            label: at.label.clone(),
            database: database.database,
            exit: None,
            stderr: format!("it did not end within {} seconds", limit.as_secs()),
        }),
    }
}

async fn psql(
    docker: &Docker,
    at: &Database,
    arguments: &[&str],
    statements: &[u8],
    patience: Duration,
) -> Result<Vec<u8>, BackupError> {
    let failed = |exit, text: &str| BackupError::SqlFailed {
        label: at.label.clone(),
        database: at.database.clone(),
        exit,
        stderr: at.redact(text),
    };
    let environment = at.environment();
    let program = Program { container: &at.container, arguments, environment, input: true };
    let mut running = program.start(docker).await.map_err(|cause| failed(None, &cause))?;
    let mut input = std::mem::replace(&mut running.input, Box::pin(tokio::io::sink()));
    let write = async {
        // A psql that is gone says why below.
        let _ = timeout(patience, input.write_all(statements)).await;
        let _ = timeout(patience, input.shutdown()).await;
        // Kept until the output has ended: closing it now would end the program early.
        std::future::pending::<()>().await;
    };
    let mut stdout = Vec::new();
    let read = async {
        while let Some(piece) = running.next_within(patience).await? {
            if stdout.len() + piece.len() > ANSWER_BYTES {
                return Err(format!("it answered more than {ANSWER_BYTES} bytes"));
            }
            stdout.extend_from_slice(&piece);
        }
        Ok(())
    };
    let ended = tokio::select! {
        ended = read => ended,
        () = write => Ok(()),
    };
    ended.map_err(|cause| failed(None, &cause))?;
    match running.exit().await.map_err(|cause| failed(None, &cause))? {
        Some(0) => Ok(stdout),
        exit => {
            let said = running.stderr.text();
            // The engine reports a program that is missing on standard output.
            let said =
                if said.is_empty() { String::from_utf8_lossy(&stdout).trim().to_owned() } else { said };
            Err(failed(exit, &said))
        }
    }
}
