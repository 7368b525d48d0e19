//! House-keeping after a release: old releases with their images and content. Never a volume, never anything that a listed
//! release needs, never anything of another app.

use super::others::Others;
use super::record::Record;
use super::undo::Undo;
use crate::agent::Agent;
use crate::failures;
use std::collections::BTreeSet;
use std::time::Duration;
use wharf_proto::{AppName, Failure, JobId, ReleaseId};
use wharf_state::ReleaseRecord;

/// Content that nothing needs stays this long: an upload that broke off goes on from it.
const UPLOADS_RESUME_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);

/// How many jobs of an app stay known, with what their builds wrote.
const KEPT_JOBS: usize = 100;

/// Drops what is beyond the releases that stay listed.
///
/// # Errors
/// The state, the engine or the content store does not answer. What is left is pruned the next time.
pub async fn prune(agent: &Agent, app: &AppName, job: JobId, record: &Record) -> Result<(), Failure> {
    let state = &agent.state;
    let Some(known) = state.app(app).await.map_err(|e| failures::of_state(&e))? else { return Ok(()) };
    let releases = state.releases(app).await.map_err(|e| failures::of_state(&e))?;
    forget_old_jobs(agent, app).await?;
    let dropped = beyond(&releases, known.live, known.spec.keep_releases);
    let others = if dropped.is_empty() { Others::default() } else { Others::than(agent, app).await? };
    let kept_images: BTreeSet<&str> = releases
        .iter()
        .filter(|release| !dropped.contains(&release.release))
        .flat_map(|release| release.images.values().map(|image| image.id.as_str()))
        .chain(others.images.iter().map(String::as_str))
        .collect();
    for release in releases.iter().filter(|release| dropped.contains(&release.release)) {
        drop_images(agent, release, &kept_images, &others.pins).await?;
        state.delete_release(app, release.release).await.map_err(|e| failures::of_state(&e))?;
    }
    drop_replaced(agent, job, &kept_images).await?;
    if !dropped.is_empty() {
        let names: Vec<String> = dropped.iter().map(ToString::to_string).collect();
        record.note(format!("no longer listed: {}", names.join(", "))).await;
    }

    // Before what releases need: a lease ends when its release is recorded.
    let mut keep = agent.blobs.leased();
    keep.extend(state.chunks_in_use().await.map_err(|e| failures::of_state(&e))?);
    let blobs = agent.blobs.clone();
    failures::blocking(move || {
        blobs.retain(&keep, UPLOADS_RESUME_WITHIN).map_err(|e| failures::of_blobs(&e))
    })
    .await?;
    Ok(())
}

/// Jobs are kept with their logs for a while; the audit is kept for good.
async fn forget_old_jobs(agent: &Agent, app: &AppName) -> Result<(), Failure> {
    let jobs = agent.state.jobs(Some(app), u32::MAX).await.map_err(|e| failures::of_state(&e))?;
    for old in jobs.iter().skip(KEPT_JOBS).filter(|job| job.outcome.is_some()) {
        agent.events.remove(old.job).await.map_err(|e| failures::of_events(&e, old.job))?;
        agent.state.delete_job(old.job).await.map_err(|e| failures::of_state(&e))?;
    }
    Ok(())
}

/// The images whose names the job gave to others, and that are no release's: somebody built them by hand.
async fn drop_replaced(agent: &Agent, job: JobId, kept: &BTreeSet<&str>) -> Result<(), Failure> {
    let entries = agent.state.undo_entries::<Undo>(job).await.map_err(|e| failures::of_state(&e))?;
    for entry in entries {
        if let Undo::Tag { before: Some(id), .. } = entry.undo
            && !kept.contains(id.as_str())
        {
            agent.engine.remove_nameless(&id).await.map_err(|e| failures::of_engine(&e))?;
        }
    }
    Ok(())
}

async fn drop_images(
    agent: &Agent,
    release: &ReleaseRecord,
    kept: &BTreeSet<&str>,
    pins_of_others: &BTreeSet<String>,
) -> Result<(), Failure> {
    for image in release.images.values() {
        if let Some(tag) = image.pinned.as_ref().filter(|tag| !pins_of_others.contains(*tag)) {
            agent.engine.untag(tag).await.map_err(|e| failures::of_engine(&e))?;
        }
        if image.built && !kept.contains(image.id.as_str()) {
            agent.engine.remove_image(&image.id).await.map_err(|e| failures::of_engine(&e))?;
        }
    }
    Ok(())
}

/// The releases that are no longer listed: all but the live one, the one before it, and the newest `keep`.
fn beyond(releases: &[ReleaseRecord], live: Option<ReleaseId>, keep: u32) -> BTreeSet<ReleaseId> {
    let previous = releases.iter().find(|r| Some(r.release) == live).and_then(|r| r.previous);
    let mut others: Vec<ReleaseId> =
        releases.iter().map(|r| r.release).filter(|r| Some(*r) != live).collect();
    others.sort_unstable();
    let dropped = others.len().saturating_sub(keep as usize);
    others.into_iter().take(dropped).filter(|release| Some(*release) != previous).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use wharf_proto::{AppSpec, Manifest};

    fn release(number: u32, previous: Option<u32>) -> ReleaseRecord {
        let spec: AppSpec = serde_json::from_value(serde_json::json!({
            "app": "app", "path": "/srv/app", "compose": { "files": ["compose.yml"] }
        }))
        .unwrap();
        ReleaseRecord {
            app: spec.app.clone(),
            release: ReleaseId(number),
            adopted: false,
            created: jiff::Timestamp::UNIX_EPOCH,
            created_by: String::new(),
            spec,
            manifest: Manifest::default(),
            images: BTreeMap::new(),
            inputs: BTreeMap::new(),
            versions: BTreeMap::new(),
            message: None,
            git_commit: None,
            backup: None,
            previous: previous.map(ReleaseId),
            promoted: None,
        }
    }

    #[test]
    fn the_live_release_the_one_before_it_and_the_newest_stay() {
        let releases: Vec<_> = (1..=8).map(|n| release(n, (n > 1).then(|| n - 1))).collect();
        let dropped = |live: u32, keep| -> Vec<u32> {
            beyond(&releases, Some(ReleaseId(live)), keep).into_iter().map(|r| r.0).collect()
        };
        assert_eq!(dropped(8, 5), [1, 2]);
        assert_eq!(dropped(8, 100), Vec::<u32>::new());
        // Rolled back to an old one: it stays, and so does what it would go back to.
        assert_eq!(dropped(2, 5), [3]);
        assert_eq!(dropped(8, 0), [1, 2, 3, 4, 5, 6]);
    }
}
