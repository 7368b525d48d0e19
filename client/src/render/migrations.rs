//! How folders of migrations stand, as tables.

use super::{Style, clean, table::table};
use wharf_proto::migration::{MigrationFolder, MigrationInfo, MigrationState};

/// One table a folder, by name.
pub fn migrations(folders: &[MigrationFolder], style: &Style) -> String {
    folders.iter().map(|folder| one(folder, style)).collect::<Vec<_>>().join("\n")
}

fn one(folder: &MigrationFolder, style: &Style) -> String {
    let database = folder.database.as_deref().map(|name| format!("/{name}")).unwrap_or_default();
    let title = format!("{} in {}{database} (table {})", folder.folder, folder.service, folder.table);
    let mut out = format!("{}\n", style.bold(&clean(&title)));
    if let Some(problem) = &folder.problem {
        return out + &format!("{} {}\n", style.red("unknown:"), clean(problem));
    }
    let rows: Vec<Vec<String>> = folder.migrations.iter().map(|one| row(one, style)).collect();
    out += &table(&["MIGRATION", "STATE", "APPLIED", "BY", "WAY BACK"], &rows, style);
    for one in &folder.migrations {
        if let Some(text) = advice(one, &folder.table) {
            out += &format!("{} {}\n", style.yellow("note:"), clean(&text));
        }
    }
    out
}

fn row(one: &MigrationInfo, style: &Style) -> Vec<String> {
    let state = match one.state {
        MigrationState::Applied => "applied",
        MigrationState::Pending => "pending",
        MigrationState::Edited => "edited",
        MigrationState::Unfinished => "unfinished",
        MigrationState::Missing => "missing",
        MigrationState::Unknown => "?",
    };
    vec![
        one.name.clone(),
        state.to_owned(),
        one.applied.map_or_else(|| "-".to_owned(), |at| style.time(at)),
        one.release.clone().unwrap_or_else(|| "-".to_owned()),
        if one.has_way_back { "yes" } else { "-" }.to_owned(),
    ]
}

fn advice(one: &MigrationInfo, table: &str) -> Option<String> {
    let name = &one.name;
    match one.state {
        MigrationState::Edited => Some(format!(
            "{name} was edited after it was applied: put the file back, and write the change as a new migration"
        )),
        MigrationState::Unfinished => Some(format!(
            "nobody knows how far {name} came. Bring the database by hand (wharf db console) to where the file begins or ends; \
             then either DELETE FROM {table} WHERE name = '{name}' or UPDATE {table} SET applied_at = now() WHERE name = '{name}'"
        )),
        MigrationState::Missing => Some(format!("{name} is applied, and the live release does not have it")),
        MigrationState::Applied | MigrationState::Pending | MigrationState::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state() {
        let one = |name: &str, state, applied: bool| MigrationInfo {
            name: name.into(),
            state,
            applied: applied.then(|| "2026-01-02T03:04:05Z".parse().unwrap()),
            release: applied.then(|| "v3".to_owned()),
            has_way_back: applied,
        };
        let folder = |database: Option<&str>, migrations, problem| MigrationFolder {
            service: "db".into(),
            database: database.map(str::to_owned),
            folder: "backend/migrations".parse().unwrap(),
            table: "schema_migrations".into(),
            migrations,
            problem,
        };
        let all = vec![
            one("0001_users.sql", MigrationState::Applied, true),
            one("0002_notes.sql", MigrationState::Edited, true),
            one("0003_index.sql", MigrationState::Unfinished, false),
            one("0004_other.sql", MigrationState::Missing, true),
            one("0005_next.sql", MigrationState::Pending, false),
        ];
        let folders = [folder(Some("app"), all, None), folder(None, vec![], Some("db does not run".into()))];
        insta::assert_snapshot!(migrations(&folders, &Style::plain()));
    }
}
