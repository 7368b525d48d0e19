//! What happens to each service, and why.

use crate::facts::{ContainerFacts, ContainerState};
use crate::inputs::{InputsError, mounted_paths};
use crate::model::{Model, Service};
use std::collections::{BTreeMap, BTreeSet};
use wharf_proto::plan::{ContainerAction, ImageAction, ServicePlan};
use wharf_proto::{Digest, RelPath};

/// What is to be done about a service's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDecision {
    pub action: ImageAction,
    pub why: Vec<String>,
}

/// What is known of a service's image.
pub struct ImageFactsOf<'a> {
    pub service: &'a Service,
    /// The inputs of the image that serves; `None` where they were never recorded.
    pub before: Option<Digest>,
    /// The inputs now; `None` for a service that is not built.
    pub now: Option<Result<Digest, InputsError>>,
    /// Context paths that changed, where both are known.
    pub changed: &'a [RelPath],
    /// Whether the image is on the engine.
    pub present: bool,
    /// The services whose images it is made from, and that get another one.
    pub changing_bases: &'a [String],
    pub rebuild: bool,
    pub pull: bool,
    pub origin: Origin<'a>,
}

/// Whose source it is that is shipped, and what that release's own image is good for.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// The laptop's.
    Laptop,
    /// A release that another app of the same agent runs.
    Here {
        /// As people call it: `staging v12`.
        name: &'a str,
        /// What its image was made from; `None` where that was never recorded.
        inputs: Option<Digest>,
        /// Whether that image is on the engine.
        present: bool,
    },
    /// A release of another server, as the client says.
    Elsewhere { name: &'a str, image: Travelled<'a> },
}

/// What became of the image that a service of another server's release runs.
#[derive(Debug, Clone, Copy)]
pub enum Travelled<'a> {
    /// It is here, and was made from the same files.
    Here,
    /// It would do, and is sent where this comes true.
    Awaited,
    /// It does not come, and why.
    No(&'a str),
}

/// Decides whether an image is built, pulled or kept.
pub fn image_decision(facts: &ImageFactsOf<'_>) -> ImageDecision {
    let decide = |action, why: &str| ImageDecision { action, why: vec![why.to_owned()] };
    if facts.service.build.is_none() {
        return match (facts.present, facts.pull || facts.service.pull_policy.as_deref() == Some("always")) {
            (false, _) => decide(ImageAction::Pull, "the image is not on the server"),
            (true, true) => decide(ImageAction::Pull, "--pull"),
            (true, false) => ImageDecision { action: ImageAction::Keep, why: vec![] },
        };
    }
    if facts.rebuild {
        return decide(ImageAction::Build, "--rebuild");
    }
    let own = own_image(facts);
    if own.action == ImageAction::Keep {
        return own;
    }
    match facts.origin {
        Origin::Laptop => own,
        Origin::Here { name, inputs, present } => match (&facts.now, inputs) {
            (Some(Ok(now)), Some(inputs)) if *now == inputs && present => {
                ImageDecision { action: ImageAction::Reuse, why: vec![format!("the image of {name}")] }
            }
            (Some(Ok(now)), Some(inputs)) if *now == inputs => ImageDecision {
                action: ImageAction::Build,
                why: vec![format!("the image of {name} is no longer on the server")],
            },
            // The source is the very same.
            (Some(Ok(_)), Some(_)) => ImageDecision {
                action: ImageAction::Build,
                why: vec![format!("an argument, a secret or a base image is not that of {name}")],
            },
            _ => own,
        },
        Origin::Elsewhere { name, image: Travelled::Here } => ImageDecision {
            action: ImageAction::Reuse,
            why: vec![format!("the image of {name}, from its server")],
        },
        Origin::Elsewhere { name, image: Travelled::Awaited } => ImageDecision {
            action: ImageAction::Reuse,
            why: vec![format!("the image of {name}, which its server sends")],
        },
        Origin::Elsewhere { name, image: Travelled::No(why) } => {
            let why = format!(
                "{name} runs on another server, and its image is not sent ({why}): built here from its source"
            );
            ImageDecision { action: own.action, why: own.why.into_iter().chain([why]).collect() }
        }
    }
}

/// Whether the app's own image does, by what is known of it.
fn own_image(facts: &ImageFactsOf<'_>) -> ImageDecision {
    let decide = |action, why: &str| ImageDecision { action, why: vec![why.to_owned()] };
    if !facts.present {
        return decide(ImageAction::Build, "there is no image yet");
    }
    // What goes into those is not known before they are built.
    if !facts.changing_bases.is_empty() {
        let why = format!("made from an image that changes: {}", facts.changing_bases.join(", "));
        return decide(ImageAction::Build, &why);
    }
    match (&facts.before, &facts.now) {
        (_, None | Some(Err(InputsError::ContextElsewhere(_)))) => {
            decide(ImageAction::Build, "what the image is built from cannot be compared")
        }
        (_, Some(Err(error))) => decide(ImageAction::Build, &error.to_string()),
        (None, _) => decide(ImageAction::Build, "it is not known what the image was built from"),
        (Some(before), Some(Ok(now))) if before == now => {
            ImageDecision { action: ImageAction::Keep, why: vec![] }
        }
        (Some(_), Some(Ok(_))) if facts.changed.is_empty() => {
            decide(ImageAction::Build, "the Dockerfile, an argument, a secret or a base image changed")
        }
        (Some(_), Some(Ok(_))) => {
            ImageDecision { action: ImageAction::Build, why: vec![told("context changed", facts.changed)] }
        }
    }
}

/// What the plans of all services are made from.
pub struct ServiceFacts<'a> {
    pub model: &'a Model,
    /// The stack's containers.
    pub now: &'a [ContainerFacts],
    pub images: &'a BTreeMap<String, ImageDecision>,
    /// The live release's digests, by service; empty where nothing was recorded.
    pub before: &'a BTreeMap<String, ServiceDigests>,
    /// Those of the next release.
    pub next: &'a BTreeMap<String, ServiceDigests>,
    /// `docker compose config --hash '*'` for the next model.
    pub config_hashes: &'a BTreeMap<String, String>,
    /// The project's paths that the overlay writes or removes.
    pub touched: &'a [RelPath],
}

/// What a service's containers are made from, besides the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceDigests {
    /// [`Model::service_digest`].
    pub definition: Digest,
    /// [`crate::inputs::mounted_inputs`].
    pub mounted: Digest,
}

/// The plan of every service: those of the model in starting order, then those that it lacks.
pub fn service_plans(facts: &ServiceFacts<'_>) -> Vec<ServicePlan> {
    let mut plans: Vec<ServicePlan> = facts.model.start_order().into_iter().map(|s| plan(facts, s)).collect();
    let gone: BTreeSet<&str> = facts
        .now
        .iter()
        .filter(|c| !c.one_off && facts.model.service(&c.service).is_none())
        .map(|c| c.service.as_str())
        .collect();
    plans.extend(gone.into_iter().map(|service| ServicePlan {
        service: service.to_owned(),
        image: ImageAction::Keep,
        container: ContainerAction::Remove,
        why: vec!["the Compose files do not have it any more".into()],
    }));
    plans
}

fn plan(facts: &ServiceFacts<'_>, service: &Service) -> ServicePlan {
    let decision = facts.images.get(&service.name);
    let image = decision.map_or(ImageAction::Keep, |d| d.action);
    let containers: Vec<&ContainerFacts> =
        facts.now.iter().filter(|c| c.service == service.name && !c.one_off).collect();
    let image_why = || decision.map(|d| d.why.clone()).unwrap_or_default();
    let done = |container, why| ServicePlan { service: service.name.clone(), image, container, why };
    if containers.is_empty() {
        let wanted = service.replicas > 0;
        let action = if wanted { ContainerAction::Create } else { ContainerAction::Keep };
        let why = if wanted { vec!["not running".to_owned()] } else { vec![] };
        return done(action, why.into_iter().chain(image_why()).collect());
    }
    let mut why = if image == ImageAction::Keep { vec![] } else { image_why() };
    why.extend(definition_changed(facts, service, &containers));
    why.extend(mounted_changed(facts, service));
    if !why.is_empty() || image != ImageAction::Keep {
        return done(ContainerAction::Recreate, why);
    }
    let count = containers.len();
    if count != service.replicas as usize {
        return done(ContainerAction::Create, vec![format!("replicas: {count} → {}", service.replicas)]);
    }
    if containers.iter().any(|c| !runs_or_ended_well(facts.model, service, c)) {
        return done(ContainerAction::Create, vec!["not running".into()]);
    }
    done(ContainerAction::Keep, vec![])
}

fn definition_changed(
    facts: &ServiceFacts<'_>,
    service: &Service,
    containers: &[&ContainerFacts],
) -> Option<String> {
    let digests = (facts.before.get(&service.name), facts.next.get(&service.name));
    let by_digest = matches!(digests, (Some(before), Some(next)) if before.definition != next.definition);
    let hash = facts.config_hashes.get(&service.name);
    let by_hash = hash.is_some_and(|hash| containers.iter().any(|c| c.config_hash != *hash));
    (by_digest || by_hash).then(|| "definition changed".to_owned())
}

fn mounted_changed(facts: &ServiceFacts<'_>, service: &Service) -> Option<String> {
    let places: Vec<Option<RelPath>> =
        mounted_paths(facts.model, service).into_iter().filter_map(|path| path.in_project).collect();
    let seen = |path: &RelPath| places.iter().any(|p| p.as_ref().is_none_or(|place| path.is_within(place)));
    let changed: Vec<RelPath> = facts.touched.iter().filter(|path| seen(path)).cloned().collect();
    if !changed.is_empty() {
        return Some(told("mounted file changed", &changed));
    }
    let digests = (facts.before.get(&service.name), facts.next.get(&service.name));
    matches!(digests, (Some(before), Some(next)) if before.mounted != next.mounted)
        .then(|| "a mounted file changed".to_owned())
}

fn runs_or_ended_well(model: &Model, service: &Service, container: &ContainerFacts) -> bool {
    match container.state {
        ContainerState::Running | ContainerState::Restarting => true,
        ContainerState::Exited => model.is_one_shot(service) && container.exit_code == Some(0),
        ContainerState::Created
        | ContainerState::Paused
        | ContainerState::Removing
        | ContainerState::Dead => false,
    }
}

/// `what: a, b and 3 more`.
fn told(what: &str, paths: &[RelPath]) -> String {
    const TOLD: usize = 3;
    let names: Vec<String> = paths.iter().take(TOLD).map(ToString::to_string).collect();
    let more = paths.len().saturating_sub(TOLD);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{what}: {}{rest}", names.join(", "))
}

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;
