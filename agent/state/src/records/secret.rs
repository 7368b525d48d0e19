//! With which values of its env file a release went live: digests, never values.

use super::column;
use crate::{State, StateError};
use rusqlite::params;
use std::collections::BTreeMap;
use wharf_proto::{AppName, ReleaseId};

impl State {
    /// Records the digests of a release's values, by key; the newest record counts.
    pub async fn record_release_secrets(
        &self,
        app: &AppName,
        release: ReleaseId,
        digests: BTreeMap<String, String>,
    ) -> Result<(), StateError> {
        let app = app.clone();
        self.transaction("record a release's secrets", move |db| {
            db.execute(
                "INSERT INTO release_secrets (app, release, secrets) VALUES (?1, ?2, ?3)
                 ON CONFLICT (app, release) DO UPDATE SET secrets = excluded.secrets",
                params![app.as_str(), release.0, column::to_json("secrets", &digests)?],
            )?;
            // Those of releases that are not listed any more.
            db.execute(
                "DELETE FROM release_secrets WHERE app = ?1 AND release <> ?2
                     AND release NOT IN (SELECT number FROM releases WHERE app = ?1)",
                params![app.as_str(), release.0],
            )?;
            Ok(())
        })
        .await
    }

    /// The digests of each listed release, newest release first.
    pub async fn release_secrets(
        &self,
        app: &AppName,
    ) -> Result<Vec<(ReleaseId, BTreeMap<String, String>)>, StateError> {
        let app = app.clone();
        self.transaction("read the releases' secrets", move |db| {
            let mut select = db.prepare_cached(
                "SELECT s.release, s.secrets FROM release_secrets s
                 JOIN releases r ON r.app = s.app AND r.number = s.release
                 WHERE s.app = ?1 ORDER BY s.release DESC",
            )?;
            let read =
                |row: &rusqlite::Row<'_>| Ok((ReleaseId(row.get("release")?), column::json(row, "secrets")?));
            select.query_and_then([app.as_str()], read)?.collect()
        })
        .await
    }
}
