//! Asking for what becomes a job, or is answered at once: a rollback, a change of secrets, a plan of one.

use super::{Session, SessionError, Talk, talk};
use std::time::Duration;
use wharf_proto::{
    JobId,
    message::{JobOptions, Reply, Request, ServerMessage},
};

/// How long the agent may take to plan, beyond the wait for another job.
const PLAN_WITHIN: Duration = Duration::from_secs(600);

/// What a request became.
pub enum Started {
    Job {
        job: JobId,
        /// The conversation, which goes on with the job's events.
        talk: Box<Talk>,
    },
    /// No job: a plan, or there was nothing to do that takes one.
    Reply(Reply),
}

/// Sends the request, whose options are `options`.
///
/// # Errors
/// Whatever breaks the conversation, or the agent's failure.
pub async fn start(
    session: &Session,
    request: Request,
    options: &JobOptions,
) -> Result<Started, SessionError> {
    let patience = PLAN_WITHIN + Duration::from_secs(u64::from(options.lock_wait_seconds));
    let mut talk = session.open(request).await?;
    match talk.next("the job", Some(patience)).await {
        Ok(ServerMessage::Accepted { job }) => Ok(Started::Job { job, talk: Box::new(talk) }),
        Ok(ServerMessage::Event { event }) => {
            let job = event.job;
            talk.put_back(ServerMessage::Event { event });
            Ok(Started::Job { job, talk: Box::new(talk) })
        }
        Ok(ServerMessage::Reply { reply }) => Ok(Started::Reply(reply)),
        Ok(other) => Err(talk::unexpected("a job", &other)),
        Err(error) if error.is_connection() && !options.dry_run => {
            Err(SessionError::Unknown { source: Box::new(error) })
        }
        Err(error) => Err(error),
    }
}
