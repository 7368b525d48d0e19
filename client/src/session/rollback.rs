//! Asking for a rollback: it becomes a job, or a plan of one, at once.

use super::{Session, SessionError, Shipped, talk, upload::Sent};
use std::time::Duration;
use wharf_proto::message::{Reply, Request, RollbackRequest, ServerMessage};

/// How long the agent may take to plan, beyond the wait for another job.
const PLAN_WITHIN: Duration = Duration::from_secs(600);

/// Starts a rollback.
///
/// # Errors
/// Whatever breaks the conversation, or the agent's failure.
pub async fn rollback(session: &Session, request: RollbackRequest) -> Result<Shipped, SessionError> {
    let patience = PLAN_WITHIN + Duration::from_secs(u64::from(request.options.lock_wait_seconds));
    let dry_run = request.options.dry_run;
    let mut talk = session.open(Request::Rollback(request)).await?;
    match talk.next("the job", Some(patience)).await {
        Ok(ServerMessage::Accepted { job }) => {
            Ok(Shipped::Job { job, talk: Box::new(talk), sent: Sent::default() })
        }
        Ok(ServerMessage::Event { event }) => {
            let job = event.job;
            talk.put_back(ServerMessage::Event { event });
            Ok(Shipped::Job { job, talk: Box::new(talk), sent: Sent::default() })
        }
        Ok(ServerMessage::Reply { reply: Reply::Plan { plan } }) => {
            Ok(Shipped::Plan { plan, sent: Sent::default() })
        }
        Ok(other) => Err(talk::unexpected("a job", &other)),
        Err(error) if error.is_connection() && !dry_run => {
            Err(SessionError::Unknown { source: Box::new(error) })
        }
        Err(error) => Err(error),
    }
}
