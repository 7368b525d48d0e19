//! Which shape an app's databases had when a release went live.

use crate::{State, StateError};
use rusqlite::{OptionalExtension, params};
use wharf_proto::{AppName, ReleaseId};

impl State {
    /// Records the shape; the newest record counts.
    pub async fn record_release_schema(
        &self,
        app: &AppName,
        release: ReleaseId,
        shape: String,
    ) -> Result<(), StateError> {
        let app = app.clone();
        self.transaction("record a release's schema", move |db| {
            db.execute(
                "INSERT INTO release_schemas (app, release, shape) VALUES (?1, ?2, ?3)
                 ON CONFLICT (app, release) DO UPDATE SET shape = excluded.shape",
                params![app.as_str(), release.0, shape],
            )?;
            // Those of releases that are not listed any more.
            db.execute(
                "DELETE FROM release_schemas WHERE app = ?1 AND release <> ?2
                     AND release NOT IN (SELECT number FROM releases WHERE app = ?1)",
                params![app.as_str(), release.0],
            )?;
            Ok(())
        })
        .await
    }

    /// The shape, where it could be told then.
    pub async fn release_schema(
        &self,
        app: &AppName,
        release: ReleaseId,
    ) -> Result<Option<String>, StateError> {
        let app = app.clone();
        self.transaction("read a release's schema", move |db| {
            let select = "SELECT shape FROM release_schemas WHERE app = ?1 AND release = ?2";
            Ok(db.query_row(select, params![app.as_str(), release.0], |row| row.get(0)).optional()?)
        })
        .await
    }
}
