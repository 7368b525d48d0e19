//! Requests to the agent that runs, from its own server: `wharfd backup APP`, quiet enough for cron's mail, and
//! `wharfd hello`.

use crate::preamble::Preamble;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::timeout;
use wharf_agent_ssh::{Conversation, Ends};
use wharf_proto::event::{EventBody, Outcome};
use wharf_proto::message::{ClientMessage, Reply, Request, ServerMessage};
use wharf_proto::version::Hello;
use wharf_proto::{AppName, Failure, FailureKind};

/// How long the agent may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Newest jobs among which those that run are looked for.
const JOBS: u32 = 100;

/// Asks the agent that listens at `path` to back up `app`, and waits for the end; what was made, in a line.
///
/// # Errors
/// The agent does not run, or there is no backup; the failure's exit code is the process's.
pub async fn backup(path: &Path, app: AppName, lock_wait_seconds: u32) -> Result<String, Failure> {
    let message = Some("wharfd backup".to_owned());
    let request = Request::BackupCreate { app, message, lock_wait_seconds };
    let (mut conversation, _ends) = open(path, "wharfd backup", request).await?;
    let mut patience = Some(ANSWER_WITHIN + Duration::from_secs(lock_wait_seconds.into()));
    loop {
        match next(&mut conversation, patience).await? {
            ServerMessage::Failed { failure } => return Err(failure),
            // From here on the job takes as long as it takes.
            ServerMessage::Accepted { .. } => patience = None,
            ServerMessage::Event { event } => {
                if let EventBody::Finished { outcome } = event.body {
                    return ended(outcome);
                }
            }
            _ => {}
        }
    }
}

/// Asks the agent that listens at `path` whether it is there: what it calls itself, then a line for each job that runs.
///
/// # Errors
/// It does not run, or does not answer.
pub async fn hello(path: &Path) -> Result<Vec<String>, Failure> {
    let request = Request::Jobs { app: None, limit: JOBS };
    let (mut conversation, _ends) = open(path, "wharfd hello", request).await?;
    let mut lines = Vec::new();
    loop {
        match next(&mut conversation, Some(ANSWER_WITHIN)).await? {
            ServerMessage::Hello { hello } => lines.push(hello.software),
            ServerMessage::Failed { failure } => return Err(failure),
            ServerMessage::Reply { reply: Reply::Jobs { jobs } } => {
                let running = jobs.into_iter().filter(|job| job.outcome.is_none());
                lines.extend(running.map(|job| format!("job {} of {} runs", job.job, job.app)));
                return Ok(lines);
            }
            _ => {}
        }
    }
}

async fn open(path: &Path, person: &str, request: Request) -> Result<(Conversation, Ends), Failure> {
    let connected = async {
        let mut stream = UnixStream::connect(path).await?;
        let preamble = Preamble::own().encode().map_err(std::io::Error::other)?;
        stream.write_all(&preamble).await?;
        Ok(stream)
    };
    let stream = connected.await.map_err(|e: std::io::Error| {
        let text = format!("the agent does not answer at {}", path.display());
        Failure::new(FailureKind::Unreachable, text)
            .cause(e.to_string())
            .hint("start it, and run this as root or as the agent's user: systemctl start wharfd")
    })?;
    let (reader, writer) = stream.into_split();
    let (conversation, ends) = Conversation::over(reader, writer);
    let open = ClientMessage::Open {
        hello: Box::new(Hello::ours(concat!("wharfd ", env!("CARGO_PKG_VERSION")))),
        person: person.to_owned(),
        request,
    };
    conversation.sender().send_message(&open).await.map_err(|e| lost(&e))?;
    Ok((conversation, ends))
}

async fn next(conversation: &mut Conversation, patience: Option<Duration>) -> Result<ServerMessage, Failure> {
    let received = match patience {
        None => conversation.recv().await,
        Some(limit) => timeout(limit, conversation.recv()).await.map_err(|_| silent(limit))?,
    };
    let frame = received.map_err(|e| lost(&e))?.ok_or_else(|| {
        Failure::new(FailureKind::Unreachable, "the agent stopped before it had answered")
            .hint("see how it ended: wharf jobs")
    })?;
    frame.message().map_err(|e| Failure::from_error(FailureKind::Unsupported, &e))
}

fn ended(outcome: Outcome) -> Result<String, Failure> {
    match outcome {
        Outcome::Done { summary } => Ok(summary),
        Outcome::Released { release } => Ok(format!("{release} is live")),
        Outcome::Failed { failure }
        | Outcome::Postponed { failure }
        | Outcome::PutBack { failure, .. }
        | Outcome::NotPutBack { failure, .. } => Err(failure),
        Outcome::Unknown => {
            Err(Failure::new(FailureKind::Unsupported, "the agent is newer than this wharfd")
                .hint("see how it ended: wharf jobs"))
        }
    }
}

fn lost(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(FailureKind::Unreachable, error)
        .hint("see whether wharfd runs, and what its log says")
}

fn silent(limit: Duration) -> Failure {
    let text = format!("the agent did not answer within {} s", limit.as_secs());
    Failure::new(FailureKind::Unreachable, text).hint("see what wharfd's log says")
}
