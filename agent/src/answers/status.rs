//! An app's containers, as they are now.

use super::known_app;
use crate::agent::Agent;
use crate::chores;
use crate::failures;
use crate::jobs::database::databases_of;
use crate::jobs::{coverage, log_limits, volumes};
use crate::room;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use wharf_access::Permit;
use wharf_engine::Memory;
use wharf_plan::facts::{ContainerFacts, ContainerState};
use wharf_proto::certificate::{CertificateFacts, Validity};
use wharf_proto::doctor::{AppFacts, LogFacts};
use wharf_proto::message::Reply;
use wharf_proto::operate::ServiceScale;
use wharf_proto::release::{AppStatus, ContainerStatus, DiskSpace};
use wharf_proto::{AppName, Failure};
use wharf_state::AppRecord;

/// How many containers are measured at the same time.
const MEASURED_AT_ONCE: usize = 16;

/// The status of one app, or of all that the permit is for.
///
/// # Errors
/// An app that is not known; an engine that does not answer.
pub async fn status(agent: &Agent, permit: &Permit, app: Option<&AppName>) -> Result<Reply, Failure> {
    let mut known = match app {
        Some(app) => vec![known_app(agent, permit, app).await?],
        None => agent.state.apps().await.map_err(|e| failures::of_state(&e))?,
    };
    known.retain(|record| permit.covers(&record.app));
    let now = agent.clock.now();
    // Other servers are asked beside this one, those of all apps at once.
    let asked: Vec<_> =
        known.iter().map(|record| agent.certificates.soon(&record.spec.health, now)).collect();
    let looked = async {
        let mut apps = Vec::with_capacity(known.len());
        for record in &known {
            apps.push(of_app(agent, record).await?);
        }
        Ok::<_, Failure>(apps)
    };
    let (certificates, looked) = futures_util::future::join(join_all(asked), looked).await;
    let shown = looked?.into_iter().zip(certificates);
    let apps = shown.map(|(app, certificates)| with_certificates(app, certificates, now));
    Ok(Reply::Status { apps: apps.collect() })
}

fn with_certificates(mut app: AppStatus, certificates: Vec<CertificateFacts>, now: Timestamp) -> AppStatus {
    app.warnings.extend(certificates.iter().filter_map(|certificate| ends(certificate, now)));
    AppStatus { certificates, ..app }
}

/// What is to be done about a certificate, where something is.
fn ends(certificate: &CertificateFacts, now: Timestamp) -> Option<String> {
    const REMEDY: &str = "renew it, and see why it was not renewed by itself";
    let host = &certificate.host;
    match certificate.validity(now) {
        Validity::Good { .. } => None,
        Validity::EndsSoon { expires, days } => {
            Some(format!("the certificate of {host} expires in {days} days, at {expires}; {REMEDY}"))
        }
        Validity::Expired { expires } => {
            Some(format!("the certificate of {host} expired at {expires}; {REMEDY}"))
        }
        Validity::Unknown => Some(format!(
            "the certificate of {host} cannot be looked at from the server: {}; see that the host's name leads to the server \
             that serves it",
            certificate.why_unknown()
        )),
    }
}

async fn of_app(agent: &Agent, record: &AppRecord) -> Result<AppStatus, Failure> {
    let facts = look(agent, record).await?;
    let mut warnings: Vec<String> = facts
        .oom_killed
        .iter()
        .map(|service| format!("{service} ran out of memory and was killed"))
        .collect();
    warnings.extend(facts.no_restart_policy.iter().map(|service| {
        format!("{service} has no restart policy: it stays down after a reboot; set restart: unless-stopped")
    }));
    warnings.extend(crate::data::key_warning(agent, &record.app).await?);
    warnings.extend(facts.problems);
    if !facts.uncovered.is_empty() {
        let uncovered = facts.uncovered.join(", ");
        warnings.push(format!("no backup holds {uncovered}; take it in with [[volume]] in wharf.toml"));
    }
    warnings.extend(chores::warnings(agent, record).await?);
    warnings.extend(facts.copies);
    warnings.extend(facts.status.containers.iter().filter_map(nearly_full));
    Ok(AppStatus { warnings, ..facts.status })
}

/// Looks at the app, but for what other servers show.
///
/// # Errors
/// The engine or the state does not answer.
pub(super) async fn look(agent: &Agent, record: &AppRecord) -> Result<AppFacts, Failure> {
    let app = &record.app;
    let containers =
        agent.engine.project_containers(&record.project).await.map_err(|e| failures::of_engine(&e))?;
    let releases = agent.state.release_infos(app).await.map_err(|e| failures::of_state(&e))?;
    let backups = agent.state.backups(app).await.map_err(|e| failures::of_state(&e))?;
    let serving: Vec<_> = containers.into_iter().filter(|c| !c.one_off).collect();
    let scales = agent.state.scales(app).await.map_err(|e| failures::of_state(&e))?;
    let scaled_to_zero = match scaled_to_zero(&scales, &serving) {
        none if none.is_empty() => none,
        none => still_there(agent, record, none).await?,
    };
    let (uncovered, problems) = not_backed_up(agent, record, &serving).await?;
    let disk = disk(record.path.clone().into()).await;
    Ok(AppFacts {
        no_restart_policy: services(&serving, |container| {
            let policy = container.restart_policy.as_str();
            container.state == ContainerState::Running && !container.oom_killed && matches!(policy, "" | "no")
        }),
        oom_killed: services(&serving, |container| container.oom_killed),
        unlimited_logs: unlimited_logs(agent, record, &serving),
        backups: agent.layout.repository(app).is_dir(),
        key_saved: crate::data::key_is_saved(agent, app).await?,
        backup_every_seconds: chores::backup_every_seconds(agent, record),
        uncovered,
        chores: chores::failing(agent, record).await?,
        copies: crate::data::copy_warnings(agent, app),
        problems,
        certificates: Vec::new(),
        status: AppStatus {
            live: releases.into_iter().find(|release| release.live),
            warnings: Vec::new(),
            scaled_to_zero,
            containers: measured(agent, serving).await,
            last_backup: backups.first().map(|backup| backup.at),
            last_backup_proof: backups.first().map(|backup| backup.proof.clone()),
            last_drill: chores::last_drill(&backups),
            schedule: chores::status(agent, record).await?,
            job: agent.queue.running(app),
            lock: agent.state.lock_of(app).await.map_err(|e| failures::of_state(&e))?,
            disk,
            certificates: Vec::new(),
            app: app.clone(),
            path: record.path.clone(),
            project: record.project.clone(),
        },
    })
}

/// The services that have no container since somebody wants it so.
fn scaled_to_zero(scales: &[ServiceScale], containers: &[ContainerFacts]) -> Vec<String> {
    let gone = |service: &str| containers.iter().all(|container| container.service != service);
    let none = scales.iter().filter(|scale| scale.replicas == Some(0) && gone(&scale.service));
    none.map(|scale| scale.service.clone()).collect()
}

/// Those of the services that the live release has: what is set for one that is gone from the Compose files lasts.
async fn still_there(
    agent: &Agent,
    record: &AppRecord,
    services: Vec<String>,
) -> Result<Vec<String>, Failure> {
    let Some(live) = record.live else { return Ok(services) };
    let live = agent.state.release(&record.app, live).await.map_err(|e| failures::of_state(&e))?;
    // What was adopted does not tell which services it has.
    let Some(live) = live.filter(|live| !live.inputs.is_empty()) else { return Ok(services) };
    Ok(services.into_iter().filter(|service| live.inputs.contains_key(service)).collect())
}

/// The services of which one container is so, each once.
fn services(containers: &[ContainerFacts], so: impl Fn(&ContainerFacts) -> bool) -> Vec<String> {
    let found: BTreeSet<&str> =
        containers.iter().filter(|container| so(container)).map(|c| c.service.as_str()).collect();
    found.into_iter().map(str::to_owned).collect()
}

/// The running containers whose logs grow without end, where that is not as the app or the server wants it.
fn unlimited_logs(agent: &Agent, record: &AppRecord, containers: &[ContainerFacts]) -> Vec<LogFacts> {
    if log_limits::wanted(agent, &record.spec).is_none() {
        return Vec::new();
    }
    let running = containers.iter().filter(|c| c.state == ContainerState::Running && c.log.is_unlimited());
    running
        .map(|container| LogFacts {
            service: container.service.clone(),
            size_bytes: container
                .log
                .path
                .as_ref()
                .and_then(|path| Some(std::fs::metadata(path).ok()?.len())),
        })
        .collect()
}

/// Each container with its memory. One that cannot be measured is told of without.
async fn measured(agent: &Agent, containers: Vec<ContainerFacts>) -> Vec<ContainerStatus> {
    let each = containers.into_iter().map(async |container| {
        let memory = agent.engine.memory(&container.id).await;
        of_container(container, memory.unwrap_or_default())
    });
    stream::iter(each).buffered(MEASURED_AT_ONCE).collect().await
}

/// Above nine tenths the next peak may be its end.
fn nearly_full(container: &ContainerStatus) -> Option<String> {
    let (used, limit) = (container.memory_bytes?, container.memory_limit_bytes?);
    let full = used.saturating_mul(10) > limit.saturating_mul(9);
    full.then(|| {
        format!(
            "{} takes more than 90 % of the memory that it may have; give it more: wharf scale {0} --memory SIZE",
            container.service
        )
    })
}

/// The disk that the folder, or the first one above it that is there, is on.
async fn disk(folder: PathBuf) -> Option<DiskSpace> {
    let look = move || {
        let there = folder.ancestors().find(|folder| folder.exists())?;
        room::on(there)
    };
    tokio::task::spawn_blocking(look).await.ok().flatten()
}

/// Data that no backup of the app holds, and why that cannot be told where it cannot.
async fn not_backed_up(
    agent: &Agent,
    record: &AppRecord,
    containers: &[ContainerFacts],
) -> Result<(Vec<String>, Vec<String>), Failure> {
    let mut images = BTreeMap::new();
    for container in containers {
        let image = agent.engine.image(&container.image_id).await.map_err(|e| failures::of_engine(&e))?;
        images.extend(image.map(|image| (container.image_id.clone(), image)));
    }
    let databases = databases_of(&record.spec, containers, &images);
    let stack =
        volumes::Stack { spec: &record.spec, project: &record.project, containers, models: Vec::new() };
    match volumes::find(agent, &stack).await {
        Ok(volumes) => Ok((coverage::uncovered(containers, &databases, &volumes), Vec::new())),
        // Without Compose's model, what is not made yet is not known either; a backup tells of it.
        Err(failure) if failure.kind == wharf_proto::FailureKind::Config => {
            Ok((Vec::new(), vec![failure.message]))
        }
        Err(failure) => Err(failure),
    }
}

fn of_container(container: ContainerFacts, memory: Memory) -> ContainerStatus {
    let state = match container.state {
        ContainerState::Created => "created",
        ContainerState::Running => "running",
        ContainerState::Paused => "paused",
        ContainerState::Restarting => "restarting",
        ContainerState::Removing => "removing",
        ContainerState::Exited => "exited",
        ContainerState::Dead => "dead",
    };
    let state = match (container.state, container.exit_code) {
        (ContainerState::Exited, Some(code)) => format!("{state} ({code})"),
        _ => state.to_owned(),
    };
    ContainerStatus {
        service: container.service,
        name: container.name,
        state,
        health: container.health,
        restarts: container.restarts,
        image: container.image,
        started: container.started_at,
        memory_bytes: memory.used_bytes,
        memory_limit_bytes: memory.limit_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_warned_of_before_it_ends_and_where_it_cannot_be_seen() {
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        let told = |expires: Option<&str>| {
            let certificate = CertificateFacts {
                host: "shop.example".into(),
                expires: expires.map(|at| at.parse().unwrap()),
                days_left: None,
                problem: expires.is_none().then(|| "connection refused".into()),
            };
            ends(&certificate, now).unwrap_or_default()
        };
        assert_eq!(told(Some("2027-01-20T12:00:00Z")), "");
        insta::assert_snapshot!(told(Some("2026-12-10T12:00:00Z")), @"the certificate of shop.example expires in 12 days, at 2026-12-10T12:00:00Z; renew it, and see why it was not renewed by itself");
        insta::assert_snapshot!(told(Some("2026-11-28T11:00:00Z")), @"the certificate of shop.example expired at 2026-11-28T11:00:00Z; renew it, and see why it was not renewed by itself");
        insta::assert_snapshot!(told(None), @"the certificate of shop.example cannot be looked at from the server: connection refused; see that the host's name leads to the server that serves it");
    }
}
