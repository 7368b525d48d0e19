//! The child process: one request from standard input, lines to standard output.
//!
//! **Invariant**: when standard input closes, because the agent closed it or died, the process lets go of the containers
//! that it holds, and ends. That is safe at any moment: what is half-written is named by no snapshot.

use crate::backup::{backup, blocking};
use crate::hold::Holds;
use crate::line::{LINE_BYTES, Line, Outbox};
use crate::request::AnyRequest;
use crate::{
    BackupError, InitReport, Initialized, check, compare, copy, forget, key, list, load, restore, volumes,
};
use serde::Serialize;
use std::io::{BufRead, BufReader, Read};
use std::process::ExitCode;
use std::sync::Arc;

/// How the process ends when nobody wants its work any more.
const ABANDONED: i32 = 3;

/// The whole child: `main` of the backup process returns what this returns.
pub fn child_main() -> ExitCode {
    let outbox = Arc::new(Outbox::new(std::io::stdout()));
    let holds = Arc::new(Holds::default());
    let line = match read_request(&holds).and_then(|request| run(request, &outbox, &holds)) {
        Ok(report) => Line::Done { report },
        Err(error) => Line::Failed { error },
    };
    outbox.last(&line);
    ExitCode::from(u8::from(matches!(line, Line::Failed { .. })))
}

fn read_request(holds: &Arc<Holds>) -> Result<AnyRequest, BackupError> {
    let mut stdin = BufReader::new(std::io::stdin());
    let mut json = Vec::new();
    (&mut stdin)
        .take(LINE_BYTES)
        .read_until(b'\n', &mut json)
        .map_err(|error| BackupError::Invalid { what: format!("standard input: {error}") })?;
    let request = serde_json::from_slice(&json)
        .map_err(|error| BackupError::Invalid { what: format!("the request is not understood: {error}") })?;
    let holds = Arc::clone(holds);
    std::thread::spawn(move || {
        // Nothing more is due on it but its end.
        let _ = std::io::copy(&mut stdin, &mut std::io::sink());
        holds.release();
        std::process::exit(ABANDONED);
    });
    Ok(request)
}

fn run(
    request: AnyRequest,
    outbox: &Arc<Outbox>,
    holds: &Arc<Holds>,
) -> Result<serde_json::Value, BackupError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| BackupError::Invalid { what: format!("no threads can be started: {error}") })?;
    let outbox = Arc::clone(outbox);
    let result = runtime.block_on(answer(request, outbox, Arc::clone(holds)));
    // What is still under way, an exec say, is of no use any more.
    runtime.shutdown_background();
    result
}

async fn answer(
    request: AnyRequest,
    outbox: Arc<Outbox>,
    holds: Arc<Holds>,
) -> Result<serde_json::Value, BackupError> {
    match request {
        AnyRequest::Backup(request) => json(backup(request, outbox, holds).await?),
        AnyRequest::Init(request) => {
            let done = blocking(move || key::init_repo(&request.repo, &request.key_file)).await?;
            json(InitReport { created: done == Initialized::Created })
        }
        AnyRequest::List(request) => json(blocking(move || list::list(&request)).await?),
        AnyRequest::Look(request) => json(blocking(move || list::look(&request)).await?),
        AnyRequest::Apps(request) => json(blocking(move || list::apps(&request)).await?),
        AnyRequest::Check(request) => json(blocking(move || check::check(&request, &outbox)).await?),
        AnyRequest::Sqlite(request) => json(blocking(move || volumes::check_databases(&request)).await?),
        AnyRequest::Restore(request) => json(blocking(move || restore::restore(&request, &outbox)).await?),
        AnyRequest::Compare(request) => json(blocking(move || compare::compare(&request, &outbox)).await?),
        AnyRequest::DumpOut(request) => json(blocking(move || restore::dump_out(&request)).await?),
        AnyRequest::Load(request) => json(load::load(request, outbox).await?),
        AnyRequest::Copy(request) => json(blocking(move || copy::copy(&request, &outbox)).await?),
        AnyRequest::Thin(request) => json(blocking(move || forget::thin(&request, &outbox)).await?),
        AnyRequest::Forget(request) => json(blocking(move || forget::forget(&request, &outbox)).await?),
    }
}

fn json(report: impl Serialize) -> Result<serde_json::Value, BackupError> {
    serde_json::to_value(report)
        .map_err(|error| BackupError::Invalid { what: format!("the report cannot be written: {error}") })
}
