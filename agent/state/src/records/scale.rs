//! What was set for an app's services beside the Compose files.

use super::column;
use crate::{State, StateError};
use rusqlite::params;
use wharf_proto::AppName;
use wharf_proto::operate::ServiceScale;

impl State {
    /// Sets it, in place of all that was set before.
    pub async fn set_scales(&self, app: &AppName, scales: Vec<ServiceScale>) -> Result<(), StateError> {
        let app = app.clone();
        self.transaction("record how services are scaled", move |db| {
            db.execute(
                "INSERT INTO scales (app, scales) VALUES (?1, ?2)
                 ON CONFLICT (app) DO UPDATE SET scales = excluded.scales",
                params![app.as_str(), column::to_json("scales", &scales)?],
            )?;
            Ok(())
        })
        .await
    }

    /// By service.
    pub async fn scales(&self, app: &AppName) -> Result<Vec<ServiceScale>, StateError> {
        let app = app.clone();
        self.transaction("read how services are scaled", move |db| {
            let mut select = db.prepare_cached("SELECT scales FROM scales WHERE app = ?1")?;
            let read = |row: &rusqlite::Row<'_>| column::json(row, "scales");
            let mut found = select.query_and_then([app.as_str()], read)?;
            found.next().unwrap_or_else(|| Ok(Vec::new()))
        })
        .await
    }
}
