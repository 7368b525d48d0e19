//! Releases, jobs, status and audit as tables.

use super::{Style, backups::proven, bytes, clean, table::table};
use wharf_proto::{
    Outcome,
    certificate::CertificateFacts,
    event::JobKind,
    lock::DeployLock,
    release::{AppStatus, AuditEntry, ContainerStatus, DiskSpace, JobInfo, ReleaseInfo, ScheduleStatus},
};

/// Newest first, as they come.
pub fn releases(releases: &[ReleaseInfo], style: &Style) -> String {
    let rows: Vec<Vec<String>> = releases.iter().map(|release| release_row(release, style)).collect();
    table(&["RELEASE", "", "WHEN", "VERSIONS", "BY", "COMMIT", "BACKUP", "PROOF", "MESSAGE"], &rows, style)
}

fn release_row(release: &ReleaseInfo, style: &Style) -> Vec<String> {
    let state = match (release.live, release.adopted) {
        (true, _) => "live",
        (false, true) => "adopted",
        (false, false) => "",
    };
    vec![
        release.release.to_string(),
        state.to_owned(),
        style.time(release.created),
        or_dash(&versions(release)),
        release.by.clone(),
        or_dash(release.git_commit.as_deref().map_or("", |commit| commit.get(..8).unwrap_or(commit))),
        or_dash(release.backup.as_ref().map_or("", |backup| backup.short())),
        or_dash(&release.proof.as_ref().map_or_else(String::new, |proof| proven(proof, style))),
        message(release),
    ]
}

/// Where it was promoted from, and what was said of it.
fn message(release: &ReleaseInfo) -> String {
    let from = release.promoted.as_ref().map(|from| match &from.host {
        None => format!("promoted from {from}"),
        Some(host) => format!("promoted from {from} on {host}, as the client said"),
    });
    from.into_iter().chain(release.message.clone()).collect::<Vec<_>>().join(": ")
}

/// One front end: its version; several: `mobile/app.json 1.0.2, …`.
pub(super) fn versions(release: &ReleaseInfo) -> String {
    let mut all = release.versions.iter();
    match (all.next(), release.versions.len()) {
        (Some((_, version)), 1) => version.clone(),
        _ => release
            .versions
            .iter()
            .map(|(file, version)| format!("{file} {version}"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// Newest first, as they come.
pub fn jobs(jobs: &[JobInfo], style: &Style) -> String {
    let row = |job: &JobInfo| {
        vec![
            job.job.to_string(),
            job.app.to_string(),
            job_kind(&job.kind),
            style.time(job.started),
            job.finished.map_or("running".into(), |finished| {
                let seconds = finished.duration_since(job.started).as_secs();
                super::duration(std::time::Duration::from_secs(seconds.max(0).unsigned_abs()))
            }),
            job.by.clone(),
            job.outcome.as_ref().map_or(String::new(), outcome),
        ]
    };
    let rows: Vec<Vec<String>> = jobs.iter().map(row).collect();
    table(&["JOB", "APP", "WHAT", "STARTED", "TOOK", "BY", "OUTCOME"], &rows, style)
}

/// `deploy v3`, `rollback v3 to v2`.
pub(super) fn job_kind(kind: &JobKind) -> String {
    match kind {
        JobKind::Deploy { release } => format!("deploy {release}"),
        JobKind::Rollback { from, to } => format!("rollback {from} to {to}"),
        JobKind::Backup => "backup".to_owned(),
        JobKind::Restore { backup } => format!("restore {}", backup.short()),
        JobKind::Drill { backup } => format!("verify {}", backup.short()),
        JobKind::Prune => "prune backups".to_owned(),
        JobKind::PruneDocker => "prune".to_owned(),
        JobKind::Restart { services } => format!("restart {}", services.join(" ")).trim_end().to_owned(),
        JobKind::Scale { services } => format!("scale {}", services.join(" ")),
        JobKind::MigrateUp => "migrate up".to_owned(),
        JobKind::MigrateDown { names } => format!("migrate down {}", names.join(" ")),
        JobKind::Forget => "forget".to_owned(),
        JobKind::Unknown => "something newer".to_owned(),
    }
}

pub(super) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Released { release } => format!("{release} live"),
        Outcome::Failed { failure } => format!("failed, nothing changed: {}", failure.message),
        Outcome::PutBack { failure, .. } => format!("failed, put back: {}", failure.message),
        Outcome::NotPutBack { failure, .. } => format!("failed, NOT put back: {}", failure.message),
        Outcome::Done { summary } => summary.clone(),
        Outcome::Postponed { failure } => format!("postponed: {}", failure.message),
        Outcome::Unknown => "something newer; upgrade wharf".to_owned(),
    }
}

/// Each app with its containers.
pub fn status(apps: &[AppStatus], style: &Style) -> String {
    let mut out = String::new();
    for app in apps {
        if !out.is_empty() {
            out.push('\n');
        }
        out += &app_status(app, style);
    }
    out
}

fn app_status(app: &AppStatus, style: &Style) -> String {
    let live = match &app.live {
        Some(live) if live.versions.is_empty() => {
            format!("{} since {}", live.release, style.time(live.created))
        }
        Some(live) => format!("{} ({}) since {}", live.release, versions(live), style.time(live.created)),
        None => "nothing is live".to_owned(),
    };
    let mut out = format!("{}  {}\n", style.bold(app.app.as_str()), clean(&live));
    out += &format!("  path         {}\n", clean(&app.path));
    out += &format!("  project      {}\n", clean(&app.project));
    out += &format!("  last backup  {}\n", last_backup(app, style));
    if let Some(drill) = &app.last_drill {
        out += &format!("  last drill   backup {}: {}\n", drill.backup.short(), proven(&drill.proof, style));
    }
    if let Some(schedule) = &app.schedule {
        out += &format!("  schedule     {}\n", clean(&when(schedule, style)));
    }
    if let Some(disk) = &app.disk {
        out += &format!("  disk         {}\n", free(disk));
    }
    for certificate in &app.certificates {
        out += &format!("  certificate  {}\n", clean(&self::certificate(certificate, style)));
    }
    if let Some(job) = app.job {
        out += &format!("  running      job {job}: `wharf deploy --attach {job}` shows it\n");
    }
    if let Some(lock) = &app.lock {
        out += &format!(
            "  {}       {}; `wharf unlock` lifts it\n",
            style.yellow("locked"),
            locked(lock, style).trim_start_matches("locked ")
        );
    }
    for warning in &app.warnings {
        out += &format!("  {} {}\n", style.yellow("warning:"), clean(warning));
    }
    if !app.containers.is_empty() || !app.scaled_to_zero.is_empty() {
        let none = app.scaled_to_zero.iter().map(|service| none_row(service));
        let rows: Vec<Vec<String>> = app.containers.iter().map(container_row).chain(none).collect();
        let containers =
            table(&["SERVICE", "STATE", "HEALTH", "RESTARTS", "MEMORY", "IMAGE", "CONTAINER"], &rows, style);
        out += &containers.lines().map(|line| format!("  {line}\n")).collect::<String>();
    }
    out
}

/// `shop.example: 58 days left, until 2027-01-20 13:00`.
pub(super) fn certificate(certificate: &CertificateFacts, style: &Style) -> String {
    let host = &certificate.host;
    match (certificate.expires, certificate.days_left) {
        (Some(expires), Some(days @ 0..)) => {
            format!("{host}: {days} days left, until {}", style.time(expires))
        }
        (Some(expires), _) => format!("{host}: EXPIRED at {}", style.time(expires)),
        (None, _) => format!("{host}: not known, {}", certificate.why_unknown()),
    }
}

/// `locked by ada@laptop (key ada) since …: sale`.
pub fn locked(lock: &DeployLock, style: &Style) -> String {
    let reason = lock.reason.as_ref().map(|reason| format!(": {reason}"));
    clean(&format!("locked by {} since {}{}", lock.by, style.time(lock.at), reason.unwrap_or_default()))
}

pub(super) fn last_backup(app: &AppStatus, style: &Style) -> String {
    let Some(at) = app.last_backup else { return "none".to_owned() };
    let proof = app.last_backup_proof.as_ref().map(|proof| format!(", {}", proven(proof, style)));
    format!("{}{}", style.time(at), proof.unwrap_or_default())
}

pub(super) fn when(schedule: &ScheduleStatus, style: &Style) -> String {
    let ScheduleStatus { schedule, timezone, on, next } = schedule;
    match next.filter(|_| *on) {
        Some(next) => format!("{schedule} ({timezone}), next {}", style.time(next)),
        None => format!("{schedule} ({timezone}), NOT ON"),
    }
}

fn container_row(container: &ContainerStatus) -> Vec<String> {
    vec![
        container.service.clone(),
        container.state.clone(),
        or_dash(container.health.as_deref().unwrap_or_default()),
        container.restarts.to_string(),
        or_dash(&memory(container)),
        container.image.clone(),
        container.name.clone(),
    ]
}

/// What is said in place of the state of a service that is to have no container.
pub(super) const SCALED_TO_ZERO: &str = "scaled to 0";

fn none_row(service: &str) -> Vec<String> {
    let mut row = vec![service.to_owned(), SCALED_TO_ZERO.to_owned()];
    row.resize(7, "-".to_owned());
    row
}

/// `48.2 MB`, `48.2 MB of 512.0 MB (9 %)`; empty where it does not run.
pub(super) fn memory(container: &ContainerStatus) -> String {
    match (container.memory_bytes, container.memory_limit_bytes) {
        (Some(used), Some(limit)) => {
            let percent = used.saturating_mul(100) / limit.max(1);
            format!("{} of {} ({percent} %)", bytes(used), bytes(limit))
        }
        (Some(used), None) => bytes(used),
        (None, _) => String::new(),
    }
}

/// `12.3 GB free of 40.0 GB`.
pub(super) fn free(disk: &DiskSpace) -> String {
    format!("{} free of {}", bytes(disk.free_bytes), bytes(disk.size_bytes))
}

/// Oldest last, as they come.
pub fn audit(entries: &[AuditEntry], style: &Style) -> String {
    let row = |entry: &AuditEntry| {
        vec![
            style.time(entry.at),
            entry.app.as_ref().map_or("-".into(), ToString::to_string),
            entry.by.clone(),
            entry.from.clone(),
            entry.action.clone(),
            entry.outcome.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    table(&["WHEN", "APP", "BY", "FROM", "ACTION", "OUTCOME"], &rows, style)
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}
