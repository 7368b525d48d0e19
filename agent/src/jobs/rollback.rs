//! Back to an earlier release: its files and images, without a build. Data stays as it is. The live release itself can be
//! named too: everything is then made once more as it recorded it.

use super::{Source, Work, paths, queue};
use crate::agent::Agent;
use crate::answers::known_app;
use crate::conversation::{Stop, Talk};
use crate::data::schema;
use crate::failures;
use crate::locks;
use wharf_access::Permit;
use wharf_proto::message::{Reply, RollbackRequest};
use wharf_proto::{Failure, FailureKind, ReleaseId};
use wharf_state::{AppRecord, ReleaseRecord};

/// Begins a rollback and watches it.
///
/// # Errors
/// No such release, nothing to go back to, another job running.
pub async fn requested(
    agent: &Agent,
    talk: &mut Talk,
    permit: &Permit,
    request: RollbackRequest,
) -> Result<Option<Reply>, Stop> {
    let known = known_app(agent, permit, &request.app).await?;
    let seat = talk.unless_gone(queue::take_for(agent, &request.app, &request.options)).await?;
    if !request.options.dry_run {
        // Once more: it may have been locked while this stood in line.
        locks::check(agent, &request.app).await?;
    }
    let live = known.live.ok_or_else(|| {
        Failure::new(FailureKind::NotFound, format!("no release of {} is live", request.app))
            .hint("deploy: wharf deploy")
    })?;
    let target = target(agent, &request, live).await?;
    paths::check_spec(&target.spec, agent)?;
    if !request.options.accept_schema {
        check_schema(agent, &known, &target).await?;
    }
    let dry_run = request.options.dry_run;
    let lease = agent.blobs.lease(target.manifest.chunks().map(|chunk| chunk.digest));
    let work = Work {
        release: target.release,
        source: Source::Earlier { from: live, adopted: target.adopted, images: target.images },
        spec: target.spec,
        manifest: target.manifest,
        options: request.options,
        versions: target.versions,
        git_commit: target.git_commit,
        promoted: target.promoted,
        by: talk.who.by.clone(),
        env: None,
        role: None,
    };
    super::plan_or_run(agent, talk, work, seat, lease, dry_run).await
}

/// A release that lived with another schema than there is now may not run on it: that is a person's to decide.
async fn check_schema(agent: &Agent, known: &AppRecord, target: &ReleaseRecord) -> Result<(), Failure> {
    let then = agent.state.release_schema(&known.app, target.release).await;
    let Some(then) = then.map_err(|e| failures::of_state(&e))? else { return Ok(()) };
    let now = schema::shape(agent, &known.app, &known.spec, &known.project).await;
    if now.is_none_or(|now| now == then) {
        return Ok(());
    }
    let release = target.release;
    let text = format!("the database has another schema now than when {release} was live");
    Err(Failure::new(FailureKind::Consent, text)
        .cause(
            "a migration ran since; a rollback changes code and configuration, and leaves the data as it is",
        )
        .hint(format!(
            "if {release} can live with the newer schema, go on: wharf rollback {release} --accept-schema"
        ))
        .hint("else restore the backup from before the migration first: wharf releases names it"))
}

async fn target(agent: &Agent, request: &RollbackRequest, live: ReleaseId) -> Result<ReleaseRecord, Failure> {
    let of = |release| async move {
        agent.state.release(&request.app, release).await.map_err(|e| failures::of_state(&e))
    };
    let wanted = match request.to {
        Some(wanted) => wanted,
        None => of(live).await?.and_then(|release| release.previous).ok_or_else(|| {
            Failure::new(FailureKind::NotFound, format!("nothing was live before {live}"))
                .hint("see what there is: wharf releases")
        })?,
    };
    of(wanted).await?.ok_or_else(|| {
        Failure::new(FailureKind::NotFound, format!("{} has no release {wanted}", request.app))
            .cause("it never went live, or is no longer listed")
            .hint("see what there is: wharf releases")
    })
}
