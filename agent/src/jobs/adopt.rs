//! A stack that its owner started by hand becomes v0: what runs now can be rolled back to.

use super::backup::data_folders;
use super::build::pin;
use super::disk;
use super::plan::Planned;
use super::run::Job;
use crate::failures;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use wharf_proto::{AppSpec, BackupId, Entry, Failure, FailureKind, Manifest, RelPath, ReleaseId};
use wharf_state::{AppRecord, BlobStore, ReleaseImage, ReleaseRecord};

/// What ran before Wharf came.
const ADOPTED: ReleaseId = ReleaseId(0);

/// Records the running stack as v0: its images are tagged, its files are kept in the content store.
///
/// # Errors
/// A file that cannot be read, an engine that does not answer.
pub async fn record(job: &Job, planned: &Planned, backup: BackupId) -> Result<(), Failure> {
    let images = keep_images(job, planned).await?;
    let manifest = keep_files(job, planned).await?;
    // Its probes are the new release's; what ran before never promised to answer them.
    let spec = AppSpec {
        health: Vec::new(),
        migrate: Vec::new(),
        hook: Vec::new(),
        bump: Vec::new(),
        ..job.spec.clone()
    };
    let app = AppRecord {
        app: job.app().clone(),
        path: spec.path.clone(),
        project: planned.project.clone(),
        live: Some(ADOPTED),
        spec: spec.clone(),
    };
    let release = ReleaseRecord {
        app: job.app().clone(),
        release: ADOPTED,
        adopted: true,
        created: Timestamp::now(),
        created_by: job.who.by.clone(),
        spec,
        manifest,
        images,
        inputs: BTreeMap::new(),
        versions: BTreeMap::new(),
        message: Some("what ran before Wharf".into()),
        git_commit: None,
        backup: Some(backup),
        previous: None,
        promoted: None,
    };
    job.agent.state.adopt(app, release).await.map_err(|e| failures::of_state(&e))?;
    job.record.note(format!("the stack {} that runs already is taken over as v0", planned.project)).await;
    Ok(())
}

async fn keep_images(job: &Job, planned: &Planned) -> Result<BTreeMap<String, ReleaseImage>, Failure> {
    let mut images = BTreeMap::new();
    for container in &planned.before {
        let tag = pin(job.app(), &container.service, ADOPTED);
        job.agent.engine.tag(&container.image_id, &tag).await.map_err(|e| failures::of_engine(&e))?;
        let service = planned.model_before.as_ref().and_then(|model| model.service(&container.service));
        let image = ReleaseImage {
            reference: container.image.clone(),
            id: container.image_id.clone(),
            built: service.is_some_and(|service| service.build.is_some()),
            pinned: Some(tag),
        };
        images.insert(container.service.clone(), image);
    }
    Ok(images)
}

async fn keep_files(job: &Job, planned: &Planned) -> Result<Manifest, Failure> {
    let app_dir = PathBuf::from(&job.spec.path);
    let mut left_out = data_folders(&planned.before, [&planned.model], &app_dir);
    left_out.push(app_dir.join(".git"));
    left_out.extend(job.spec.compose.env_file.as_ref().map(|file| file.below(&app_dir)));
    let blobs = job.agent.blobs.clone();
    failures::blocking(move || {
        let entries = collect(&app_dir, &left_out, &blobs).map_err(|e| {
            Failure::from_error(FailureKind::Backup, &e)
                .cause(format!("while keeping the files of {}", app_dir.display()))
                .hint("let the agent's user read every file of the app directory")
        })?;
        Manifest::new(entries).map_err(|e| Failure::from_error(FailureKind::Backup, &e))
    })
    .await
}

fn collect(app_dir: &Path, left_out: &[PathBuf], blobs: &BlobStore) -> std::io::Result<Vec<Entry>> {
    use std::os::unix::ffi::OsStrExt;
    let mut entries = Vec::new();
    let mut walk = walkdir::WalkDir::new(app_dir).min_depth(1).into_iter();
    while let Some(found) = walk.next() {
        let found = found?;
        if left_out.iter().any(|path| path == found.path()) {
            if found.file_type().is_dir() {
                walk.skip_current_dir();
            }
            continue;
        }
        if found.file_type().is_dir() {
            continue;
        }
        let Ok(relative) = found.path().strip_prefix(app_dir) else { continue };
        let Ok(name) = RelPath::new(relative.as_os_str().as_bytes()) else { continue };
        let keep = |piece: &[u8]| blobs.put(piece).map(|_| ()).map_err(std::io::Error::other);
        entries.extend(disk::entry(found.path(), &name, keep)?);
    }
    Ok(entries)
}
