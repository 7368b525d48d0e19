//! The release is live, in one transaction.

use super::run::{Job, Ready};
use super::{Source, Work};
use crate::data::schema;
use crate::failures;
use crate::secrets::described;
use wharf_proto::{AppName, Failure};
use wharf_state::ReleaseRecord;

/// Records the release as live. After this nothing is put back any more.
///
/// # Errors
/// The state cannot be written.
pub async fn commit(job: &Job, work: &Work, ready: Ready) -> Result<(), Failure> {
    let state = &job.agent.state;
    // What a rollback made of it is what the release can live with.
    let shape = schema::shape(&job.agent, job.app(), &job.spec, &ready.planned.project).await;
    let secrets = crate::secrets::recorded(&ready.planned.key, &ready.planned.env);
    let record = match state.release(job.app(), job.release).await.map_err(|e| failures::of_state(&e))? {
        // A rollback: the release is what it was, and live again.
        Some(earlier) => {
            let left = ready.planned.live.map(|live| live.release).filter(|live| *live != earlier.release);
            ReleaseRecord { previous: left.or(earlier.previous), ..earlier }
        }
        None => new_release(job.app().clone(), job, work, ready),
    };
    // Before the release lives, so that it is never live without; of one that never lives nothing is told.
    state
        .record_release_secrets(job.app(), job.release, secrets)
        .await
        .map_err(|e| failures::of_state(&e))?;
    if let Some(shape) = shape {
        let recorded = state.record_release_schema(job.app(), job.release, shape).await;
        recorded.map_err(|e| failures::of_state(&e))?;
    }
    state.commit_live(job.id, record).await.map_err(|e| failures::of_state(&e))?;
    described::forget(&job.agent, job.app()).await;
    Ok(())
}

fn new_release(app: AppName, job: &Job, work: &Work, ready: Ready) -> ReleaseRecord {
    let mut inputs = ready.planned.inputs;
    for (service, image) in ready.images.inputs {
        if let Some(inputs) = inputs.get_mut(&service) {
            inputs.image = image;
        }
    }
    ReleaseRecord {
        app,
        release: job.release,
        adopted: matches!(work.source, Source::Recovered { adopted: true, .. }),
        created: job.agent.clock.now(),
        created_by: work.by.clone(),
        spec: work.spec.clone(),
        manifest: work.manifest.clone(),
        images: ready.images.by_service,
        inputs,
        versions: work.versions.clone(),
        message: work.options.message.clone(),
        git_commit: work.git_commit.clone(),
        backup: ready.backup,
        previous: ready.planned.live.map(|live| live.release),
        promoted: work.promoted.clone(),
    }
}
