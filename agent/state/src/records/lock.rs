//! Who has locked an app.

use super::column;
use crate::{State, StateError};
use rusqlite::{Connection, params};
use wharf_proto::AppName;
use wharf_proto::lock::DeployLock;

impl State {
    /// Locks the app unless it is locked: the lock that was there before, which stays then.
    pub async fn lock(&self, app: &AppName, lock: DeployLock) -> Result<Option<DeployLock>, StateError> {
        let app = app.clone();
        self.transaction("lock an app", move |db| {
            super::app::require(db, &app)?;
            if let Some(before) = find(db, &app)? {
                return Ok(Some(before));
            }
            let lock = column::to_json("lock", &lock)?;
            db.execute("INSERT INTO locks (app, lock) VALUES (?1, ?2)", params![app.as_str(), lock])?;
            Ok(None)
        })
        .await
    }

    /// Lifts the lock; the one that held.
    pub async fn unlock(&self, app: &AppName) -> Result<Option<DeployLock>, StateError> {
        let app = app.clone();
        self.transaction("unlock an app", move |db| {
            let before = find(db, &app)?;
            db.execute("DELETE FROM locks WHERE app = ?1", [app.as_str()])?;
            Ok(before)
        })
        .await
    }

    /// The lock that holds.
    pub async fn lock_of(&self, app: &AppName) -> Result<Option<DeployLock>, StateError> {
        let app = app.clone();
        self.transaction("read an app's lock", move |db| find(db, &app)).await
    }
}

pub(super) fn find(db: &Connection, app: &AppName) -> Result<Option<DeployLock>, StateError> {
    let mut select = db.prepare_cached("SELECT lock FROM locks WHERE app = ?1")?;
    let mut found = select.query_and_then([app.as_str()], |row| column::json(row, "lock"))?;
    found.next().transpose()
}
