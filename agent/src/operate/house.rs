//! House-keeping on demand: images that nothing needs, build cache beyond a bound. Planned first, then done.
//!
//! **Invariant**: no volume, no container, nothing that a listed release or a container of anybody's needs; see
//! [`wharf_plan::house`]. The engine refuses what came into use after the plan.

use crate::agent::Agent;
use crate::config::House;
use crate::failures;
use crate::jobs::run::Job;
use std::collections::BTreeSet;
use wharf_engine::BuildError;
use wharf_plan::house::{self, HouseFacts, Unneeded};
use wharf_proto::operate::{DockerPrunePlan, UnneededImage};
use wharf_proto::{AppName, Failure, FailureKind};
use wharf_state::AppRecord;

/// What is to be kept in bounds.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Whether images go that nothing needs.
    pub images: bool,
    /// How much build cache stays; `None`: all.
    pub cache_bytes: Option<u64>,
}

/// Whether more is there than the server's own limits allow.
///
/// # Errors
/// The engine or the state does not answer.
pub async fn is_beyond(agent: &Agent, app: &AppRecord, house: House) -> Result<bool, Failure> {
    if house.images && !unneeded(agent, &app.app, &app.project).await?.is_empty() {
        return Ok(true);
    }
    let Some(limit) = house.build_cache else { return Ok(false) };
    Ok(agent.engine.build_cache_bytes().await.map_err(|e| of_cache(&e))? > limit)
}

/// What would go.
///
/// # Errors
/// The engine or the state does not answer.
pub async fn planned(
    agent: &Agent,
    app: &AppRecord,
    keep_cache_bytes: u64,
) -> Result<DockerPrunePlan, Failure> {
    let images = unneeded(agent, &app.app, &app.project).await?.into_iter().map(shown).collect();
    let cache_bytes = agent.engine.build_cache_bytes().await.map_err(|e| of_cache(&e))?;
    Ok(DockerPrunePlan { images, cache_bytes, keep_cache_bytes })
}

fn shown(unneeded: Unneeded) -> UnneededImage {
    match unneeded {
        Unneeded::Name { name, id, release, size_bytes } => {
            UnneededImage { id, name: Some(name), size_bytes, why: format!("{release} is no longer listed") }
        }
        Unneeded::Nameless { id, size_bytes } => {
            UnneededImage { id, name: None, size_bytes, why: "no name leads to it".to_owned() }
        }
    }
}

async fn unneeded(agent: &Agent, app: &AppName, project: &str) -> Result<Vec<Unneeded>, Failure> {
    // Containers first: one that is made meanwhile keeps its image by itself.
    let mut needed = agent.engine.images_in_use().await.map_err(|e| failures::of_engine(&e))?;
    let (mut others, mut listed, mut services) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for known in agent.state.apps().await.map_err(|e| failures::of_state(&e))? {
        for release in agent.state.releases(&known.app).await.map_err(|e| failures::of_state(&e))? {
            needed.extend(release.images.values().map(|image| image.id.clone()));
            if known.app == *app {
                listed.insert(release.release);
                services.extend(release.images.into_keys());
            }
        }
        if known.app != *app {
            others.push(known.app);
        }
    }
    let images = agent.engine.images().await.map_err(|e| failures::of_engine(&e))?;
    let facts = HouseFacts {
        app,
        project,
        others: &others,
        listed: &listed,
        services: &services,
        images: &images,
        needed: &needed,
    };
    Ok(house::unneeded(&facts))
}

/// Removes it; a summary.
///
/// # Errors
/// The engine does not answer. What was removed until then is gone, and the rest is the next time.
pub async fn prune(job: &Job, project: &str, bounds: Bounds) -> Result<String, Failure> {
    let agent = &job.agent;
    let (mut removed, mut freed_bytes) = (0_u32, 0_u64);
    let gone = if bounds.images { unneeded(agent, job.app(), project).await? } else { Vec::new() };
    for unneeded in gone {
        let (gone, what, size_bytes) = match unneeded {
            Unneeded::Name { name, size_bytes, .. } => (agent.engine.untag(&name).await, name, size_bytes),
            Unneeded::Nameless { id, size_bytes } => {
                (agent.engine.remove_nameless(&id).await, id, size_bytes)
            }
        };
        if gone.map_err(|e| failures::of_engine(&e))? {
            removed += 1;
            freed_bytes += size_bytes;
            job.record.note(format!("removed {what}")).await;
        }
    }
    let cache_bytes = match bounds.cache_bytes {
        Some(keep) => agent.engine.prune_build_cache(keep).await.map_err(|e| of_cache(&e))?,
        None => 0,
    };
    let images = if removed == 1 { "1 image".to_owned() } else { format!("{removed} images") };
    Ok(format!(
        "{images} removed, {} of build cache dropped, {} freed",
        megabytes(cache_bytes),
        megabytes(freed_bytes.saturating_add(cache_bytes))
    ))
}

#[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn of_cache(error: &BuildError) -> Failure {
    Failure::from_error(FailureKind::Environment, error)
}
