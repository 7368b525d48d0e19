//! Backups as a table.

use super::{Style, bytes, table::table};
use wharf_proto::backup::{BackupInfo, DatabaseInfo, Proof, PrunePlan, VolumeInfo};
use wharf_proto::database::DatabaseKind;
use wharf_proto::spec::VolumeMode;

/// Newest first, as they come.
pub fn backups(backups: &[BackupInfo], style: &Style) -> String {
    let rows: Vec<Vec<String>> = backups.iter().map(|backup| row(backup, style)).collect();
    table(&["BACKUP", "WHEN", "FOR", "FILES", "SIZE", "DATA", "PROOF", "MESSAGE"], &rows, style)
}

fn row(backup: &BackupInfo, style: &Style) -> Vec<String> {
    let made_for = match (backup.before, backup.release) {
        (Some(before), _) => format!("before {before}"),
        (None, Some(live)) => format!("{live} live"),
        (None, None) => "-".to_owned(),
    };
    let data = backup.databases.iter().map(database);
    let data: Vec<String> = data.chain(backup.volumes.iter().map(volume)).collect();
    vec![
        backup.id.short().to_owned(),
        style.time(backup.time),
        made_for,
        backup.files.to_string(),
        bytes(backup.size_bytes),
        if data.is_empty() { "-".to_owned() } else { data.join(", ") },
        if backup.checked { proven(&backup.proof, style) } else { "unchecked".to_owned() },
        message(backup),
    ]
}

/// What each of them holds, a line for each.
pub fn contents(backups: &[BackupInfo]) -> String {
    let mut text = String::new();
    for backup in backups {
        let id = backup.id.short();
        for database in &backup.databases {
            let DatabaseInfo { service, kind, database, size_bytes, tables, rows } = database;
            let size = bytes(*size_bytes);
            text += &match kind {
                DatabaseKind::Redis => format!("{id}  Redis {service}: {size}, {rows} keys\n"),
                DatabaseKind::Commands if *tables == 0 => {
                    format!("{id}  database {service}/{database}: {size}, nothing counted\n")
                }
                _ => format!("{id}  database {service}/{database}: {size}, {rows} rows in {tables} tables\n"),
            };
        }
        if !backup.copies.is_empty() {
            text += &format!("{id}  copied to {}\n", backup.copies.join(", "));
        }
        for volume in &backup.volumes {
            let kind = if volume.volume.is_some() { "volume" } else { "folder" };
            let how = match volume.mode {
                VolumeMode::Live => "live",
                VolumeMode::Pause => "paused",
                VolumeMode::Stop => "stopped",
            };
            let VolumeInfo { label, volume, path, files, size_bytes, sqlite, .. } = volume;
            let place = volume.as_ref().unwrap_or(path);
            let sqlite = if *sqlite > 0 { format!(", {sqlite} SQLite") } else { String::new() };
            let size = bytes(*size_bytes);
            text += &format!("{id}  {kind} {label}: {size}, {files} files{sqlite}, {how} ({place})\n");
        }
    }
    text
}

fn volume(volume: &VolumeInfo) -> String {
    let files = if volume.files == 1 { "file" } else { "files" };
    format!("{} ({} {files})", volume.label, volume.files)
}

fn database(database: &DatabaseInfo) -> String {
    if database.kind == DatabaseKind::Commands && database.tables == 0 {
        return format!("{}/{}", database.service, database.database);
    }
    let rows = if database.rows == 1 { "row" } else { "rows" };
    format!("{}/{} ({} {rows})", database.service, database.database, database.rows)
}

fn message(backup: &BackupInfo) -> String {
    let message = backup.message.as_deref().unwrap_or_default();
    if backup.pinned { format!("[pinned] {message}").trim_end().to_owned() } else { message.to_owned() }
}

/// What retention would do next: what goes first, since that is what is asked about.
pub fn prune_plan(plan: &PrunePlan, style: &Style) -> String {
    let row = |backup: &wharf_proto::backup::Retained, what: &str| {
        vec![
            what.to_owned(),
            backup.backup.short().to_owned(),
            style.time(backup.time),
            backup.why.join(", "),
        ]
    };
    let forget = plan.forget.iter().map(|backup| row(backup, "forget"));
    let keep = plan.keep.iter().map(|backup| row(backup, "keep"));
    let rows: Vec<Vec<String>> = forget.chain(keep).collect();
    table(&["", "BACKUP", "WHEN", "WHY"], &rows, style)
}

/// Whether a drill has restored a backup, in a word and a time.
pub fn proven(proof: &Proof, style: &Style) -> String {
    match proof {
        Proof::Proven { at } => format!("proven {}", style.time(*at)),
        Proof::Failed { at, .. } => format!("FAILED {}", style.time(*at)),
        Proof::Unproven | Proof::Unknown => "unproven".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_proto::{BackupId, ReleaseId};

    #[test]
    fn each_state_of_proof_is_told() {
        let at = "2026-01-03T04:00:00Z".parse().unwrap();
        let backup = |proof, checked: bool| BackupInfo {
            id: BackupId("5d6a1c0be4b1f0a9".into()),
            time: "2026-01-02T03:04:30Z".parse().unwrap(),
            release: Some(ReleaseId(3)),
            before: checked.then_some(ReleaseId(4)),
            files: 12,
            size_bytes: 1_234_567,
            databases: vec![DatabaseInfo {
                service: "db".into(),
                database: "app".into(),
                size_bytes: 1_000_000,
                tables: 7,
                rows: 12_345,
                kind: DatabaseKind::Postgres,
            }]
            .into_iter()
            .chain(checked.then(|| DatabaseInfo {
                service: "docs".into(),
                database: "docs".into(),
                size_bytes: 2_000,
                tables: 0,
                rows: 0,
                kind: DatabaseKind::Commands,
            }))
            .collect(),
            volumes: if checked {
                vec![VolumeInfo {
                    label: "uploads".into(),
                    volume: None,
                    path: "/srv/app/uploads".into(),
                    mode: VolumeMode::Live,
                    files: 7,
                    size_bytes: 7_000,
                    sqlite: 1,
                }]
            } else {
                vec![]
            },
            message: (!checked).then(|| "before the move".to_owned()),
            pinned: !checked,
            checked,
            proof,
            copies: if checked { vec!["nas".into(), "bucket".into()] } else { vec![] },
        };
        let all = [
            backup(Proof::Proven { at }, true),
            backup(Proof::Failed { at, why: "public.a: it had 2 rows".into() }, true),
            backup(Proof::Unproven, true),
            backup(Proof::Unproven, false),
        ];
        insta::assert_snapshot!(backups(&all, &Style::plain()) + &contents(&all[..1]));
    }
}
