//! Questions that change nothing.

pub mod logs;
pub mod status;

use crate::agent::Agent;
use crate::failures;
use wharf_proto::message::Reply;
use wharf_proto::release::FrontEnd;
use wharf_proto::spec::BumpRule;
use wharf_proto::{AppName, Failure, FailureKind};
use wharf_state::{AppRecord, ReleaseRecord};

/// The most entries that one answer lists.
const LIST_LIMIT: u32 = 1_000;

/// The app, which must be known.
///
/// # Errors
/// [`FailureKind::NotFound`].
pub async fn known_app(agent: &Agent, app: &AppName) -> Result<AppRecord, Failure> {
    let found = agent.state.app(app).await.map_err(|e| failures::of_state(&e))?;
    found.ok_or_else(|| {
        Failure::new(FailureKind::NotFound, format!("this server knows no app called {app}"))
            .hint("deploy it first: wharf deploy")
    })
}

/// The live release of `app`, where there is one.
///
/// # Errors
/// The state cannot be read.
pub async fn live(agent: &Agent, app: &AppName) -> Result<Option<ReleaseRecord>, Failure> {
    let record = agent.state.app(app).await.map_err(|e| failures::of_state(&e))?;
    match record.and_then(|record| record.live) {
        Some(live) => agent.state.release(app, live).await.map_err(|e| failures::of_state(&e)),
        None => Ok(None),
    }
}

pub async fn releases(agent: &Agent, app: &AppName) -> Result<Reply, Failure> {
    known_app(agent, app).await?;
    let releases = agent.state.release_infos(app).await.map_err(|e| failures::of_state(&e))?;
    Ok(Reply::Releases { releases })
}

pub async fn jobs(agent: &Agent, app: Option<&AppName>, limit: u32) -> Result<Reply, Failure> {
    let jobs = agent.state.jobs(app, limit.min(LIST_LIMIT)).await.map_err(|e| failures::of_state(&e))?;
    Ok(Reply::Jobs { jobs: jobs.iter().map(wharf_state::JobRecord::info).collect() })
}

pub async fn audit(agent: &Agent, app: Option<&AppName>, limit: u32) -> Result<Reply, Failure> {
    let entries = agent.state.audits(app, limit.min(LIST_LIMIT)).await.map_err(|e| failures::of_state(&e))?;
    Ok(Reply::Audit { entries })
}

/// What a client must know before it chooses versions; an app that is not known yet has nothing live.
///
/// # Errors
/// A glob that cannot be read, or the state.
pub async fn front_ends(agent: &Agent, app: &AppName, rules: &[BumpRule]) -> Result<Reply, Failure> {
    let live = live(agent, app).await?;
    let highest = agent.state.highest_versions(app).await.map_err(|e| failures::of_state(&e))?;
    let mut front_ends = Vec::new();
    for rule in rules {
        let matches = rule.matcher().map_err(|e| {
            Failure::from_error(FailureKind::Config, &e)
                .hint("correct when_changed under [[bump]] in wharf.toml")
        })?;
        let file = rule.file.to_string();
        // What an adopted stack was made from is not known: there is nothing to compare with.
        let shipped = live.as_ref().filter(|release| !release.adopted);
        front_ends.push(FrontEnd {
            file: rule.file.clone(),
            live_tree: shipped.map(|release| release.manifest.tree_digest(|path| matches(path))),
            live_version: live.as_ref().and_then(|release| release.versions.get(&file).cloned()),
            highest_version: highest.get(&file).cloned(),
        });
    }
    Ok(Reply::FrontEnds { front_ends })
}
