//! Asking for a job that becomes one at once: everything but a deploy.

use super::{Session, SessionError, Talk, talk};
use std::time::Duration;
use wharf_proto::{
    JobId,
    message::{Request, ServerMessage},
};

/// How long the agent may take to begin, beyond the wait for another job.
const BEGIN_WITHIN: Duration = Duration::from_secs(120);

/// Begins a job; the conversation goes on with its events.
///
/// # Errors
/// Whatever breaks the conversation, or the agent's failure.
pub async fn begin(
    session: &Session,
    request: Request,
    lock_wait_seconds: u32,
) -> Result<(JobId, Talk), SessionError> {
    let patience = BEGIN_WITHIN + Duration::from_secs(lock_wait_seconds.into());
    let mut talk = session.open(request).await?;
    match talk.next("the job", Some(patience)).await {
        Ok(ServerMessage::Accepted { job }) => Ok((job, talk)),
        Ok(other) => Err(talk::unexpected("a job", &other)),
        Err(error) if error.is_connection() => Err(SessionError::Unknown { source: Box::new(error) }),
        Err(error) => Err(error),
    }
}
