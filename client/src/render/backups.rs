//! Backups as a table.

use super::{Style, bytes, table::table};
use wharf_proto::backup::{BackupInfo, DatabaseInfo, Proof};

/// Newest first, as they come.
pub fn backups(backups: &[BackupInfo], style: &Style) -> String {
    let rows: Vec<Vec<String>> = backups.iter().map(|backup| row(backup, style)).collect();
    table(&["BACKUP", "WHEN", "FOR", "FILES", "SIZE", "DATABASES", "PROOF", "MESSAGE"], &rows, style)
}

fn row(backup: &BackupInfo, style: &Style) -> Vec<String> {
    let made_for = match (backup.before, backup.release) {
        (Some(before), _) => format!("before {before}"),
        (None, Some(live)) => format!("{live} live"),
        (None, None) => "-".to_owned(),
    };
    let databases: Vec<String> = backup.databases.iter().map(database).collect();
    vec![
        backup.id.short().to_owned(),
        style.time(backup.time),
        made_for,
        backup.files.to_string(),
        bytes(backup.size_bytes),
        if databases.is_empty() { "-".to_owned() } else { databases.join(", ") },
        proof(backup, style),
        backup.message.clone().unwrap_or_default(),
    ]
}

fn database(database: &DatabaseInfo) -> String {
    let rows = if database.rows == 1 { "row" } else { "rows" };
    format!("{}/{} ({} {rows})", database.service, database.database, database.rows)
}

fn proof(backup: &BackupInfo, style: &Style) -> String {
    match &backup.proof {
        Proof::Proven { at } => format!("proven {}", style.time(*at)),
        Proof::Failed { at, .. } => format!("FAILED {}", style.time(*at)),
        Proof::Unproven if !backup.checked => "unchecked".to_owned(),
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
            }],
            message: (!checked).then(|| "before the move".to_owned()),
            checked,
            proof,
        };
        let all = [
            backup(Proof::Proven { at }, true),
            backup(Proof::Failed { at, why: "public.a: it had 2 rows".into() }, true),
            backup(Proof::Unproven, true),
            backup(Proof::Unproven, false),
        ];
        insta::assert_snapshot!(backups(&all, &Style::plain()));
    }
}
