//! How an app is.

use super::markdown::{facts, list, or_none, table, text};
use super::{as_of, containers, live};
use crate::render::{Style, backups::proven, bytes, tables};
use jiff::Timestamp;
use wharf_proto::backup::{BackupInfo, Proof};
use wharf_proto::release::{AppStatus, ContainerStatus, ReleaseInfo};

/// The most releases and backups that are listed.
const LISTED: usize = 10;

pub struct HealthFacts<'a> {
    pub at: Timestamp,
    pub app: &'a AppStatus,
    /// Newest first.
    pub releases: &'a [ReleaseInfo],
    /// Newest first.
    pub backups: &'a [BackupInfo],
    pub key_saved: bool,
}

pub fn health(facts_: &HealthFacts<'_>, style: &Style) -> String {
    let HealthFacts { at, app, releases, backups, key_saved } = facts_;
    let mut out = format!("# Health of {}\n\nAs of {}.\n\n", text(app.app.as_str()), as_of(*at, style));
    out += &facts(&[
        ("Live", live(app, style)),
        ("Containers", in_short(&app.containers)),
        ("Warnings", app.warnings.len().to_string()),
        ("Job that runs now", app.job.map(|job| job.to_string()).unwrap_or_default()),
        ("Last backup", tables::last_backup(app, style)),
        ("Last drill", last_drill(app, style)),
        ("Backup schedule", app.schedule.as_ref().map_or("none".into(), |s| tables::when(s, style))),
        ("Recovery key", if *key_saved { "saved" } else { "NOT saved: run `wharf backup key`" }.to_owned()),
        ("Certificates", certificates(app, style)),
        ("Disk", app.disk.as_ref().map(tables::free).unwrap_or_default()),
    ]);
    out += &format!("\n## Warnings\n\n{}", or_none(list(app.warnings.iter().map(String::as_str))));
    out += &format!("\n## Containers\n\n{}", containers(app));
    out += &format!("\n## Releases\n\n{}", newest(releases.len(), releases_table(releases, style)));
    let proven = backups.iter().filter(|backup| matches!(backup.proof, Proof::Proven { .. })).count();
    out += &format!("\n## Backups\n\n{} in all, {proven} proven by a drill.\n\n", backups.len());
    out + &newest(backups.len(), backups_table(backups, style))
}

fn in_short(containers: &[ContainerStatus]) -> String {
    let count = |wanted: fn(&ContainerStatus) -> bool| containers.iter().filter(|c| wanted(c)).count();
    let running = count(|container| container.state == "running");
    let unhealthy = count(|container| container.health.as_deref() == Some("unhealthy"));
    let restarts: u64 = containers.iter().map(|container| container.restarts).sum();
    format!("{running} of {} run, {unhealthy} unhealthy, {restarts} restarts by the engine", containers.len())
}

fn certificates(app: &AppStatus, style: &Style) -> String {
    let each = app.certificates.iter().map(|certificate| tables::certificate(certificate, style));
    each.collect::<Vec<_>>().join("; ")
}

fn last_drill(app: &AppStatus, style: &Style) -> String {
    let Some(drill) = &app.last_drill else { return "none".to_owned() };
    let why = match &drill.proof {
        Proof::Failed { why, .. } => format!(": {why}"),
        _ => String::new(),
    };
    format!("backup {}, {}{why}", drill.backup.short(), proven(&drill.proof, style))
}

fn releases_table(releases: &[ReleaseInfo], style: &Style) -> String {
    let row = |release: &ReleaseInfo| {
        vec![
            format!("{}{}", release.release, if release.live { " (live)" } else { "" }),
            style.time(release.created),
            tables::versions(release),
            release.by.clone(),
            release.backup.as_ref().map(|backup| backup.short().to_owned()).unwrap_or_default(),
            release.message.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = releases.iter().take(LISTED).map(row).collect();
    table(&["Release", "When", "Versions", "By", "Backup before", "Message"], &rows)
}

fn backups_table(backups: &[BackupInfo], style: &Style) -> String {
    let row = |backup: &BackupInfo| {
        vec![
            backup.id.short().to_owned(),
            style.time(backup.time),
            bytes(backup.size_bytes),
            backup.databases.len().to_string(),
            backup.volumes.len().to_string(),
            if backup.checked { proven(&backup.proof, style) } else { "unchecked".to_owned() },
        ]
    };
    let rows: Vec<Vec<String>> = backups.iter().take(LISTED).map(row).collect();
    table(&["Backup", "When", "Size", "Databases", "Volumes", "Proof"], &rows)
}

fn newest(count: usize, table: String) -> String {
    let more = count.saturating_sub(LISTED);
    if more > 0 { format!("{table}\n{more} older ones are not listed.\n") } else { or_none(table) }
}
