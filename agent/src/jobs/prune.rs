//! House-keeping after a release: old releases with their images and content. Never a volume, never anything that a listed
//! release needs, never anything of another app.

use super::record::Record;
use crate::agent::Agent;
use crate::failures;
use std::collections::BTreeSet;
use std::time::Duration;
use wharf_proto::{AppName, Failure, ReleaseId};
use wharf_state::ReleaseRecord;

/// Content that nothing needs stays this long: an upload that broke off goes on from it.
const UPLOADS_RESUME_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);

/// Drops what is beyond the releases that stay listed.
///
/// # Errors
/// The state, the engine or the content store does not answer. What is left is pruned the next time.
pub async fn prune(agent: &Agent, app: &AppName, record: &Record) -> Result<(), Failure> {
    let state = &agent.state;
    let Some(known) = state.app(app).await.map_err(|e| failures::of_state(&e))? else { return Ok(()) };
    let releases = state.releases(app).await.map_err(|e| failures::of_state(&e))?;
    let dropped = beyond(&releases, known.live, known.spec.keep_releases);
    if dropped.is_empty() {
        return Ok(());
    }
    let kept_images: BTreeSet<&str> = releases
        .iter()
        .filter(|release| !dropped.contains(&release.release))
        .flat_map(|release| release.images.values().map(|image| image.id.as_str()))
        .collect();
    for release in releases.iter().filter(|release| dropped.contains(&release.release)) {
        drop_images(agent, release, &kept_images).await?;
        state.delete_release(app, release.release).await.map_err(|e| failures::of_state(&e))?;
    }
    let names: Vec<String> = dropped.iter().map(ToString::to_string).collect();
    record.note(format!("no longer listed: {}", names.join(", "))).await;

    let keep = state.chunks_in_use().await.map_err(|e| failures::of_state(&e))?;
    let blobs = agent.blobs.clone();
    failures::blocking(move || {
        blobs.retain(&keep, UPLOADS_RESUME_WITHIN).map_err(|e| failures::of_blobs(&e))
    })
    .await?;
    Ok(())
}

async fn drop_images(agent: &Agent, release: &ReleaseRecord, kept: &BTreeSet<&str>) -> Result<(), Failure> {
    for image in release.images.values() {
        if let Some(tag) = &image.pinned {
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
