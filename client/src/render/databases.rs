//! How databases are.

use super::{Style, bytes, clean, table::table};
use wharf_proto::database::DatabaseStatus;

/// One paragraph a database.
pub fn databases(databases: &[DatabaseStatus], style: &Style) -> String {
    databases.iter().map(|database| one(database, style)).collect::<Vec<_>>().join("\n")
}

fn one(database: &DatabaseStatus, style: &Style) -> String {
    let title = style.bold(&clean(&format!("{}/{}", database.service, database.database)));
    if let Some(problem) = &database.problem {
        return format!("{title}  {}\n", style.red(&clean(problem)));
    }
    let mut out = format!(
        "{title}  PostgreSQL {}  {}  {} of {} connections\n",
        clean(&database.version),
        bytes(database.size_bytes),
        database.connections,
        database.max_connections
    );
    let seconds = |seconds: u64| format!("{seconds} s");
    if !database.slow.is_empty() {
        let row = |slow: &wharf_proto::database::SlowQuery| {
            let waits = slow.waits_for.clone().unwrap_or_else(|| "-".to_owned());
            let (user, state) = (slow.user.clone(), slow.state.clone());
            vec![slow.pid.to_string(), user, seconds(slow.seconds), state, slow.command.clone(), waits]
        };
        let rows: Vec<_> = database.slow.iter().map(row).collect();
        out += &table(&["SLOW", "USER", "FOR", "STATE", "QUERY", "WAITS FOR"], &rows, style);
    }
    if !database.blocked.is_empty() {
        let row = |blocked: &wharf_proto::database::Blocked| {
            let by: Vec<String> = blocked.by.iter().map(u32::to_string).collect();
            vec![blocked.pid.to_string(), by.join(", "), seconds(blocked.seconds), blocked.command.clone()]
        };
        let rows: Vec<_> = database.blocked.iter().map(row).collect();
        out += &table(&["BLOCKED", "BY", "FOR", "QUERY"], &rows, style);
    }
    if !database.tables.is_empty() {
        let row = |table: &wharf_proto::database::TableSize| {
            vec![table.table.clone(), bytes(table.size_bytes), table.rows.to_string()]
        };
        let rows: Vec<_> = database.tables.iter().map(row).collect();
        out += &table(&["TABLE", "SIZE", "ROWS (ABOUT)"], &rows, style);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_proto::database::{Blocked, SlowQuery, TableSize};

    #[test]
    fn a_busy_database_and_one_that_is_away() {
        let busy = DatabaseStatus {
            service: "db".into(),
            database: "fitness".into(),
            version: "17.2".into(),
            size_bytes: 8_123_456,
            connections: 7,
            max_connections: 100,
            slow: vec![SlowQuery {
                pid: 41,
                user: "fitness".into(),
                seconds: 12,
                state: "active".into(),
                waits_for: Some("Lock: relation".into()),
                command: "UPDATE".into(),
            }],
            blocked: vec![Blocked { pid: 41, by: vec![40, 39], seconds: 12, command: "UPDATE".into() }],
            tables: vec![TableSize { table: "public.workouts".into(), size_bytes: 65_536, rows: 12 }],
            problem: None,
        };
        let away = DatabaseStatus {
            service: "other".into(),
            problem: Some("its container does not run".into()),
            ..DatabaseStatus::default()
        };
        insta::assert_snapshot!(databases(&[busy, away], &Style::plain()));
    }
}
