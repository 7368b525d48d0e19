//! The recovery key: the owner must put it away, or nobody can open the backups elsewhere.

use crate::agent::Agent;
use crate::answers::known_app;
use crate::audit;
use crate::conversation::Who;
use crate::failures;
use jiff::Timestamp;
use wharf_access::Permit;
use wharf_proto::backup::RecoveryKey;
use wharf_proto::message::Reply;
use wharf_proto::{AppName, Failure, FailureKind};

/// Tells the key, or takes note that it is saved. Both are in the audit.
///
/// # Errors
/// An app without backups.
pub async fn answer(
    agent: &Agent,
    permit: &Permit,
    who: &Who,
    app: &AppName,
    saved: bool,
) -> Result<Reply, Failure> {
    known_app(agent, permit, app).await?;
    let repository = agent.layout.repository(app);
    if !repository.is_dir() {
        return Err(Failure::new(
            FailureKind::NotFound,
            format!("there is no backup of {app} yet, and so no key"),
        )
        .hint("make one: wharf backup create"));
    }
    let key = if saved {
        let now = Timestamp::now();
        agent.state.set_key_saved(app, Some(now)).await.map_err(|e| failures::of_state(&e))?;
        // From now on the schedule is on.
        agent.queue.look_again();
        None
    } else {
        let key = wharf_backup::recovery_key(&agent.layout.repository_key(app)).map_err(|e| e.failure())?;
        Some(RecoveryKey::new(key.expose()))
    };
    let action = if saved { "backup key --saved" } else { "backup key" };
    let outcome = if saved { "the recovery key is saved" } else { "the recovery key was shown" };
    audit::write(agent, who, Some(app), action, outcome).await?;
    let saved = is_saved(agent, app).await?;
    Ok(Reply::BackupKey { key, repository: repository.display().to_string(), saved })
}

/// Whether the owner has said that the key is put away.
///
/// # Errors
/// The state cannot be read.
pub async fn is_saved(agent: &Agent, app: &AppName) -> Result<bool, Failure> {
    let saved = agent.state.key_saved(app).await.map_err(|e| failures::of_state(&e))?;
    Ok(saved.is_some())
}

/// What the last lines of a deploy say until then.
///
/// # Errors
/// The state cannot be read.
pub async fn reminder(agent: &Agent, app: &AppName, scheduled: bool) -> Result<Option<String>, Failure> {
    let has_backups = agent.layout.repository(app).is_dir();
    Ok(remind(has_backups, scheduled, is_saved(agent, app).await?).map(str::to_owned))
}

fn remind(has_backups: bool, scheduled: bool, saved: bool) -> Option<&'static str> {
    match (saved, scheduled, has_backups) {
        (true, ..) | (false, false, false) => None,
        (false, true, true) => Some(
            "the recovery key is not saved, and the backup schedule is not on until it is: wharf backup key",
        ),
        (false, true, false) => Some(
            "the backup schedule is not on until the recovery key is saved: wharf backup create, then wharf backup key",
        ),
        (false, false, true) => Some(
            "the recovery key is not saved, and without it the backups open on this server alone: wharf backup key",
        ),
    }
}

/// What `wharf status` says until then.
///
/// # Errors
/// The state cannot be read.
pub async fn warning(agent: &Agent, app: &AppName) -> Result<Option<String>, Failure> {
    if !agent.layout.repository(app).is_dir() || is_saved(agent, app).await? {
        return Ok(None);
    }
    let text = "nobody has saved the recovery key: without it the backups cannot be opened on another server; \
        run: wharf backup key";
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_backups_or_a_schedule_is_reminded_until_the_key_is_saved() {
        let all = [false, true].map(|has_backups| {
            [false, true].map(|scheduled| {
                assert_eq!(remind(has_backups, scheduled, true), None);
                let said = remind(has_backups, scheduled, false).unwrap_or("nothing");
                format!("backups {has_backups}, schedule {scheduled}: {said}\n")
            })
        });
        insta::assert_snapshot!(all.concat().concat());
    }
}
