//! One app: its containers, its backups, its certificates.

use super::Finding;
use crate::render::{bytes, duration};
use jiff::Timestamp;
use std::time::Duration;
use wharf_proto::backup::Proof;
use wharf_proto::certificate::{CertificateFacts, Validity};
use wharf_proto::doctor::{AppFacts, LogFacts};

/// Judges what was seen of an app, at `now` by the server's clock.
pub fn app(app: &AppFacts, now: Timestamp) -> Vec<Finding> {
    let mut findings = vec![containers(app), restarts(app)];
    findings.extend(memory(app));
    findings.extend(logs(app));
    findings.extend(backups(app, now));
    findings.extend(app.certificates.iter().map(|certificate| self::certificate(certificate, now)));
    findings.extend(
        app.problems
            .iter()
            .map(|problem| Finding::warning("app", problem, "correct it, and deploy again: wharf deploy")),
    );
    findings
}

fn containers(app: &AppFacts) -> Finding {
    const CHECK: &str = "containers";
    let status = &app.status;
    let Some(live) = &status.live else {
        return Finding::warning(CHECK, "no release is live", "deploy one: wharf deploy");
    };
    let unwell = |container: &&wharf_proto::release::ContainerStatus| {
        container.health.as_deref() == Some("unhealthy")
            || matches!(container.state.as_str(), "restarting" | "dead" | "paused")
    };
    let names: Vec<String> = status
        .containers
        .iter()
        .filter(unwell)
        .map(|container| {
            let health = container.health.as_deref().filter(|health| *health == "unhealthy");
            format!("{} is {}", container.name, health.unwrap_or(&container.state))
        })
        .collect();
    if status.containers.is_empty() {
        let text = format!("{} is live, and it has no containers", live.release);
        // Of the services that were not scaled nothing is known: they may have gone by themselves.
        return match status.scaled_to_zero.as_slice() {
            [] => Finding::failed(CHECK, text, "bring it back: wharf rollback, or wharf deploy"),
            none => Finding::failed(
                CHECK,
                format!("{text}; {} scaled to 0", none.join(", ")),
                "bring it back: wharf rollback, or wharf deploy; what is scaled to 0: wharf scale SERVICE=1",
            ),
        };
    }
    if names.is_empty() {
        let containers = match status.containers.len() {
            1 => "its container is well".to_owned(),
            count => format!("its {count} containers are well"),
        };
        return Finding::ok(CHECK, format!("{} is live, and {containers}", live.release));
    }
    Finding::failed(CHECK, names.join(", "), "look at what it wrote: wharf logs; or go back: wharf rollback")
}

fn restarts(app: &AppFacts) -> Finding {
    const CHECK: &str = "restart policy";
    match app.no_restart_policy.as_slice() {
        [] => Finding::ok(CHECK, "what runs starts again after a reboot"),
        services => Finding::warning(
            CHECK,
            format!("{}: without one, it stays down after a reboot or a crash", services.join(", ")),
            "set restart: unless-stopped in the Compose file, and deploy",
        ),
    }
}

fn memory(app: &AppFacts) -> Option<Finding> {
    (!app.oom_killed.is_empty()).then(|| {
        Finding::warning(
            "out of memory",
            format!("{} ran out of memory and was killed", app.oom_killed.join(", ")),
            "give it more: wharf scale SERVICE --memory SIZE",
        )
    })
}

fn logs(app: &AppFacts) -> Option<Finding> {
    const TEXT: &str = "grows without a limit, and in the end it fills the disk";
    let log = |log: &LogFacts| match log.size_bytes {
        Some(count) => format!("{} (now {})", log.service, bytes(count)),
        None => log.service.clone(),
    };
    let logs: Vec<String> = app.unlimited_logs.iter().map(log).collect();
    (!logs.is_empty()).then(|| {
        Finding::warning(
            "container logs",
            format!("that of {} {TEXT}", logs.join(", ")),
            "make the containers anew, with a limit: wharf deploy; where the Compose file has logging: of its own, add \
             options: {max-size: 20m} there first",
        )
    })
}

fn backups(app: &AppFacts, now: Timestamp) -> Vec<Finding> {
    let mut findings = vec![age(app, now)];
    if app.backups && !app.key_saved {
        findings.push(Finding::warning(
            "recovery key",
            "nobody has saved it: without it the backups cannot be opened on another server",
            "put it away, and say so: wharf backup key, then wharf backup key --saved",
        ));
    }
    if let Some(Proof::Failed { why, .. }) = app.status.last_drill.as_ref().map(|drill| &drill.proof) {
        findings.push(Finding::warning(
            "drill",
            format!("the last one failed: {why}"),
            "make another backup, and prove it: wharf backup create, then wharf backup verify",
        ));
    }
    if !app.uncovered.is_empty() {
        findings.push(Finding::warning(
            "backup contents",
            format!("no backup holds {}", app.uncovered.join(", ")),
            "take it in with [[volume]] in wharf.toml, and deploy",
        ));
    }
    let jobs = "see what it says: wharf jobs, then wharf deploy --attach JOB";
    findings.extend(app.chores.iter().map(|chore| Finding::warning("backup jobs", chore, jobs)));
    let place = "see that the place of [[offsite]] in /etc/wharf/wharfd.toml can be written to";
    findings.extend(app.copies.iter().map(|copy| Finding::warning("backup copies", copy, place)));
    findings
}

/// Whether backups come as often as the schedule says.
fn age(app: &AppFacts, now: Timestamp) -> Finding {
    const CHECK: &str = "backup age";
    let status = &app.status;
    let age = status.last_backup.map(|at| now.duration_since(at).max(jiff::SignedDuration::ZERO));
    let told = match age {
        Some(age) => format!("the last one is {} old", duration(age.unsigned_abs())),
        None => "there is none yet".to_owned(),
    };
    let Some(schedule) = &status.schedule else {
        let text = format!("{told}, and there is no schedule: backups are made by deploys alone");
        return Finding::warning(CHECK, text, "set schedule under [backup] in wharf.toml, and deploy");
    };
    if !schedule.on {
        let text = format!("{told}, and the schedule, {}, is not on", schedule.schedule);
        let remedy = if app.key_saved {
            "correct schedule and timezone under [backup] in wharf.toml, and deploy"
        } else {
            "save the recovery key first: wharf backup key"
        };
        return Finding::warning(CHECK, text, remedy);
    }
    let allowed = app.backup_every_seconds.map(|seconds| Duration::from_secs(seconds.saturating_mul(2)));
    // One that is due for the first time has its time, too.
    let late = match (age, allowed) {
        (Some(age), Some(allowed)) => age.unsigned_abs() > allowed,
        (None, _) => status.live.as_ref().is_some_and(|live| {
            allowed.is_some_and(|allowed| now.duration_since(live.created).unsigned_abs() > allowed)
        }),
        (Some(_), None) => false,
    };
    if late {
        let every = duration(Duration::from_secs(app.backup_every_seconds.unwrap_or(0)));
        let text = format!("{told}, and the schedule asks for one every {every}");
        return Finding::warning(
            CHECK,
            text,
            "make one, and see why none was made: wharf backup create, wharf jobs",
        );
    }
    Finding::ok(CHECK, told)
}

fn certificate(certificate: &CertificateFacts, now: Timestamp) -> Finding {
    const CHECK: &str = "certificate";
    let host = &certificate.host;
    let remedy = "renew it, and see why it was not renewed by itself";
    match certificate.validity(now) {
        Validity::Unknown => Finding::warning(
            CHECK,
            format!("that of {host} cannot be looked at from the server: {}", certificate.why_unknown()),
            "see that the host's name leads to the server that serves it",
        ),
        Validity::Expired { expires } => {
            Finding::failed(CHECK, format!("that of {host} expired at {expires}"), remedy)
        }
        Validity::EndsSoon { expires, days } => {
            Finding::warning(CHECK, format!("that of {host} expires in {days} days, at {expires}"), remedy)
        }
        Validity::Good { days } => {
            Finding::ok(CHECK, format!("that of {host} is valid for {days} more days"))
        }
    }
}
