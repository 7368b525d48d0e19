//! The swap itself: writers stopped, names changed, writers started.

use super::exchange as folders;
use super::exchangeable::nobody_holds;
use super::undo::{Exchange, Swap, Swaps, Writer};
use super::{mysql_fill, mysql_over, redis_over};
use crate::failures;
use crate::jobs::compose::{self, JOB_LABEL};
use crate::jobs::run::Job;
use crate::jobs::{start::STOP_PATIENCE, verify};
use std::collections::BTreeSet;
use std::time::Duration;
use wharf_proto::{AppSpec, Failure, FailureKind, Step};
use wharf_state::{Phase, PhaseEvent};

/// Where things stand when all is over.
pub use super::exchange::Side;

/// Stops who writes, exchanges, and proves that the app serves.
///
/// # Errors
/// What failed; [`settle`] must be asked then where things stand.
pub async fn swap(job: &Job, swaps: &Swaps) -> Result<(), Failure> {
    stop_all(job, swaps).await?;
    exchange(job, swaps).await
}

/// Stops who writes, and then the servers whose folders are exchanged.
///
/// # Errors
/// Somebody goes on; [`settle`] starts the others again.
pub async fn stop_all(job: &Job, swaps: &Swaps) -> Result<(), Failure> {
    stop(job, swaps, |writer| !is_server(swaps, writer)).await?;
    for server in swaps.folders.iter().filter_map(|folder| folder.redis.as_ref()) {
        redis_over::save(job, server).await?;
    }
    stop_writers(job, swaps).await?;
    nobody_holds(job, &swaps.folders).await?;
    crate::crash::point("swap.stopped");
    Ok(())
}

/// Swaps every database and folder, and proves that the app serves with them. Where it does not, it is recorded that what was
/// live is to be put back.
///
/// # Errors
/// What failed; [`settle`] must be asked then where things stand.
pub async fn exchange(job: &Job, swaps: &Swaps) -> Result<(), Failure> {
    let served = async {
        all_forwards(job, swaps).await?;
        start_writers(job, swaps).await?;
        crate::crash::point("swap.started");
        prove(job, swaps).await
    };
    if let Err(failure) = served.await {
        // From here on [`settle`] knows but one way, whoever dies meanwhile.
        let phase = job.agent.state.set_phase(job.id, PhaseEvent::PutBack).await;
        phase.map_err(|e| failures::of_state(&e))?;
        job.record.warn("the app does not serve with the restored data: what was live is put back").await;
        return Err(failure);
    }
    job.agent.state.commit_job(job.id).await.map_err(|e| failures::of_state(&e))
}

/// Looks where an interrupted swap stands, brings every database to one side, and starts the writers. To the old one, where
/// nothing is swapped, or where the new one was found not to serve.
///
/// # Errors
/// A database server that does not answer.
pub async fn settle(job: &Job, swaps: &Swaps) -> Result<Side, Failure> {
    let (agent, app) = (&job.agent, job.app());
    let record = agent.state.job(job.id).await.map_err(|e| failures::of_state(&e))?;
    let is_put_back = record.is_some_and(|record| record.phase == Phase::PuttingBack);
    if is_put_back {
        stop_writers(job, swaps).await?;
        crate::crash::point("put_back.stopped");
    }
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
    let mut exchanged = Vec::new();
    for folder in &swaps.folders {
        exchanged.push(side_of(folder).await?);
    }
    let is_new = swapped.contains(&true) || exchanged.contains(&Side::New);
    let side = if is_new && !is_put_back { Side::New } else { Side::Old };
    if side == Side::New {
        for (swap, _) in at_hand.swaps.iter().zip(swapped).filter(|(_, done)| !done) {
            forwards(job, swap).await?;
            crate::crash::point("settle.inside");
        }
        if exchanged.contains(&Side::Old) {
            stop_writers(job, swaps).await?;
        }
        for folder in &swaps.folders {
            exchange_folder(job, folder).await?;
            crate::crash::point("settle.inside");
        }
    } else {
        for (swap, _) in at_hand.swaps.iter().zip(swapped).rev().filter(|(_, done)| *done) {
            backwards(job, swap).await?;
            crate::crash::point("put_back.inside");
        }
        exchange_back(job, swaps).await?;
    }
    start_writers(job, swaps).await?;
    crate::crash::point("put_back.started");
    Ok(side)
}

async fn all_forwards(job: &Job, swaps: &Swaps) -> Result<(), Failure> {
    for swap in &swaps.swaps {
        forwards(job, swap).await?;
        crate::crash::point("swap.inside");
    }
    for folder in &swaps.folders {
        exchange_folder(job, folder).await?;
        crate::crash::point("swap.inside");
    }
    Ok(())
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

async fn side_of(folder: &Exchange) -> Result<Side, Failure> {
    let folder = folder.clone();
    failures::blocking(move || folders::side(&folder).map_err(|e| e.failure())).await
}

/// Where what was live is to be a volume, that is made now, and never removed by anybody here.
async fn exchange_folder(job: &Job, folder: &Exchange) -> Result<(), Failure> {
    if let Some(volume) = &folder.volume {
        let made = job.agent.engine.create_volume(volume, (JOB_LABEL, &job.label())).await;
        if made.map_err(|e| failures::of_engine(&e))?.as_ref() != Some(&folder.kept) {
            let text = format!("what was live cannot be kept as the volume {volume}");
            return Err(Failure::new(FailureKind::Environment, text)
                .cause("there is one of that name already, or the engine keeps it elsewhere")
                .hint("try again"));
        }
    }
    let folder = folder.clone();
    failures::blocking(move || folders::forwards(&folder).map_err(|e| e.failure())).await
}

async fn exchange_back(job: &Job, swaps: &Swaps) -> Result<(), Failure> {
    for folder in swaps.folders.iter().rev() {
        let back = folder.clone();
        failures::blocking(move || folders::backwards(&back).map_err(|e| e.failure())).await?;
        crate::crash::point("put_back.inside");
        if let Some(volume) = folder.volume.as_ref().filter(|_| folder.kept.is_dir()) {
            let text = format!("the volume {volume} was made for what is live, and is empty");
            job.record.warn(format!("{text}; remove it: docker volume rm {volume}")).await;
        }
    }
    Ok(())
}

fn services(swaps: &Swaps) -> Vec<String> {
    let services: BTreeSet<&String> = swaps.writers.iter().map(|writer| &writer.service).collect();
    services.into_iter().cloned().collect()
}

fn is_server(swaps: &Swaps, writer: &Writer) -> bool {
    swaps.folders.iter().filter_map(Exchange::server).any(|server| server == writer.container)
}

/// A server of MySQL's that is killed leaves its files to be mended: it gets what its owner gave it, where that is more.
async fn patience(job: &Job, swaps: &Swaps, writer: &Writer) -> Result<Duration, Failure> {
    let mut servers = swaps.folders.iter().filter_map(|folder| folder.mysql.as_ref());
    if !servers.any(|server| server.at.container == writer.container) {
        return Ok(STOP_PATIENCE);
    }
    let own = job.agent.engine.stop_timeout(&writer.container).await.map_err(|e| failures::of_engine(&e))?;
    Ok(own.map_or(mysql_fill::STOPS_WITHIN, |own| own.max(mysql_fill::STOPS_WITHIN)))
}

async fn stop_writers(job: &Job, swaps: &Swaps) -> Result<(), Failure> {
    stop(job, swaps, |_| true).await
}

async fn stop(job: &Job, swaps: &Swaps, who: impl Fn(&Writer) -> bool) -> Result<(), Failure> {
    for writer in swaps.writers.iter().filter(|writer| who(writer)) {
        let patience = patience(job, swaps, writer).await?;
        let stopped = job.agent.engine.stop(&writer.container, patience).await;
        stopped.map_err(|e| failures::of_engine(&e))?;
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
    for server in swaps.folders.iter().filter_map(|folder| folder.redis.as_ref()) {
        redis_over::prove(job, server).await?;
    }
    for server in swaps.folders.iter().filter_map(|folder| folder.mysql.as_ref()) {
        mysql_over::prove(job, server).await?;
    }
    verify::verify(&job.agent.engine, &expected).await.map_err(|failure| Failure {
        kind: FailureKind::Verify,
        ..failure
            .hint("look at the backup beside the live data: wharf backup restore ID with --database or --volume, and --as NAME")
    })
}
