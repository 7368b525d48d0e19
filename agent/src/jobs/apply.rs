//! The release becomes what the app directory holds and what Compose's image names mean.

use super::plan::Planned;
use super::run::{Job, Ready};
use super::undo::Undo;
use super::{Work, compose, env_change, files};
use crate::failures;
use std::collections::BTreeMap;
use wharf_plan::model::same_model;
use wharf_plan::overlay::FileOp;
use wharf_proto::{Failure, FailureKind, RelPath};
use wharf_state::{AppRecord, ReleaseImage};

/// Changes the app directory, checks that Compose reads there what was planned, and retags the images.
///
/// # Errors
/// Files that cannot be written, or a model that differs from the planned one. What was done is in the journal.
pub async fn apply(job: &Job, work: &Work, ready: &Ready) -> Result<(), Failure> {
    let planned = &ready.planned;
    if planned.known.is_none() && !planned.adopts {
        let record = AppRecord {
            app: job.app().clone(),
            path: job.spec.path.clone(),
            project: planned.project.clone(),
            live: None,
            spec: job.spec.clone(),
        };
        job.agent.state.upsert_app(record).await.map_err(|e| failures::of_state(&e))?;
    }
    let before = Undo::Before {
        project: planned.project.clone(),
        live: planned.live.as_ref().map(|live| live.release),
        containers: planned.before.clone(),
    };
    journal(job, vec![before]).await?;

    save_aside(job, planned).await?;
    let (ops, beside, blobs) = (planned.ops.clone(), job.beside.clone(), job.agent.blobs.clone());
    let prepared = failures::blocking(move || {
        files::prepare(ops, &beside, &blobs).map_err(|e| Failure::from_error(FailureKind::Environment, &e))
    })
    .await?;
    journal(job, prepared.undo.iter().cloned().map(Undo::File).collect()).await?;
    failures::blocking(move || {
        prepared.perform().map_err(|e| Failure::from_error(FailureKind::Environment, &e))
    })
    .await?;

    if let Some(change) = &work.env {
        env_change::replace(job, change).await?;
    }
    let in_place = compose::in_place(job, &planned.project).model().await?;
    let differences = same_model(&planned.model, &in_place);
    if !differences.is_empty() {
        return Err(Failure::new(FailureKind::Start, "Compose reads something else in place than was planned")
            .cause(format!("it differs in: {}", differences.join(", ")))
            .hint("a file on the server that was not shipped takes part in the Compose model; ship it, or remove it"));
    }
    retag(job, &ready.images.by_service).await
}

/// Keeps what somebody changed on the server since Wharf wrote it, where its owner finds it, and lists it.
async fn save_aside(job: &Job, planned: &Planned) -> Result<(), Failure> {
    let drifted: Vec<RelPath> = planned.ops.iter().filter_map(replaces_drift).cloned().collect();
    if drifted.is_empty() {
        return Ok(());
    }
    let folder = job.agent.layout.saved_aside(job.app(), job.id);
    let app_dir = job.beside.app_dir.clone();
    let names: Vec<String> = drifted.iter().map(ToString::to_string).collect();
    job.record
        .warn(format!(
            "changed on the server since the last deploy, and replaced now: {}; the server's own are kept in {}",
            names.join(", "),
            folder.display()
        ))
        .await;
    failures::blocking(move || {
        files::copy_all(&app_dir, &drifted, &folder)
            .map_err(|e| Failure::from_error(FailureKind::Environment, &e))
    })
    .await
}

fn replaces_drift(op: &FileOp) -> Option<&RelPath> {
    match op {
        FileOp::Write { entry, save_aside: true } => Some(&entry.path),
        FileOp::Remove { path, save_aside: true } => Some(path),
        FileOp::Write { .. }
        | FileOp::Remove { .. }
        | FileOp::RemoveFolder { .. }
        | FileOp::MakeFolder { .. } => None,
    }
}

async fn journal(job: &Job, entries: Vec<Undo>) -> Result<(), Failure> {
    job.agent.state.record_undo(job.id, entries).await.map_err(|e| failures::of_state(&e))
}

/// Lets the names that Compose knows mean the release's images.
pub async fn retag(job: &Job, images: &BTreeMap<String, ReleaseImage>) -> Result<(), Failure> {
    for image in images.values() {
        let now = job.agent.engine.image(&image.reference).await.map_err(|e| failures::of_engine(&e))?;
        let before = now.map(|facts| facts.id);
        if before.as_ref() == Some(&image.id) {
            continue;
        }
        let entry = Undo::Tag { reference: image.reference.clone(), before, after: image.id.clone() };
        journal(job, vec![entry]).await?;
        job.agent.engine.tag(&image.id, &image.reference).await.map_err(|e| failures::of_engine(&e))?;
    }
    Ok(())
}
