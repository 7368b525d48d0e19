//! Jobs about an app's data: backups on demand, drills, restores.

use crate::agent::Agent;
use crate::conversation::{Stop, Talk};
use wharf_proto::message::{Reply, Request};
use wharf_proto::{Failure, FailureKind};

/// Answers the requests about backups.
///
/// # Errors
/// What keeps the request from being carried out.
pub async fn requested(_agent: &Agent, _talk: &mut Talk, _request: Request) -> Result<Option<Reply>, Stop> {
    Err(Failure::new(FailureKind::Unsupported, "this agent does not know that request").into())
}
