//! Looking: at the engine, at what the agent remembers, at the repositories, at the volume itself.

use super::decide::{Facts, Holding};
use crate::config::Config;
use crate::failures;
use crate::layout::Layout;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use wharf_backup::{BackupReport, Child, ListRequest};
use wharf_engine::Engine;
use wharf_proto::{AppName, BackupId, Failure, FailureKind};
use wharf_state::State;

/// Where things are looked up.
pub struct Sight<'a> {
    pub config: &'a Config,
    pub engine: &'a Engine,
    pub state: &'a State,
}

impl Sight<'_> {
    /// Everything that decides whether the volume `name` may be deleted.
    ///
    /// # Errors
    /// The engine, the state or a repository does not answer.
    pub async fn look(&self, name: &str) -> Result<Facts, Failure> {
        let of_engine = |e: wharf_engine::EngineError| failures::of_engine(&e);
        let place = self.engine.volume_mountpoint(name).await.map_err(of_engine)?;
        let changed = match &place {
            Some(place) => {
                let place = place.clone();
                failures::blocking(move || Ok(last_change(&place).ok())).await?
            }
            None => None,
        };
        Ok(Facts {
            name: name.to_owned(),
            exists: place.is_some(),
            users: self.engine.volume_users(name, place.as_deref()).await.map_err(of_engine)?,
            backups: self.backups(name).await?,
            changed,
        })
    }

    async fn backups(&self, name: &str) -> Result<Vec<Holding>, Failure> {
        let of_state = |e: wharf_state::StateError| failures::of_state(&e);
        let mut found = Vec::new();
        for app in self.state.apps().await.map_err(of_state)? {
            let mut of_app = Vec::new();
            for record in self.state.backups(&app.app).await.map_err(of_state)? {
                let report: Option<BackupReport> = serde_json::from_value(record.report).ok();
                let volumes = report.map(|report| report.volumes).unwrap_or_default();
                let held = volumes.into_iter().find(|volume| volume.volume.as_deref() == Some(name));
                of_app.extend(held.map(|volume| Holding {
                    app: app.app.clone(),
                    id: record.id,
                    made: record.at,
                    proof: record.proof,
                    there: false,
                    files: volume.files,
                    size_bytes: volume.size_bytes,
                }));
            }
            if !of_app.is_empty() {
                let there = self.there(&app.app, name).await?;
                of_app.iter_mut().for_each(|backup| backup.there = there.contains(&backup.id));
            }
            found.extend(of_app);
        }
        Ok(found)
    }

    /// The backups in an app's repository that hold the volume.
    async fn there(&self, app: &AppName, name: &str) -> Result<BTreeSet<BackupId>, Failure> {
        let layout = Layout::new(&self.config.state);
        let program =
            std::env::current_exe().map_err(|e| Failure::from_error(FailureKind::Environment, &e))?;
        let request =
            ListRequest { repo: layout.repository(app), key_file: layout.repository_key(app), patient: true };
        let child = Child { program, arguments: vec!["internal".into(), "backup".into()] };
        let listed = wharf_backup::run(&child, request, |_| ()).await;
        let listed = listed.map_err(|e| e.failure())?.backups.into_iter();
        let holds = |backup: &wharf_backup::BackupInfo| {
            backup.volumes.iter().any(|volume| volume.volume.as_deref() == Some(name))
        };
        Ok(listed.filter(holds).map(|backup| backup.id).collect())
    }
}

/// When something at or below `place` was changed last: content, names, owners or modes. Reading changes nothing.
fn last_change(place: &Path) -> std::io::Result<Timestamp> {
    let mut last = Timestamp::MIN;
    for entry in walkdir::WalkDir::new(place).follow_links(false) {
        let metadata = entry.map_err(std::io::Error::other)?.metadata().map_err(std::io::Error::other)?;
        let nanoseconds = i32::try_from(metadata.ctime_nsec()).map_err(std::io::Error::other)?;
        let changed = Timestamp::new(metadata.ctime(), nanoseconds).map_err(std::io::Error::other)?;
        last = last.max(changed);
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_deep_below_is_seen_and_a_look_is_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("deep")).unwrap();
        let file = folder.path().join("deep/file");
        std::fs::write(&file, "one").unwrap();
        let before = last_change(folder.path()).unwrap();
        std::fs::read(&file).unwrap();
        assert_eq!(last_change(folder.path()).unwrap(), before);
        // The kernel's clock for files is coarse: changed until it shows.
        while last_change(folder.path()).unwrap() == before {
            std::fs::write(&file, "two").unwrap();
        }
        assert!(last_change(folder.path()).unwrap() > before);
        last_change(&folder.path().join("none")).unwrap_err();
    }
}
