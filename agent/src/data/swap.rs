//! The swap itself: writers stopped, names changed, writers started.

use super::undo::{Swap, Swaps};
use crate::failures;
use crate::jobs::run::Job;
use crate::jobs::{compose, start::STOP_PATIENCE, verify};
use std::collections::BTreeSet;
use std::time::Duration;
use wharf_proto::{AppSpec, Failure, FailureKind, Step};

/// Where things stand when all is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Old,
    New,
}

/// Swaps every database and proves that the app serves with them. Where it does not, the names are changed back.
///
/// # Errors
/// What failed; [`settle`] must be asked then where things stand.
pub async fn swap(job: &Job, swaps: &Swaps) -> Result<(), Failure> {
    stop_writers(job, swaps).await?;
    crate::crash::point("swap.stopped");
    for swap in &swaps.swaps {
        forwards(job, swap).await?;
        crate::crash::point("swap.inside");
    }
    let served = async {
        start_writers(job, swaps).await?;
        crate::crash::point("swap.started");
        prove(job, swaps).await
    };
    if let Err(failure) = served.await {
        job.record.warn("the app does not serve with the restored data: the old one is put back").await;
        stop_writers(job, swaps).await?;
        for swap in swaps.swaps.iter().rev() {
            backwards(job, swap).await?;
        }
        return Err(failure);
    }
    job.agent.state.commit_job(job.id).await.map_err(|e| failures::of_state(&e))
}

/// Looks where an interrupted swap stands, brings every database to one side, and starts the writers.
///
/// # Errors
/// A database server that does not answer.
pub async fn settle(job: &Job, swaps: &Swaps) -> Result<Side, Failure> {
    let (agent, app) = (&job.agent, job.app());
    let mut swapped = Vec::new();
    let mut at_hand = swaps.clone();
    for swap in &mut at_hand.swaps {
        if swap.at.home.is_none() {
            agent.engine.start(&swap.at.container).await.map_err(|e| failures::of_engine(&e))?;
        }
        swap.at = swap.at.at_hand(job).await?;
        swap.at.quiet(agent, app).await?;
        let names = swap.at.names(agent, app).await?;
        swapped.push(!names.contains(&swap.restored));
    }
    let side = if swapped.contains(&true) { Side::New } else { Side::Old };
    if side == Side::New {
        for (swap, _) in at_hand.swaps.iter().zip(swapped).filter(|(_, done)| !done) {
            forwards(job, swap).await?;
        }
    }
    start_writers(job, swaps).await?;
    Ok(side)
}

async fn forwards(job: &Job, swap: &Swap) -> Result<(), Failure> {
    let mut names = Vec::new();
    if let Some(kept) = &swap.kept {
        names.push((swap.live.as_str(), kept.as_str()));
    }
    names.push((swap.restored.as_str(), swap.live.as_str()));
    swap.at.rename(&job.agent, job.app(), &names).await
}

async fn backwards(job: &Job, swap: &Swap) -> Result<(), Failure> {
    let mut names = vec![(swap.live.as_str(), swap.restored.as_str())];
    if let Some(kept) = &swap.kept {
        names.push((kept.as_str(), swap.live.as_str()));
    }
    swap.at.rename(&job.agent, job.app(), &names).await
}

fn services(swaps: &Swaps) -> Vec<String> {
    let services: BTreeSet<&String> = swaps.writers.iter().map(|writer| &writer.service).collect();
    services.into_iter().cloned().collect()
}

async fn stop_writers(job: &Job, swaps: &Swaps) -> Result<(), Failure> {
    for writer in &swaps.writers {
        job.agent.engine.stop(&writer.container, STOP_PATIENCE).await.map_err(|e| failures::of_engine(&e))?;
    }
    Ok(())
}

/// In the order of what depends on what, where Compose can tell it; the very same containers in any case.
async fn start_writers(job: &Job, swaps: &Swaps) -> Result<(), Failure> {
    if swaps.writers.is_empty() {
        return Ok(());
    }
    let stack = compose::in_place(job, &swaps.project).as_it_ran(&job.agent);
    let limit = Duration::from_secs(job.spec.verify.start_timeout_seconds.into());
    let services = services(swaps);
    let started = job
        .record
        .with_output(Step::Swap, None, |lines| async move {
            stack.project().start(&services, limit, |line| lines.push(line)).await
        })
        .await;
    if let Err(error) = started {
        tracing::warn!(job = %job.id, %error, "compose start failed; starting the containers one by one");
    }
    for writer in &swaps.writers {
        job.agent.engine.start(&writer.container).await.map_err(|e| failures::of_engine(&e))?;
    }
    Ok(())
}

async fn prove(job: &Job, swaps: &Swaps) -> Result<(), Failure> {
    let healthy = swaps.writers.iter().filter(|writer| writer.healthy).map(|writer| writer.service.clone());
    let services: BTreeSet<String> = healthy.collect();
    let all_were = swaps.writers.iter().all(|writer| writer.healthy) && !swaps.writers.is_empty();
    // Where something was broken before, the probes may have failed before, too.
    let health = if all_were { job.spec.health.clone() } else { Vec::new() };
    let spec = AppSpec { health, ..job.spec.clone() };
    let expected =
        verify::Expected { project: &swaps.project, spec: &spec, services: services.into_iter().collect() };
    verify::verify(&job.agent.engine, &expected).await.map_err(|failure| Failure {
        kind: FailureKind::Verify,
        ..failure
            .hint("look at the backup beside the live data: wharf backup restore ID --database DB --as NAME")
    })
}
