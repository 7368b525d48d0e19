//! House-keeping on demand: images that nothing needs, build cache beyond a bound. Planned first, then done.
//!
//! **Invariant**: no volume, no container, nothing that a listed release or a container of anybody's needs; see
//! [`wharf_plan::house`]. The engine refuses what came into use after the plan.
//!
//! **Invariant**: nobody waits for it. It may be ended anywhere, and is when another job wants to begin.

use crate::agent::Agent;
use crate::config::House;
use crate::failures;
use crate::jobs::run::Job;
use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};
use wharf_engine::BuildError;
use wharf_plan::house::{self, HouseFacts, Unneeded};
use wharf_proto::operate::{DockerPrunePlan, UnneededImage};
use wharf_proto::{AppName, Failure, FailureKind};
use wharf_state::AppRecord;

/// How long build cache is dropped before it is told how far that is.
const CACHE_STEP: Duration = Duration::from_secs(20);
/// How long one job drops build cache.
const CACHE_LIMIT: Duration = Duration::from_secs(900);

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

/// Removes it, until somebody wants the app's seat; a summary.
///
/// A build beside it, of another app, loses nothing: BuildKit keeps what a build uses, and what is left from earlier ones is
/// of no use to builds of ours, which use no cache. A mounted cache (`RUN --mount=type=cache`) that goes is filled again.
///
/// # Errors
/// The engine does not answer, or another job goes first. What was removed until then is gone, and the rest is the next time.
pub async fn prune(job: &Job, project: &str, bounds: Bounds) -> Result<String, Failure> {
    let wanted = job.seat.wanted();
    let mut freed = Freed::default();
    let ended = tokio::select! {
        biased;
        () = wanted.cancelled() => None,
        ended = remove(job, project, bounds, &mut freed) => Some(ended),
    };
    match ended {
        Some(ended) => ended.map(|()| freed.to_string()),
        None => Err(Failure::new(FailureKind::Busy, "the prune gave way to another job")
            .cause(format!("until then: {freed}"))
            .hint("what is left goes the next time: wharf prune")),
    }
}

async fn remove(job: &Job, project: &str, bounds: Bounds, freed: &mut Freed) -> Result<(), Failure> {
    let engine = &job.agent.engine;
    let gone = if bounds.images { unneeded(&job.agent, job.app(), project).await? } else { Vec::new() };
    for unneeded in gone {
        let (gone, what, size_bytes) = match unneeded {
            Unneeded::Name { name, size_bytes, .. } => (engine.untag(&name).await, name, size_bytes),
            Unneeded::Nameless { id, size_bytes } => (engine.remove_nameless(&id).await, id, size_bytes),
        };
        if gone.map_err(|e| failures::of_engine(&e))? {
            freed.images += 1;
            freed.image_bytes += size_bytes;
            job.record.note(format!("removed {what}")).await;
        }
    }
    let Some(keep) = bounds.cache_bytes else { return Ok(()) };
    let until = Instant::now() + CACHE_LIMIT;
    while Instant::now() < until {
        let step = engine.drop_build_cache(keep, CACHE_STEP).await.map_err(|e| of_cache(&e))?;
        freed.cache_bytes += step.bytes;
        if step.is_done {
            return Ok(());
        }
        job.record.note(format!("{} of build cache dropped so far", megabytes(freed.cache_bytes))).await;
    }
    job.record.warn("there is more build cache than is to stay; the rest goes the next time").await;
    Ok(())
}

/// What is gone.
#[derive(Default)]
struct Freed {
    images: u32,
    image_bytes: u64,
    cache_bytes: u64,
}

impl fmt::Display for Freed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let images = if self.images == 1 { "image" } else { "images" };
        write!(
            f,
            "{} {images} removed, {} of build cache dropped, {} freed",
            self.images,
            megabytes(self.cache_bytes),
            megabytes(self.image_bytes.saturating_add(self.cache_bytes))
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn of_cache(error: &BuildError) -> Failure {
    Failure::from_error(FailureKind::Environment, error)
}
