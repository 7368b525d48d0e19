//! What somebody did by a request, in the audit. Jobs tell their own end: [`crate::jobs::run::finish`].

use crate::agent::Agent;
use crate::conversation::Who;
use crate::failures;
use jiff::Timestamp;
use wharf_proto::release::AuditEntry;
use wharf_proto::{AppName, Failure};

/// Writes down that `who` did something; to no app where it concerns all.
///
/// # Errors
/// The state cannot be written.
pub async fn write(
    agent: &Agent,
    who: &Who,
    app: Option<&AppName>,
    action: impl Into<String>,
    outcome: impl Into<String>,
) -> Result<(), Failure> {
    let entry = AuditEntry {
        at: Timestamp::now(),
        app: app.cloned(),
        by: who.by.clone(),
        from: who.from.clone(),
        action: action.into(),
        outcome: outcome.into(),
    };
    agent.state.audit(entry).await.map_err(|e| failures::of_state(&e))
}
