//! `wharfd backup APP`: a request to the agent that runs, quiet enough for cron's mail.

use crate::preamble::Preamble;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::timeout;
use wharf_agent_ssh::Conversation;
use wharf_proto::event::{EventBody, Outcome};
use wharf_proto::message::{ClientMessage, Request, ServerMessage};
use wharf_proto::version::Hello;
use wharf_proto::{AppName, Failure, FailureKind};

/// How long the agent may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Asks the agent that listens at `path` to back up `app`, and waits for the end; what was made, in a line.
///
/// # Errors
/// The agent does not run, or there is no backup; the failure's exit code is the process's.
pub async fn backup(path: &Path, app: AppName, lock_wait_seconds: u32) -> Result<String, Failure> {
    let connected = async {
        let mut stream = UnixStream::connect(path).await?;
        stream.write_all(&Preamble::own().encode()?).await?;
        Ok(stream)
    };
    let stream = connected.await.map_err(|e: std::io::Error| {
        Failure::from_error(FailureKind::Unreachable, &e)
            .cause(format!("the agent does not answer at {}", path.display()))
            .hint("start it, and run this as root or as the agent's user: systemctl start wharfd")
    })?;
    let (reader, writer) = stream.into_split();
    let (mut conversation, _ends) = Conversation::over(reader, writer);
    let message = Some("wharfd backup".to_owned());
    let open = ClientMessage::Open {
        hello: Hello::ours(concat!("wharfd ", env!("CARGO_PKG_VERSION"))),
        person: "wharfd backup".to_owned(),
        request: Request::BackupCreate { app, message, lock_wait_seconds },
    };
    conversation.sender().send_message(&open).await.map_err(|e| lost(&e))?;
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

async fn next(conversation: &mut Conversation, patience: Option<Duration>) -> Result<ServerMessage, Failure> {
    let received = match patience {
        None => conversation.recv().await,
        Some(limit) => timeout(limit, conversation.recv()).await.map_err(|_| silent(limit))?,
    };
    let frame = received.map_err(|e| lost(&e))?.ok_or_else(|| {
        Failure::new(FailureKind::Unreachable, "the agent stopped while the backup was made")
            .hint("see how it ended: wharf jobs")
    })?;
    frame.message().map_err(|e| Failure::from_error(FailureKind::Unsupported, &e))
}

fn ended(outcome: Outcome) -> Result<String, Failure> {
    match outcome {
        Outcome::Done { summary } => Ok(summary),
        Outcome::Released { release } => Ok(format!("{release} is live")),
        Outcome::Failed { failure }
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
