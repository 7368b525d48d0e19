//! The agent's side: starting a child, handing it a request, following it.
//!
//! **Invariant**: the child does not outlive the future that [`run`] returns: dropping it closes the child's standard
//! input, which ends it, and kills it besides.

use crate::line::{LINE_BYTES, Line};
use crate::{BackupError, Request, Update};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child as Process, ChildStdin, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How much of what a child says in error is kept.
const STDERR_BYTES: usize = 4096;
/// How long a child may say nothing. A prune is silent, and so is the walk of a large repository.
const SILENCE: Duration = Duration::from_secs(3600);
/// How long a child that has answered may take to end.
const LINGER: Duration = Duration::from_secs(10);

/// How the child is started: the agent's own program with `internal backup`.
#[derive(Debug, Clone)]
pub struct Child {
    pub program: PathBuf,
    /// No request and no secret goes here; they go through standard input.
    pub arguments: Vec<OsString>,
}

/// Carries out one request in a child of its own. Dropping the future ends the child.
///
/// # Errors
/// What the child says, or that it died.
pub async fn run<R: Request>(
    child: &Child,
    request: R,
    on_update: impl FnMut(Update) + Send,
) -> Result<R::Report, BackupError> {
    let mut line = serde_json::to_vec(&request.into())
        .map_err(|error| BackupError::Invalid { what: format!("the request cannot be written: {error}") })?;
    line.push(b'\n');
    let mut process = start(child)?;
    let pipes = (process.stdin.take(), process.stdout.take(), process.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(not_started(child, &"it has no pipes"));
    };
    let stderr = tokio::spawn(tail(stderr));
    // A child that dies while it is written to is told of below, by its status.
    let _ = stdin.write_all(&line).await;
    let answer = follow(BufReader::new(stdout), on_update).await;
    let report = finish(process, stdin, stderr, answer).await?;
    serde_json::from_value(report).map_err(|error| BackupError::ChildDied {
        status: "it answered something else than was asked for".to_owned(),
        stderr: error.to_string(),
    })
}

fn start(child: &Child) -> Result<Process, BackupError> {
    Command::new(&child.program)
        .args(&child.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Signals from a terminal are for the agent; it ends its children itself.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| not_started(child, &error))
}

/// Reads lines until the one that ends the answer. `Err`: there is none, and why.
async fn follow(
    mut stdout: impl AsyncBufReadExt + Unpin,
    mut on_update: impl FnMut(Update) + Send,
) -> Result<Line, String> {
    loop {
        let mut json = Vec::new();
        let mut limited = (&mut stdout).take(LINE_BYTES);
        match timeout(SILENCE, limited.read_until(b'\n', &mut json)).await {
            Err(_) => return Err(format!("it said nothing for {} seconds", SILENCE.as_secs())),
            Ok(Err(error)) => return Err(error.to_string()),
            Ok(Ok(_)) if json.is_empty() => return Err(String::new()),
            Ok(Ok(_)) => match serde_json::from_slice(&json) {
                Ok(Line::Update { update }) => on_update(update),
                Ok(last) => return Ok(last),
                Err(error) => return Err(format!("it wrote a line that is not understood: {error}")),
            },
        }
    }
}

async fn finish(
    mut process: Process,
    stdin: ChildStdin,
    stderr: JoinHandle<String>,
    answer: Result<Line, String>,
) -> Result<serde_json::Value, BackupError> {
    drop(stdin);
    let status = match timeout(LINGER, process.wait()).await {
        Ok(Ok(status)) => Some(status),
        _ => {
            let _ = process.kill().await;
            None
        }
    };
    match answer {
        Ok(Line::Done { report }) => Ok(report),
        Ok(Line::Failed { error }) => Err(error),
        Ok(Line::Update { .. }) => Err(died("it ended in the middle", status, String::new())),
        Err(why) => {
            let stderr = timeout(LINGER, stderr).await.ok().and_then(Result::ok).unwrap_or_default();
            Err(died(&why, status, stderr))
        }
    }
}

fn died(why: &str, status: Option<ExitStatus>, stderr: String) -> BackupError {
    let status = status.map_or("it was killed".to_owned(), |status| status.to_string());
    let status = if why.is_empty() { status } else { format!("{why} ({status})") };
    BackupError::ChildDied { status, stderr }
}

/// The end of what the child says in error.
async fn tail(mut stderr: impl AsyncRead + Unpin) -> String {
    let (mut kept, mut piece) = (Vec::new(), [0; 1024]);
    while let Ok(count @ 1..) = stderr.read(&mut piece).await {
        kept.extend_from_slice(&piece[..count]);
        let excess = kept.len().saturating_sub(STDERR_BYTES);
        kept.drain(..excess);
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}

fn not_started(child: &Child, cause: &dyn std::fmt::Display) -> BackupError {
    BackupError::ChildNotStarted { program: child.program.clone(), cause: cause.to_string() }
}
