//! Releases: what each shipped, built and ran, so that it can run again.

use super::{app, column, job};
use crate::{AppRecord, PhaseEvent, State, StateError};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use wharf_proto::release::{PromotedFrom, ReleaseInfo};
use wharf_proto::{AppName, AppSpec, BackupId, Digest, JobId, Manifest, ReleaseId};

/// One release of an app, with all that is needed to run it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRecord {
    pub app: AppName,
    pub release: ReleaseId,
    /// What ran before Wharf came.
    pub adopted: bool,
    pub created: Timestamp,
    pub created_by: String,
    pub spec: AppSpec,
    pub manifest: Manifest,
    /// By service.
    pub images: BTreeMap<String, ReleaseImage>,
    /// By service.
    pub inputs: BTreeMap<String, ServiceInputs>,
    /// The versions of its front ends, by the file that holds them.
    pub versions: BTreeMap<String, String>,
    pub message: Option<String>,
    pub git_commit: Option<String>,
    /// The backup that was made just before it went live.
    pub backup: Option<BackupId>,
    /// What was live before it.
    pub previous: Option<ReleaseId>,
    /// The release whose very source it is, where it was promoted.
    pub promoted: Option<PromotedFrom>,
}

/// The image that a service of a release runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseImage {
    /// The name that Compose expects it by.
    pub reference: String,
    /// `sha256:…`
    pub id: String,
    /// Built from the project, as opposed to pulled.
    pub built: bool,
    /// The tag that keeps it from being pruned, where there is one.
    #[serde(default)]
    pub pinned: Option<String>,
}

/// What a service was made from; equal inputs need neither a new image nor a new container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceInputs {
    /// What its image is built from.
    pub image: Digest,
    /// The shipped files that it mounts.
    pub mounted: Digest,
    /// Its part of the Compose model.
    pub definition: Digest,
    /// What its image is built from, comparable between agents; `None` where an environment has a part in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portable: Option<Digest>,
}

impl State {
    /// The number of the next release. It is used up when this returns, whether or not the release succeeds.
    pub async fn next_release(&self, app: &AppName) -> Result<ReleaseId, StateError> {
        let app = app.clone();
        self.transaction("number a release", move |db| {
            let number = db.query_row(
                "INSERT INTO release_numbers (app, last)
                 VALUES (?1, 1 + coalesce((SELECT max(number) FROM releases WHERE app = ?1), 0))
                 ON CONFLICT (app) DO UPDATE SET last = max(last + 1, excluded.last) RETURNING last",
                [app.as_str()],
                |row| row.get(0),
            )?;
            Ok(ReleaseId(number))
        })
        .await
    }

    /// Gives out no number below `next` any more: another server has had those.
    pub async fn continue_releases(&self, app: &AppName, next: ReleaseId) -> Result<(), StateError> {
        let app = app.clone();
        self.transaction("go on with an app's numbers", move |db| {
            db.execute(
                "INSERT INTO release_numbers (app, last) VALUES (?1, ?2)
                 ON CONFLICT (app) DO UPDATE SET last = max(last, excluded.last)",
                params![app.as_str(), next.0.saturating_sub(1)],
            )?;
            Ok(())
        })
        .await
    }

    /// The number that [`State::next_release`] would give, not used up: for plans that nothing comes of.
    pub async fn peek_release(&self, app: &AppName) -> Result<ReleaseId, StateError> {
        let app = app.clone();
        self.transaction("look at the next release's number", move |db| {
            let number = db.query_row(
                "SELECT 1 + max(coalesce((SELECT max(number) FROM releases WHERE app = ?1), 0),
                                coalesce((SELECT last FROM release_numbers WHERE app = ?1), 0))",
                [app.as_str()],
                |row| row.get(0),
            )?;
            Ok(ReleaseId(number))
        })
        .await
    }

    /// Records a stack that its owner started: the app, what runs as release, and that it is live, in one piece.
    pub async fn adopt(&self, app: AppRecord, release: ReleaseRecord) -> Result<(), StateError> {
        self.transaction("record an adopted stack", move |db| {
            app::upsert(db, &app)?;
            put(db, &release)?;
            app::set_live(db, &release.app, Some(release.release))
        })
        .await
    }

    /// Records a release, or replaces what is recorded of it. Its app must be recorded.
    pub async fn insert_release(&self, release: ReleaseRecord) -> Result<(), StateError> {
        self.transaction("record a release", move |db| put(db, &release)).await
    }

    /// The release goes live: it is recorded, is the app's live one, the app is described by its spec, and the job is
    /// [`crate::Phase::Committed`], all or nothing.
    ///
    /// # Errors
    /// A job whose phase does not allow it, besides the database's own.
    pub async fn commit_live(&self, job: JobId, release: ReleaseRecord) -> Result<(), StateError> {
        self.transaction("commit a release", move |db| {
            job::advance(db, job, PhaseEvent::Commit)?;
            let known = app::require(db, &release.app)?;
            let (path, spec) = (release.spec.path.clone(), release.spec.clone());
            app::upsert(db, &AppRecord { path, spec, ..known })?;
            put(db, &release)?;
            app::set_live(db, &release.app, Some(release.release))
        })
        .await
    }

    pub async fn release(
        &self,
        app: &AppName,
        release: ReleaseId,
    ) -> Result<Option<ReleaseRecord>, StateError> {
        let app = app.clone();
        self.transaction("read a release", move |db| {
            let mut select = db.prepare_cached("SELECT * FROM releases WHERE app = ?1 AND number = ?2")?;
            let mut rows = select.query_and_then(params![app.as_str(), release.0], read)?;
            rows.next().transpose()
        })
        .await
    }

    /// All releases of an app with their manifests, oldest first. For a listing, [`State::release_infos`] takes less.
    pub async fn releases(&self, app: &AppName) -> Result<Vec<ReleaseRecord>, StateError> {
        let app = app.clone();
        self.transaction("read an app's releases", move |db| {
            let mut select = db.prepare_cached("SELECT * FROM releases WHERE app = ?1 ORDER BY number")?;
            select.query_and_then([app.as_str()], read)?.collect()
        })
        .await
    }

    /// All releases of an app as people are told of them, newest first.
    pub async fn release_infos(&self, app: &AppName) -> Result<Vec<ReleaseInfo>, StateError> {
        let app = app.clone();
        self.transaction("list an app's releases", move |db| {
            let live = app::live(db, &app)?;
            let mut select = db.prepare_cached(
                "SELECT releases.*, backups.id AS backup_id, backups.proof AS backup_proof FROM releases
                 LEFT JOIN backups ON backups.app = releases.app AND backups.id = releases.backup
                 WHERE releases.app = ?1 ORDER BY number DESC",
            )?;
            select.query_and_then([app.as_str()], |row| read_info(row, live))?.collect()
        })
        .await
    }

    /// Forgets a release that was pruned. One that is not there is forgotten already.
    ///
    /// # Errors
    /// [`StateError::Live`] for the one that serves.
    pub async fn delete_release(&self, app: &AppName, release: ReleaseId) -> Result<(), StateError> {
        let app = app.clone();
        self.transaction("forget a release", move |db| {
            if app::live(db, &app)? == Some(release) {
                return Err(StateError::Live { app, release });
            }
            // The number stays used up, also where the counter never gave it out (an adopted one).
            db.execute(
                "INSERT INTO release_numbers (app, last) VALUES (?1, ?2)
                 ON CONFLICT (app) DO UPDATE SET last = max(last, excluded.last)",
                params![app.as_str(), release.0],
            )?;
            db.execute(
                "DELETE FROM releases WHERE app = ?1 AND number = ?2",
                params![app.as_str(), release.0],
            )?;
            Ok(())
        })
        .await
    }

    /// Every chunk that a recorded release of any app needs: what [`crate::BlobStore::retain`] must keep.
    pub async fn chunks_in_use(&self) -> Result<HashSet<Digest>, StateError> {
        self.transaction("list the chunks in use", |db| {
            let mut select = db.prepare_cached("SELECT manifest FROM releases")?;
            let mut rows = select.query([])?;
            let mut digests = HashSet::new();
            while let Some(row) = rows.next()? {
                digests.extend(read_manifest(row)?.chunks().map(|chunk| chunk.digest));
            }
            Ok(digests)
        })
        .await
    }
}

pub(super) fn require(db: &Connection, app: &AppName, release: ReleaseId) -> Result<(), StateError> {
    let select = "SELECT 1 FROM releases WHERE app = ?1 AND number = ?2";
    let found = db.query_row(select, params![app.as_str(), release.0], |_| Ok(())).optional()?;
    found.ok_or_else(|| StateError::NoSuchRelease { app: app.clone(), release })
}

fn put(db: &Connection, release: &ReleaseRecord) -> Result<(), StateError> {
    app::require(db, &release.app)?;
    db.execute(
        "INSERT INTO releases (app, number, adopted, created, created_by, spec, manifest, images, inputs, versions,
             message, git_commit, backup, previous, promoted)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT (app, number) DO UPDATE SET adopted = excluded.adopted, created = excluded.created,
             created_by = excluded.created_by, spec = excluded.spec, manifest = excluded.manifest,
             images = excluded.images, inputs = excluded.inputs, versions = excluded.versions,
             message = excluded.message, git_commit = excluded.git_commit, backup = excluded.backup,
             previous = excluded.previous, promoted = excluded.promoted",
        params![
            release.app.as_str(),
            release.release.0,
            release.adopted,
            release.created.to_string(),
            release.created_by,
            column::to_json("spec", &release.spec)?,
            pack_manifest(&release.manifest)?,
            column::to_json("images", &release.images)?,
            column::to_json("inputs", &release.inputs)?,
            column::to_json("versions", &release.versions)?,
            release.message,
            release.git_commit,
            release.backup.as_ref().map(|backup| &backup.0),
            release.previous.map(|previous| previous.0),
            release.promoted.as_ref().map(|from| column::to_json("promoted", from)).transpose()?,
        ],
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<ReleaseRecord, StateError> {
    Ok(ReleaseRecord {
        app: column::text(row, "app")?,
        release: ReleaseId(row.get("number")?),
        adopted: row.get("adopted")?,
        created: column::text(row, "created")?,
        created_by: row.get("created_by")?,
        spec: column::json(row, "spec")?,
        manifest: read_manifest(row)?,
        images: column::json(row, "images")?,
        inputs: column::json(row, "inputs")?,
        versions: column::json(row, "versions")?,
        message: row.get("message")?,
        git_commit: row.get("git_commit")?,
        backup: row.get::<_, Option<String>>("backup")?.map(BackupId),
        previous: row.get::<_, Option<u32>>("previous")?.map(ReleaseId),
        promoted: column::optional_json(row, "promoted")?,
    })
}

fn read_info(row: &Row<'_>, live: Option<ReleaseId>) -> Result<ReleaseInfo, StateError> {
    let release = ReleaseId(row.get("number")?);
    let is_recorded = row.get::<_, Option<String>>("backup_id")?.is_some();
    let proof = column::optional_json(row, "backup_proof")?;
    Ok(ReleaseInfo {
        proof: is_recorded.then(|| proof.unwrap_or_default()),
        release,
        live: live == Some(release),
        adopted: row.get("adopted")?,
        created: column::text(row, "created")?,
        versions: column::json(row, "versions")?,
        message: row.get("message")?,
        by: row.get("created_by")?,
        git_commit: row.get("git_commit")?,
        backup: row.get::<_, Option<String>>("backup")?.map(BackupId),
        promoted: column::optional_json(row, "promoted")?,
    })
}

/// A manifest's digests are most of its JSON; what compresses is the rest.
fn pack_manifest(manifest: &Manifest) -> Result<Vec<u8>, StateError> {
    let corrupt = |e: std::io::Error| StateError::corrupt("manifest", e);
    let mut packed = zstd::Encoder::new(Vec::new(), 1).map_err(corrupt)?;
    serde_json::to_writer(&mut packed, manifest).map_err(|e| StateError::corrupt("manifest", e))?;
    packed.finish().map_err(corrupt)
}

/// Reads a manifest and checks it anew: what is written to disk by it must not lead out of its folder.
fn read_manifest(row: &Row<'_>) -> Result<Manifest, StateError> {
    let packed = row.get_ref("manifest")?.as_blob().map_err(|e| StateError::corrupt("manifest", e))?;
    let json = zstd::decode_all(packed).map_err(|e| StateError::corrupt("manifest", e))?;
    let manifest: Manifest = serde_json::from_slice(&json).map_err(|e| StateError::corrupt("manifest", e))?;
    Manifest::new(manifest.into_entries()).map_err(|e| StateError::corrupt("manifest", e))
}
