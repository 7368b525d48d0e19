//! Watching a job to its end, over as many connections as that takes.
//!
//! **Invariant**: every event is handed on exactly once and in order, whatever was replayed after a reconnect.

use super::{Session, SessionError, Talk, talk};
use std::time::Duration;
use tokio::time::Instant;
use wharf_proto::{
    Event, EventBody, JobId, Outcome,
    message::{Request, ServerMessage},
};

/// How long and how often a lost server is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
    /// Without one event in between.
    pub give_up_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(15),
            give_up_after: Duration::from_secs(600),
        }
    }
}

/// Who watches.
pub trait Watched {
    fn event(&mut self, event: &Event);
    /// The connection is lost; the job is not.
    fn lost(&mut self, error: &SessionError);
    fn found(&mut self);
}

/// Watches `job` from its event `next_index` on, first in `talk` where a conversation stands already.
///
/// # Errors
/// [`SessionError::Lost`] when the server stays away, or what the agent says against it.
pub async fn watch(
    session: &Session,
    job: JobId,
    mut talk: Option<Talk>,
    mut next_index: u64,
    backoff: Backoff,
    watched: &mut dyn Watched,
) -> Result<Outcome, SessionError> {
    let mut lost: Option<(Instant, Duration)> = None;
    loop {
        let seen = next_index;
        let ended = match talk.take() {
            Some(talk) => follow(talk, job, &mut next_index, watched).await,
            None => match session.open(Request::Attach { job, from_index: next_index }).await {
                Ok(talk) => {
                    if lost.is_some() {
                        watched.found();
                    }
                    follow(talk, job, &mut next_index, watched).await
                }
                Err(error) => Err(error),
            },
        };
        let error = match ended {
            Ok(outcome) => return Ok(outcome),
            Err(error) if error.is_connection() => error,
            Err(error) => return Err(error),
        };
        if next_index > seen {
            lost = None;
        }
        let (since, pause) = *lost.get_or_insert_with(|| {
            watched.lost(&error);
            (Instant::now(), backoff.first)
        });
        if since.elapsed() >= backoff.give_up_after {
            return Err(SessionError::Lost { job, source: Box::new(error) });
        }
        tokio::time::sleep(pause).await;
        lost = Some((since, (pause * 2).min(backoff.longest)));
    }
}

/// Hands on the events of one conversation, from `next_index` on.
async fn follow(
    mut talk: Talk,
    job: JobId,
    next_index: &mut u64,
    watched: &mut dyn Watched,
) -> Result<Outcome, SessionError> {
    loop {
        let event = match talk.next("an event", None).await? {
            ServerMessage::Event { event } => event,
            // A rollback and an attach say so before their events, too.
            ServerMessage::Accepted { job: accepted } if accepted == job => continue,
            // An agent that is being stopped: the job's last event comes from its successor.
            ServerMessage::End => return Err(SessionError::Broken { source: None }),
            other => return Err(talk::unexpected("an event", &other)),
        };
        if event.job != job || event.index < *next_index {
            continue;
        }
        if event.index > *next_index {
            // A hole: ask for the rest again rather than show a job with a part missing.
            return Err(SessionError::Broken { source: None });
        }
        *next_index += 1;
        watched.event(&event);
        if let EventBody::Finished { outcome } = event.body {
            return Ok(outcome);
        }
    }
}
