//! Locks: while an app is locked, nothing that somebody asks for changes it.
//!
//! **Invariants**
//! - A lock is looked at before anything of a request is done, once more when the request has the app's seat, and for good in
//!   the transaction that records its job: no job that a lock keeps back begins under one. A job that has begun goes on to
//!   its end, and who locks the app is told of it.
//! - A lock is lifted by `unlock` alone. No flag goes past it, and it outlives the agent.

mod table;

pub use table::restores_over;

use crate::agent::Agent;
use crate::answers::known_app;
use crate::audit;
use crate::conversation::Who;
use crate::failures;
use jiff::Timestamp;
use wharf_access::Permit;
use wharf_proto::lock::{DeployLock, REASON_CHARACTERS};
use wharf_proto::message::{Reply, Request};
use wharf_proto::{AppName, Failure, FailureKind, JobId};

/// Whether a lock keeps this request back.
///
/// # Errors
/// [`FailureKind::Refused`] where one does.
pub async fn check_request(agent: &Agent, request: &Request) -> Result<(), Failure> {
    match table::kept_back(request) {
        Some(app) => check(agent, app).await,
        None => Ok(()),
    }
}

/// Whether the app is locked.
///
/// # Errors
/// [`FailureKind::Refused`] where it is.
pub async fn check(agent: &Agent, app: &AppName) -> Result<(), Failure> {
    match agent.state.lock_of(app).await.map_err(|e| failures::of_state(&e))? {
        Some(lock) => Err(keeps_back(app, &lock)),
        None => Ok(()),
    }
}

/// What is told to whom a lock keeps back.
pub fn keeps_back(app: &AppName, lock: &DeployLock) -> Failure {
    locked(app, lock).hint("when it may be changed again: wharf unlock")
}

fn locked(app: &AppName, lock: &DeployLock) -> Failure {
    let text = format!("{app} is locked by {} since {:.0}", lock.by, lock.at);
    let failure = Failure::new(FailureKind::Refused, text);
    match &lock.reason {
        Some(reason) => failure.cause(format!("the reason given: {reason}")),
        None => failure.cause("no reason was given"),
    }
}

/// Answers the requests about locks.
///
/// # Errors
/// An app that is not known, or is locked already; a reason that is too long.
pub async fn requested(
    agent: &Agent,
    who: &Who,
    permit: &Permit,
    request: Request,
) -> Result<Reply, Failure> {
    match request {
        Request::Lock { app, reason } => {
            known_app(agent, permit, &app).await?;
            let lock = DeployLock { by: who.by.clone(), at: Timestamp::now(), reason: checked(reason)? };
            // What is not recorded is not done: the words of the audit come first.
            let outcome = lock.reason.clone().unwrap_or_else(|| "no reason was given".to_owned());
            if let Some(before) = agent.state.lock_of(&app).await.map_err(|e| failures::of_state(&e))? {
                return Err(already(&app, &before));
            }
            audit::write(agent, who, Some(&app), "lock", outcome).await?;
            match agent.state.lock(&app, lock.clone()).await.map_err(|e| failures::of_state(&e))? {
                Some(before) => Err(already(&app, &before)),
                None => Ok(Reply::Lock { lock: Some(lock), job: unfinished(agent, &app).await? }),
            }
        }
        Request::Unlock { app } => {
            known_app(agent, permit, &app).await?;
            let held = agent.state.lock_of(&app).await.map_err(|e| failures::of_state(&e))?;
            if let Some(lock) = held {
                let outcome = format!("it was locked by {} since {:.0}", lock.by, lock.at);
                audit::write(agent, who, Some(&app), "unlock", outcome).await?;
            }
            let lock = agent.state.unlock(&app).await.map_err(|e| failures::of_state(&e))?;
            Ok(Reply::Lock { lock, job: unfinished(agent, &app).await? })
        }
        Request::LockStatus { app } => {
            known_app(agent, permit, &app).await?;
            let lock = agent.state.lock_of(&app).await.map_err(|e| failures::of_state(&e))?;
            Ok(Reply::Lock { lock, job: unfinished(agent, &app).await? })
        }
        _ => Err(Failure::new(FailureKind::Unsupported, "this agent does not know that request")
            .hint("upgrade wharfd on the server")),
    }
}

fn already(app: &AppName, lock: &DeployLock) -> Failure {
    locked(app, lock).hint("to lock it with your own word, lift that one first: wharf unlock")
}

/// The job that a lock does not keep back any more, from where it is recorded: one that begins is told of too.
async fn unfinished(agent: &Agent, app: &AppName) -> Result<Option<JobId>, Failure> {
    let jobs = agent.state.unfinished_jobs().await.map_err(|e| failures::of_state(&e))?;
    Ok(jobs.into_iter().find(|job| job.app == *app).map(|job| job.job))
}

/// On one line, so that it stands in tables and in the audit.
fn checked(reason: Option<String>) -> Result<Option<String>, Failure> {
    let Some(reason) = reason else { return Ok(None) };
    if reason.chars().count() > REASON_CHARACTERS {
        let text = format!("the reason is longer than {REASON_CHARACTERS} characters");
        return Err(Failure::new(FailureKind::Config, text).hint("say it in one sentence"));
    }
    let line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    Ok((!line.is_empty()).then_some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line() {
        let said = |text: &str| checked(Some(text.to_owned()));
        assert_eq!(said("  the\tcounters \n are\u{7} off "), Ok(Some("the counters are off".into())));
        assert_eq!(said(" \n"), Ok(None));
        assert_eq!(checked(None), Ok(None));
        assert!(said(&"x".repeat(REASON_CHARACTERS + 1)).is_err());
        assert!(said(&"ü".repeat(REASON_CHARACTERS)).is_ok());
    }

    #[test]
    fn who_is_refused_is_told_by_whom_when_and_why() {
        let at = "2026-11-28T10:00:00Z".parse().expect("a time");
        let lock = |reason: Option<&str>| DeployLock {
            by: "ada@laptop (key ada)".into(),
            at,
            reason: reason.map(str::to_owned),
        };
        let told = |lock| {
            let failure = locked(&"shop".parse().expect("a name"), &lock);
            (failure.exit_code(), format!("{} | {}", failure.message, failure.causes.join(" | ")))
        };
        insta::assert_snapshot!(told(lock(Some("sale")) ).1, @"shop is locked by ada@laptop (key ada) since 2026-11-28T10:00:00Z | the reason given: sale");
        assert_eq!(told(lock(None)).0, 3);
    }
}
