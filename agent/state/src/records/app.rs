//! Apps, the volumes that are theirs, and the versions that were ever started.

use super::{column, job};
use crate::{PhaseEvent, State, StateError};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::{BTreeMap, BTreeSet};
use wharf_proto::{AppName, AppSpec, JobId, ReleaseId};

/// An app of this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRecord {
    pub app: AppName,
    /// The app directory.
    pub path: String,
    /// Compose's project name.
    pub project: String,
    /// The release that serves. [`State::upsert_app`] leaves it as it is.
    pub live: Option<ReleaseId>,
    /// As the last deploy described it.
    pub spec: AppSpec,
}

impl State {
    pub async fn app(&self, app: &AppName) -> Result<Option<AppRecord>, StateError> {
        let app = app.clone();
        self.transaction("read an app", move |db| find(db, &app)).await
    }

    /// All apps, by name.
    pub async fn apps(&self) -> Result<Vec<AppRecord>, StateError> {
        self.transaction("list the apps", |db| {
            let mut select = db.prepare_cached("SELECT * FROM apps ORDER BY name")?;
            select.query_and_then([], read)?.collect()
        })
        .await
    }

    /// Adds the app or changes it, but for what is live: that changes with a commit, an adoption, or
    /// [`State::set_live`].
    pub async fn upsert_app(&self, record: AppRecord) -> Result<(), StateError> {
        self.transaction("record an app", move |db| upsert(db, &record)).await
    }

    /// Says which release serves; it must be recorded.
    ///
    /// # Errors
    /// An app or release that is not recorded.
    pub async fn set_live(&self, app: &AppName, live: Option<ReleaseId>) -> Result<(), StateError> {
        let app = app.clone();
        self.transaction("record what is live", move |db| set_live(db, &app, live)).await
    }

    /// Forgets an app with its releases, its lock, what was set for it and its volumes' names, and the job that does so is
    /// [`crate::Phase::Committed`], all or nothing; nothing of the app on the server is touched. Its jobs, backups, used
    /// release numbers and highest versions stay known.
    ///
    /// # Errors
    /// An app that is not known; a job that has begun to change something.
    pub async fn forget_app(&self, app: &AppName, job: JobId) -> Result<(), StateError> {
        let app = app.clone();
        self.transaction("forget an app", move |db| {
            job::advance(db, job, PhaseEvent::Change)?;
            job::advance(db, job, PhaseEvent::Commit)?;
            for table in ["scales", "chores", "release_secrets", "release_schemas"] {
                db.execute(&format!("DELETE FROM {table} WHERE app = ?1"), [app.as_str()])?;
            }
            // The numbers stay used up, also where the counter never gave them out.
            db.execute(
                "INSERT INTO release_numbers (app, last) SELECT app, max(number) FROM releases WHERE app = ?1 GROUP BY app
                 ON CONFLICT (app) DO UPDATE SET last = max(last, excluded.last)",
                [app.as_str()],
            )?;
            db.execute("UPDATE apps SET live = NULL WHERE name = ?1", [app.as_str()])?;
            match db.execute("DELETE FROM apps WHERE name = ?1", [app.as_str()])? {
                0 => Err(StateError::NoSuchApp(app)),
                _ => Ok(()),
            }
        })
        .await
    }

    /// The volumes that the app knows as its own, by name.
    pub async fn volumes(&self, app: &AppName) -> Result<BTreeSet<String>, StateError> {
        let app = app.clone();
        self.transaction("list an app's volumes", move |db| {
            let mut select = db.prepare_cached("SELECT name FROM volumes WHERE app = ?1")?;
            Ok(select.query_map([app.as_str()], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Records volumes as the app's own; known ones stay.
    pub async fn add_volumes(
        &self,
        app: &AppName,
        names: impl IntoIterator<Item = String> + Send,
    ) -> Result<(), StateError> {
        let (app, names): (_, Vec<String>) = (app.clone(), names.into_iter().collect());
        self.transaction("record an app's volumes", move |db| {
            require(db, &app)?;
            for name in names {
                let insert = "INSERT INTO volumes (app, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
                db.execute(insert, params![app.as_str(), name])?;
            }
            Ok(())
        })
        .await
    }

    /// The versions of an app's front ends that were recorded last, by file.
    pub async fn highest_versions(&self, app: &AppName) -> Result<BTreeMap<String, String>, StateError> {
        let app = app.clone();
        self.transaction("read an app's versions", move |db| {
            let mut select =
                db.prepare_cached("SELECT file, version FROM highest_versions WHERE app = ?1")?;
            Ok(select
                .query_map([app.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Records versions that are about to be started, by file. Which of two is higher is the caller's to say.
    pub async fn record_versions(
        &self,
        app: &AppName,
        versions: BTreeMap<String, String>,
    ) -> Result<(), StateError> {
        let app = app.clone();
        self.transaction("record an app's versions", move |db| {
            for (file, version) in versions {
                db.execute(
                    "INSERT INTO highest_versions (app, file, version) VALUES (?1, ?2, ?3)
                     ON CONFLICT (app, file) DO UPDATE SET version = excluded.version",
                    params![app.as_str(), file, version],
                )?;
            }
            Ok(())
        })
        .await
    }
}

pub(super) fn upsert(db: &Connection, record: &AppRecord) -> Result<(), StateError> {
    let spec = column::to_json("spec", &record.spec)?;
    db.execute(
        "INSERT INTO apps (name, path, project, spec) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (name) DO UPDATE SET path = excluded.path, project = excluded.project, spec = excluded.spec",
        params![record.app.as_str(), record.path, record.project, spec],
    )?;
    Ok(())
}

pub(super) fn set_live(db: &Connection, app: &AppName, live: Option<ReleaseId>) -> Result<(), StateError> {
    if let Some(release) = live {
        super::release::require(db, app, release)?;
    }
    let update = "UPDATE apps SET live = ?2 WHERE name = ?1";
    match db.execute(update, params![app.as_str(), live.map(|release| release.0)])? {
        0 => Err(StateError::NoSuchApp(app.clone())),
        _ => Ok(()),
    }
}

pub(super) fn require(db: &Connection, app: &AppName) -> Result<AppRecord, StateError> {
    find(db, app)?.ok_or_else(|| StateError::NoSuchApp(app.clone()))
}

fn find(db: &Connection, app: &AppName) -> Result<Option<AppRecord>, StateError> {
    let mut select = db.prepare_cached("SELECT * FROM apps WHERE name = ?1")?;
    let mut rows = select.query_and_then([app.as_str()], read)?;
    rows.next().transpose()
}

fn read(row: &Row<'_>) -> Result<AppRecord, StateError> {
    Ok(AppRecord {
        app: column::text(row, "name")?,
        path: row.get("path")?,
        project: row.get("project")?,
        live: row.get::<_, Option<u32>>("live")?.map(ReleaseId),
        spec: column::json(row, "spec")?,
    })
}

/// What is live, without the rest of the app.
pub(super) fn live(db: &Connection, app: &AppName) -> Result<Option<ReleaseId>, StateError> {
    let select = "SELECT live FROM apps WHERE name = ?1";
    let live = db.query_row(select, [app.as_str()], |row| row.get::<_, Option<u32>>(0)).optional()?;
    Ok(live.flatten().map(ReleaseId))
}
