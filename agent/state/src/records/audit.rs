//! The audit: who did what. The database itself refuses to change or delete an entry.

use super::column;
use crate::{State, StateError};
use rusqlite::{Row, params};
use wharf_proto::AppName;
use wharf_proto::release::AuditEntry;

impl State {
    /// Appends an entry.
    pub async fn audit(&self, entry: AuditEntry) -> Result<(), StateError> {
        self.transaction("write the audit", move |db| {
            db.execute(
                "INSERT INTO audit (at, app, by, \"from\", action, outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    entry.at.to_string(),
                    entry.app.as_ref().map(AppName::as_str),
                    entry.by,
                    entry.from,
                    entry.action,
                    entry.outcome,
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// The last entries of an app, or of all, newest first.
    pub async fn audits(&self, app: Option<&AppName>, limit: u32) -> Result<Vec<AuditEntry>, StateError> {
        let app = app.cloned();
        self.transaction("read the audit", move |db| {
            let mut select = db.prepare_cached(
                "SELECT * FROM audit WHERE ?1 IS NULL OR app = ?1 ORDER BY id DESC LIMIT ?2",
            )?;
            select.query_and_then(params![app.as_ref().map(AppName::as_str), limit], read)?.collect()
        })
        .await
    }
}

fn read(row: &Row<'_>) -> Result<AuditEntry, StateError> {
    Ok(AuditEntry {
        at: column::text(row, "at")?,
        app: column::optional_text(row, "app")?,
        by: row.get("by")?,
        from: row.get("from")?,
        action: row.get("action")?,
        outcome: row.get("outcome")?,
    })
}
