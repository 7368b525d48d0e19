//! Questions that change nothing.

mod certificate;
pub mod databases;
pub mod doctor;
pub mod logs;
pub mod status;

pub use certificate::Certificates;

use crate::agent::Agent;
use crate::failures;
use wharf_access::Permit;
use wharf_proto::message::Reply;
use wharf_proto::release::FrontEnd;
use wharf_proto::spec::BumpRule;
use wharf_proto::{AppName, Apps, Failure, FailureKind};
use wharf_state::{AppRecord, ReleaseRecord};

/// The most entries that one answer lists.
const LIST_LIMIT: u32 = 1_000;

/// The app, which must be known, and which the permit must be for: one that it is not for is as one that is not there.
///
/// # Errors
/// [`FailureKind::NotFound`].
pub async fn known_app(agent: &Agent, permit: &Permit, app: &AppName) -> Result<AppRecord, Failure> {
    let found = agent.state.app(app).await.map_err(|e| failures::of_state(&e))?;
    found.filter(|record| permit.covers(&record.app)).ok_or_else(|| no_such_app(app))
}

/// What is said of an app that is not there.
pub fn no_such_app(app: &AppName) -> Failure {
    Failure::new(FailureKind::NotFound, format!("this server knows no app called {app}"))
        .hint("deploy it first: wharf deploy")
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

pub async fn releases(agent: &Agent, permit: &Permit, app: &AppName) -> Result<Reply, Failure> {
    known_app(agent, permit, app).await?;
    let releases = agent.state.release_infos(app).await.map_err(|e| failures::of_state(&e))?;
    Ok(Reply::Releases { releases })
}

/// The last jobs of the apps that the permit is for, newest first.
///
/// # Errors
/// The state cannot be read.
pub async fn jobs(agent: &Agent, permit: &Permit, limit: u32) -> Result<Reply, Failure> {
    let limit = limit.min(LIST_LIMIT);
    let mut jobs = Vec::new();
    for app in each_app(permit) {
        jobs.extend(agent.state.jobs(app, limit).await.map_err(|e| failures::of_state(&e))?);
    }
    jobs.sort_by_key(|job| std::cmp::Reverse(job.job));
    jobs.truncate(limit as usize);
    Ok(Reply::Jobs { jobs: jobs.iter().map(wharf_state::JobRecord::info).collect() })
}

/// The last entries about the apps that the permit is for, newest first.
///
/// # Errors
/// The state cannot be read.
pub async fn audit(agent: &Agent, permit: &Permit, limit: u32) -> Result<Reply, Failure> {
    let limit = limit.min(LIST_LIMIT);
    let mut entries = Vec::new();
    for app in each_app(permit) {
        entries.extend(agent.state.audits(app, limit).await.map_err(|e| failures::of_state(&e))?);
    }
    entries.retain(|entry| entry.app.is_some() || permit.covers_the_server());
    // Stable: entries of one app stay as the state gives them.
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    entries.truncate(limit as usize);
    Ok(Reply::Audit { entries })
}

/// What to ask the state for, one after the other: everything, or each app that is named.
fn each_app(permit: &Permit) -> Vec<Option<&AppName>> {
    match permit.apps() {
        Apps::All => vec![None],
        Apps::Named(names) => names.iter().map(Some).collect(),
    }
}

/// What a client must know before it chooses versions; an app that is not known yet has nothing live.
///
/// # Errors
/// A glob that cannot be read, or the state.
pub async fn front_ends(
    agent: &Agent,
    permit: &Permit,
    app: &AppName,
    rules: &[BumpRule],
) -> Result<Reply, Failure> {
    if !permit.covers(app) {
        return Err(no_such_app(app));
    }
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
