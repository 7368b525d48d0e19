//! The images of a release, and the tags that keep them.
//!
//! **Invariant**: nothing here changes what Compose's image names mean, but for `--pull`, Compose's own builds and images that
//! others of the project are built from, whose undo is written down first; each image of the release gets a tag of its own, `<app>-<service>:vN`, so that nothing prunes it.

use super::decide::ImageDecision;
use super::images::{Staged, Way};
use super::plan::Planned;
use super::run::Job;
use super::undo::Undo;
use super::{Work, apply, compose, hold, put_back};
use crate::failures;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wharf_engine::{BuildError, EngineError};
use wharf_plan::bases;
use wharf_plan::model::{Model, Service};
use wharf_proto::{AppName, Digest, Failure, FailureKind, ReleaseId, Step};
use wharf_state::ReleaseImage;

/// The most that a build by Compose may take.
const BUILD_LIMIT: Duration = Duration::from_secs(3600);

/// What a release runs, by service.
pub struct Images {
    pub by_service: BTreeMap<String, ReleaseImage>,
    /// What each built image was made from, now that every base image is here.
    pub inputs: BTreeMap<String, Digest>,
}

impl Images {
    /// A service's image is that of another, so it was made from the same.
    fn made_as(&mut self, service: &str, other: &str) {
        if let Some(inputs) = self.inputs.get(other).copied() {
            self.inputs.insert(service.to_owned(), inputs);
        }
    }

    /// Whether an image is one of the release's under that name, which several services may share.
    fn are_named(&self, reference: &str, id: &str) -> bool {
        self.by_service.values().any(|image| image.reference == reference && image.id == id)
    }
}

/// The tag that keeps a release's image.
pub fn pin(app: &AppName, service: &str, release: ReleaseId) -> String {
    format!("{app}-{}:{release}", service.to_lowercase())
}

/// Gets every image of the release: kept, pulled or built with no cache.
///
/// # Errors
/// [`FailureKind::Build`] with the instruction that failed and its last lines.
pub async fn build(job: &Job, work: &Work, planned: &Planned) -> Result<Images, Failure> {
    let mut images = Images { by_service: BTreeMap::new(), inputs: BTreeMap::new() };
    // Services that share a build get the one image.
    let mut built: Vec<(String, String)> = Vec::new();
    for service in bases::build_order(&planned.model, &planned.made_from) {
        let Some(decision) = planned.images.get(&service.name) else { continue };
        let id = match decision {
            ImageDecision::Keep { id } => id.clone(),
            ImageDecision::Pull { optional } => pull(job, planned, service, *optional).await?,
            ImageDecision::Build => {
                let twin =
                    built.iter().find(|(other, _)| planned.builds_alike(other, &service.name)).cloned();
                let id = match twin {
                    Some((other, id)) => {
                        job.record.note(format!("{} is built as {other} is", service.name)).await;
                        images.made_as(&service.name, &other);
                        id
                    }
                    None => build_one(job, work, planned, service, &mut images).await?,
                };
                built.push((service.name.clone(), id.clone()));
                id
            }
        };
        let image = pinned(job, planned, service, id).await?;
        if planned.is_built_on(service) {
            // A Dockerfile says `FROM` that name.
            apply::retag(job, &BTreeMap::from([(service.name.clone(), image.clone())])).await?;
            crate::crash::point("build.named");
        }
        images.by_service.insert(service.name.clone(), image);
    }
    Ok(images)
}

/// The images of an earlier release, which are here.
///
/// # Errors
/// One of them is not.
pub async fn reuse(job: &Job, images: &BTreeMap<String, ReleaseImage>) -> Result<Images, Failure> {
    for (service, image) in images {
        if job.agent.engine.image(&image.id).await.map_err(|e| failures::of_engine(&e))?.is_none() {
            let text = format!("the image of {service} in {} is no longer on the server", job.release);
            return Err(Failure::new(FailureKind::NotFound, text)
                .cause(format!("{} was removed by something other than Wharf", image.id))
                .hint("deploy that state of the project again: git checkout, then wharf deploy"));
        }
    }
    Ok(Images { by_service: images.clone(), inputs: BTreeMap::new() })
}

/// Takes away what a job that failed has built and pulled: its tags, and images that nothing else names.
///
/// # Errors
/// A name could not be given back. The release's own tags stay then: they tell whose image it means.
pub async fn discard(job: &Job) -> Result<(), Failure> {
    let entries = job.agent.state.undo_entries::<Undo>(job.id).await.unwrap_or_default();
    let entries: Vec<Undo> = entries.into_iter().map(|entry| entry.undo).collect();
    if let Err(failure) = hold::release(job).await {
        job.record
            .warn(format!("a container that was held for the backup does not run again: {failure}"))
            .await;
    }
    put_back::tags_with_patience(job, &entries).await.map_err(|failure| not_named_back(&failure))?;
    // A rollback's images belong to an earlier release, which keeps them.
    let earlier = job.agent.state.release(job.app(), job.release).await;
    if matches!(earlier, Ok(None)) {
        unpin(&job.agent, job.app(), job.release, entries).await;
    }
    Ok(())
}

fn not_named_back(why: &Failure) -> Failure {
    Failure::new(FailureKind::Environment, "an image could not be given its old name back")
        .cause(why.to_string())
        .hint("see what its name means now: docker image ls --no-trunc")
        .hint("the next deploy that goes live names it anew; until then leave docker compose up and wharf scale alone")
}

/// Takes the release's own tags away; an image without another name and without a container goes with its tag.
async fn unpin(agent: &crate::agent::Agent, app: &AppName, release: ReleaseId, entries: Vec<Undo>) {
    for entry in entries {
        if let Undo::Pin { tag } = entry
            && let Err(error) = agent.engine.untag(&tag).await
        {
            tracing::warn!(%app, %release, tag, %error, "cannot remove a tag");
        }
    }
}

async fn pinned(
    job: &Job,
    planned: &Planned,
    service: &Service,
    id: String,
) -> Result<ReleaseImage, Failure> {
    let tag = pin(job.app(), &service.name, job.release);
    journal(job, Undo::Pin { tag: tag.clone() }).await?;
    job.agent.engine.tag(&id, &tag).await.map_err(|e| failures::of_engine(&e))?;
    let reference = planned.model.image_reference(service);
    Ok(ReleaseImage { reference, id, built: service.build.is_some(), pinned: Some(tag) })
}

async fn journal(job: &Job, entry: Undo) -> Result<(), Failure> {
    job.agent.state.record_undo(job.id, vec![entry]).await.map_err(|e| failures::of_state(&e))
}

/// Fetches a service's image. Where that is `optional` and fails, the one that is here serves on.
async fn pull(job: &Job, planned: &Planned, service: &Service, optional: bool) -> Result<String, Failure> {
    let reference = planned.model.image_reference(service);
    let engine = &job.agent.engine;
    let before = engine.image(&reference).await.map_err(|e| failures::of_engine(&e))?.map(|image| image.id);
    let entry = Undo::Tag { reference: reference.clone(), before: before.clone(), after: String::new() };
    journal(job, entry).await?;
    let result = fetch(job, Some(&service.name), &reference).await;
    match (result, before) {
        (Ok(id), _) => Ok(id),
        (Err(error), Some(id)) if optional => {
            job.record
                .warn(format!("{reference} cannot be refreshed, the one on the server is used: {error}"))
                .await;
            Ok(id)
        }
        (Err(error), _) => Err(Failure::from_error(FailureKind::Build, &error)
            .hint(format!("see whether the server can fetch it: docker pull {reference}"))),
    }
}

async fn fetch(job: &Job, service: Option<&str>, reference: &str) -> Result<String, EngineError> {
    job.record
        .with_output(Step::Build, service, |lines| async move {
            job.agent.engine.pull(reference, |line| lines.push(line)).await
        })
        .await
        .map(|image| image.id)
}

async fn build_one(
    job: &Job,
    work: &Work,
    planned: &Planned,
    service: &Service,
    images: &mut Images,
) -> Result<String, Failure> {
    let Some(build) = &service.build else {
        return Err(Failure::new(FailureKind::Internal, format!("{} has nothing to build", service.name)));
    };
    let staged = Staged {
        engine: &job.agent.engine,
        model: &planned.model,
        manifest: &work.manifest,
        beside: &job.beside,
        env: &planned.env,
        key: &planned.key,
    };
    let id = match staged.way(service, build)? {
        Way::Engine(mut recipe) => {
            // Named from its first moment on, so that a crash leaves no image that nobody knows.
            let tag = pin(job.app(), &service.name, job.release);
            journal(job, Undo::Pin { tag: tag.clone() }).await?;
            recipe.spec.tags = vec![tag];
            refresh_bases(job, planned, service, recipe.from()).await;
            if let Some(digest) = staged.digest(&recipe, &BTreeMap::new()).await? {
                images.inputs.insert(service.name.clone(), digest);
            }
            let cancel = CancellationToken::new();
            let built = job
                .record
                .with_output(Step::Build, Some(&service.name), |lines| async move {
                    let on_line = |line: wharf_engine::BuildLine| {
                        crate::crash::point("build.inside");
                        lines.push(if line.text.is_empty() { line.step } else { line.text });
                    };
                    job.agent.engine.build(recipe.spec, &cancel, on_line).await
                })
                .await;
            built.map_err(|e| build_failed(service, &e))?
        }
        Way::Compose { why, from } => {
            job.record.note(format!("{} is built by docker compose: {why}", service.name)).await;
            // Compose would fetch all of them, also those that the project builds itself.
            let by_itself = !planned.made_from.contains_key(&service.name);
            if !by_itself && planned.pull {
                refresh_bases(job, planned, service, &from).await;
            }
            let id = by_compose(job, planned, service, planned.pull && by_itself).await?;
            named_again(job, planned, service, images).await?;
            id
        }
    };
    for base in planned.made_from.get(&service.name).into_iter().flatten() {
        still_ours(job, planned, service, base, images).await?;
    }
    kept_if_equal(job, planned, service, id).await
}

/// Compose has built once more, and named, what else it needed: those names mean the release's images again.
async fn named_again(
    job: &Job,
    planned: &Planned,
    service: &Service,
    images: &Images,
) -> Result<(), Failure> {
    let others = built_with(&planned.model, service).into_iter().filter(|other| other.name != service.name);
    let ours = others.filter_map(|other| images.by_service.get_key_value(&other.name));
    apply::retag(job, &ours.map(|(name, image)| (name.clone(), image.clone())).collect()).await
}

/// A `FROM` reads what a name means, and apps of one server may build under the same: what was made from another's image is
/// none of this release.
async fn still_ours(
    job: &Job,
    planned: &Planned,
    service: &Service,
    base: &str,
    images: &Images,
) -> Result<(), Failure> {
    // Not built yet where they are made from each other.
    let Some(ReleaseImage { reference, .. }) = images.by_service.get(base) else { return Ok(()) };
    let now = job.agent.engine.image(reference).await.map_err(|e| failures::of_engine(&e))?;
    let own = planned.model.image_reference(service) == *reference;
    if own || now.is_some_and(|now| images.are_named(reference, &now.id)) {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Build,
        format!("{reference}, which {} is made from, was given to another image meanwhile", service.name),
    )
    .cause("another app on the server builds under that name, or somebody did by hand")
    .hint("give it a name of its own (image: in the Compose file), or deploy the apps one after the other"))
}

/// Fetches base images that are missing, or all with `--pull`; but for those that the project builds itself, since what a
/// registry has by such a name is a stranger's. A registry that does not answer is only told of: the build finds out whether
/// it can do without.
async fn refresh_bases(job: &Job, planned: &Planned, service: &Service, from: &[String]) {
    let is_own = |image: &str| bases::builders(&planned.model, service, image).next().is_some();
    for reference in from.iter().filter(|reference| !is_own(reference)) {
        let here = job.agent.engine.image(reference).await.ok().flatten();
        if here.is_some() && !planned.pull {
            continue;
        }
        match (fetch(job, None, reference).await, here) {
            // What was built on the old one has its layers; without a name and a container it is waste.
            (Ok(now), Some(old)) if now != old.id => {
                if let Err(error) = job.agent.engine.remove_nameless(&old.id).await {
                    tracing::warn!(job = %job.id, %error, "cannot remove a base image that was replaced");
                }
            }
            (Ok(_), _) => {}
            (Err(error), here) => {
                let instead = if here.is_some() { ", the one on the server is used" } else { "" };
                job.record
                    .warn(format!("the base image {reference} cannot be fetched{instead}: {error}"))
                    .await;
            }
        }
    }
}

async fn by_compose(job: &Job, planned: &Planned, service: &Service, pull: bool) -> Result<String, Failure> {
    let reference = planned.model.image_reference(service);
    let engine = &job.agent.engine;
    // Compose tags what it builds with the names that production runs by; that is undone if the deploy fails.
    for built in built_with(&planned.model, service) {
        let reference = planned.model.image_reference(built);
        let before = engine.image(&reference).await.map_err(|e| failures::of_engine(&e))?;
        let before = before.map(|image| image.id);
        journal(job, Undo::Tag { reference, before, after: String::new() }).await?;
    }
    let stack = compose::staged(&job.agent, &job.spec, &job.beside, Some(planned.project.clone()), &job.seat);
    let built = job
        .record
        .with_output(Step::Build, Some(&service.name), |lines| async move {
            stack
                .project()
                .build_fallback(&service.name, true, pull, BUILD_LIMIT, |_, line| lines.push(line))
                .await
        })
        .await;
    built.map_err(|e| Failure::from_error(FailureKind::Build, &e))?;
    let image = engine.image(&reference).await.map_err(|e| failures::of_engine(&e))?;
    image.map(|image| image.id).ok_or_else(|| {
        Failure::new(FailureKind::Build, format!("docker compose built no image for {}", service.name))
    })
}

/// What Compose builds with a service: itself, and the services whose images it takes as contexts, and theirs.
fn built_with<'a>(model: &'a Model, service: &'a Service) -> Vec<&'a Service> {
    let mut all = vec![service];
    let mut at = 0;
    while let Some(build) = all.get(at).map(|service| &service.build) {
        let contexts = build.iter().flat_map(|build| build.additional_contexts.values());
        let of_services = contexts.filter_map(|context| model.service(context.strip_prefix("service:")?));
        for other in of_services.filter(|other| other.build.is_some()) {
            if all.iter().all(|service| service.name != other.name) {
                all.push(other);
            }
        }
        at += 1;
    }
    all
}

/// The old image where the new one has the same content: then its container need not be made anew.
async fn kept_if_equal(
    job: &Job,
    planned: &Planned,
    service: &Service,
    id: String,
) -> Result<String, Failure> {
    let engine = &job.agent.engine;
    let Some(old) = planned.image_before(service) else { return Ok(id) };
    let facts = |id: String| async move { engine.image(&id).await.map_err(|e| failures::of_engine(&e)) };
    let (Some(before), Some(now)) = (facts(old.clone()).await?, facts(id.clone()).await?) else {
        return Ok(id);
    };
    if before.content != now.content {
        return Ok(id);
    }
    job.record
        .note(format!("{} was built anew and is the same as before: its container stays", service.name))
        .await;
    if old != id {
        engine.remove_image(&id).await.map_err(|e| failures::of_engine(&e))?;
    }
    Ok(old)
}

fn build_failed(service: &Service, error: &BuildError) -> Failure {
    let cause = Failure::from_error(FailureKind::Build, error);
    let mut failure =
        Failure::new(FailureKind::Build, format!("the image of {} could not be built", service.name))
            .cause(cause.message);
    for cause in cause.causes {
        failure = failure.cause(cause);
    }
    failure.hint(format!("correct the build of {}; production was not touched", service.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_under_a_name_that_services_share_is_ours_and_a_strangers_is_not() {
        let image = |reference: &str, id: &str| ReleaseImage {
            reference: reference.to_owned(),
            id: id.to_owned(),
            built: true,
            pinned: None,
        };
        let by_service = [("base", "shop/base", "1"), ("tools", "shop/base", "2"), ("web", "shop-web", "3")];
        let by_service = by_service.map(|(name, reference, id)| (name.to_owned(), image(reference, id)));
        let images = Images { by_service: by_service.into(), inputs: BTreeMap::new() };
        for (id, ours) in [("1", true), ("2", true), ("3", false), ("4", false)] {
            assert_eq!(images.are_named("shop/base", id), ours, "{id}");
        }
    }

    #[test]
    fn services_that_share_a_build_have_its_inputs() {
        let mut images = Images { by_service: BTreeMap::new(), inputs: BTreeMap::new() };
        images.inputs.insert("web".to_owned(), Digest::of(b"on the new base"));
        images.made_as("worker", "web");
        images.made_as("cron", "built by Compose");
        assert_eq!(images.inputs.get("worker"), images.inputs.get("web"));
        assert_eq!(images.inputs.get("cron"), None);
    }

    #[test]
    fn compose_builds_what_a_service_takes_as_contexts_too() {
        let build = |name: &str, at: &str| {
            format!(r#""{name}":{{"build":{{"context":"/a","additional_contexts":{{"x":"{at}"}}}}}}"#)
        };
        let services = [
            build("web", "service:base"),
            build("base", "service:core"),
            build("core", "service:web"),
            build("api", "service:ready"),
            r#""ready":{"image":"x"}"#.to_owned(),
        ];
        let model =
            Model::parse(&format!(r#"{{"name":"p","services":{{{}}}}}"#, services.join(",")), "/a", "/a")
                .unwrap();
        let names = |service: &str| -> Vec<&str> {
            built_with(&model, model.service(service).unwrap()).iter().map(|s| s.name.as_str()).collect()
        };
        assert_eq!(names("web"), ["web", "base", "core"]);
        assert_eq!(names("api"), ["api"]);
    }
}
