//! Which image each service of the next release runs, and why.

use super::images::{Recipe, Staged, Way};
use super::survey::{self, Survey};
use super::{Source, Work};
use crate::agent::Agent;
use crate::failures;
use crate::layout::Beside;
use crate::promote::images;
use std::collections::{BTreeMap, BTreeSet};
use wharf_plan::Model;
use wharf_plan::bases::{self, MadeFrom};
use wharf_plan::inputs::{changed_paths, folder_entries, mounted_inputs};
use wharf_plan::model::{Context, Service};
use wharf_plan::services::{self, ImageFactsOf, image_decision};
use wharf_proto::plan::ImageAction;
use wharf_proto::release::{OfferedImages, PortableImage};
use wharf_proto::{Digest, Failure, RelPath};
use wharf_state::{ReleaseRecord, ServiceInputs};

/// Where a service's image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageDecision {
    Keep {
        id: String,
    },
    /// `optional`: there is one already, which serves where the registry does not answer.
    Pull {
        optional: bool,
    },
    Build,
}

/// What was decided about images.
pub struct Decided {
    pub images: BTreeMap<String, ImageDecision>,
    pub why: BTreeMap<String, services::ImageDecision>,
    pub inputs: BTreeMap<String, ServiceInputs>,
    /// The versions that were started until now, by file.
    pub highest: BTreeMap<String, String>,
    /// Images of another server's release that would serve, and are not here yet.
    pub awaited: Vec<Digest>,
    /// The services whose images others are made from.
    pub made_from: MadeFrom,
}

/// Decides every service's image, and digests what its containers are made from.
///
/// # Errors
/// A build that cannot be read, an engine that does not answer.
pub async fn decide(
    agent: &Agent,
    work: &Work,
    beside: &Beside,
    survey: &Survey,
) -> Result<Decided, Failure> {
    let staged = Staged {
        engine: &agent.engine,
        model: &survey.model,
        manifest: &work.manifest,
        beside,
        env: &survey.env,
        key: &survey.key,
    };
    let highest = agent.state.highest_versions(&work.spec.app).await.map_err(|e| failures::of_state(&e))?;
    let mut decided = Decided {
        images: BTreeMap::new(),
        why: BTreeMap::new(),
        inputs: BTreeMap::new(),
        highest,
        awaited: Vec::new(),
        made_from: MadeFrom::new(),
    };
    let origin = origin(agent, work).await?;
    let mut ways = ways(&staged, work, &mut decided)?;
    for service in bases::build_order(&survey.model, &decided.made_from) {
        let way = ways.remove(&service.name);
        let (image, portable) = match &work.source {
            Source::Shipped { rebuild, pull, .. } => {
                let asked = Asked { rebuild: *rebuild, pull: *pull, origin: origin.as_ref() };
                decide_shipped(&staged, work, survey, (service, way), asked, &mut decided).await?
            }
            Source::Again | Source::Recovered { .. } => {
                let asked = Asked::default();
                decide_shipped(&staged, work, survey, (service, way), asked, &mut decided).await?
            }
            Source::Earlier { images, .. } => {
                decide_earlier(
                    survey,
                    service,
                    images.get(&service.name).map(|image| image.id.as_str()),
                    &mut decided,
                );
                (Digest::of(b""), None)
            }
        };
        let server_file = |path: &str| Some(survey.key.digest(&std::fs::read(path).ok()?));
        let inputs = ServiceInputs {
            image,
            mounted: mounted_inputs(&survey.model, service, &work.manifest, &server_file, &survey.key),
            definition: survey.model.service_digest(service, &survey.env, &survey.key),
            portable,
        };
        decided.inputs.insert(service.name.clone(), inputs);
    }
    Ok(decided)
}

/// How each service is built that is, and what of the project's own goes into it; none for a rollback, which builds nothing.
fn ways(staged: &Staged<'_>, work: &Work, decided: &mut Decided) -> Result<BTreeMap<String, Way>, Failure> {
    let mut ways = BTreeMap::new();
    if matches!(work.source, Source::Earlier { .. }) {
        return Ok(ways);
    }
    for service in staged.model.services() {
        let Some(build) = &service.build else { continue };
        let way = staged.way(service, build)?;
        let bases = bases::bases(staged.model, service, way.from());
        if !bases.is_empty() {
            decided.made_from.insert(service.name.clone(), bases);
        }
        ways.insert(service.name.clone(), way);
    }
    Ok(ways)
}

/// What was asked for besides, and whose source it is.
#[derive(Clone, Copy, Default)]
struct Asked<'a> {
    rebuild: bool,
    pull: bool,
    origin: Option<&'a Origin>,
}

/// The release that is promoted.
struct Origin {
    /// As people call it.
    name: String,
    /// What this agent knows of it, where it is one of its own.
    record: Option<ReleaseRecord>,
    /// Its images as they can be sent, where it is another agent's.
    images: Option<OfferedImages>,
}

impl Origin {
    fn of<'a>(
        &'a self,
        service: &Service,
        present: bool,
        travelled: &'a Result<bool, String>,
    ) -> services::Origin<'a> {
        match &self.record {
            None => services::Origin::Elsewhere {
                name: &self.name,
                image: match travelled {
                    Ok(true) => services::Travelled::Here,
                    Ok(false) => services::Travelled::Awaited,
                    Err(why) => services::Travelled::No(why),
                },
            },
            Some(record) => services::Origin::Here {
                name: &self.name,
                inputs: record.inputs.get(&service.name).map(|inputs| inputs.image),
                present,
            },
        }
    }
}

async fn origin(agent: &Agent, work: &Work) -> Result<Option<Origin>, Failure> {
    let Some(from) = work.promotes() else { return Ok(None) };
    let (record, images) = match &work.source {
        Source::Shipped { from_here: true, .. } => {
            (agent.state.release(&from.app, from.release).await.map_err(|e| failures::of_state(&e))?, None)
        }
        Source::Shipped { images, .. } => (None, images.clone()),
        _ => (None, None),
    };
    Ok(Some(Origin { name: from.to_string(), record, images }))
}

/// Decides one service's image; the digest of what it is built from, and the one that other agents can compare.
async fn decide_shipped(
    staged: &Staged<'_>,
    work: &Work,
    survey: &Survey,
    (service, way): (&Service, Option<Way>),
    asked: Asked<'_>,
    decided: &mut Decided,
) -> Result<(Digest, Option<Digest>), Failure> {
    let live = survey.live.as_ref();
    let reference = survey.model.image_reference(service);
    let running = || {
        survey
            .stack
            .containers
            .iter()
            .find(|c| c.service == service.name && !c.one_off)
            .map(|c| c.image_id.clone())
    };
    let serving = match &service.build {
        // What was built for the live release, whatever Compose's name for it means by now.
        Some(_) => live
            .and_then(|live| live.images.get(&service.name))
            .map(|image| image.id.clone())
            .or_else(running),
        None => survey.images.get(&reference).map(|image| image.id.clone()),
    };
    let present = match &serving {
        Some(id) => staged.engine.image(id).await.map_err(|e| failures::of_engine(&e))?.is_some(),
        None => false,
    };
    let on_own = decided.made_from.contains_key(&service.name);
    let own = own_bases(&survey.model, service, decided);
    let (now, portable, changed) = match &way {
        Some(Way::Engine(recipe)) => {
            // What an environment sets may be in the image that it is made from.
            let portable = if on_own { None } else { recipe.portable() };
            let digest = staged.digest(recipe, &own.kept).await?;
            (digest, portable, changed_context(survey, recipe, service))
        }
        Some(Way::Compose { .. }) | None => (None, None, Vec::new()),
    };
    let before = live.and_then(|live| live.inputs.get(&service.name)).map(|inputs| inputs.image);
    let travels = asked.origin.filter(|origin| origin.record.is_none() && service.build.is_some());
    let offered = travels.and_then(|origin| origin.images.as_ref()?.of(&service.name));
    let travelled = match travels {
        Some(origin) => images::travelled(staged.engine, origin.images.as_ref(), service, portable).await?,
        None => Err(String::new()),
    };
    let awaits = work.options.dry_run && matches!(travelled, Ok(false));
    let travelled = match travelled {
        Ok(false) if !awaits => Err("it was not sent, or is no longer here".to_owned()),
        other => other,
    };
    let twin = asked.origin.and_then(|origin| origin.record.as_ref()?.images.get(&service.name));
    let twin = match twin {
        Some(image)
            if staged.engine.image(&image.id).await.map_err(|e| failures::of_engine(&e))?.is_some() =>
        {
            Some(image.id.clone())
        }
        _ => offered.filter(|_| travelled == Ok(true)).map(PortableImage::id),
    };
    let why = image_decision(&ImageFactsOf {
        service,
        before,
        now: now.map(Ok),
        changed: &changed,
        present,
        changing_bases: &own.changing,
        rebuild: asked.rebuild,
        pull: asked.pull,
        origin: match asked.origin {
            Some(origin) if !on_own || origin.record.is_none() => {
                origin.of(service, twin.is_some(), &travelled)
            }
            _ => services::Origin::Laptop,
        },
    });
    let decision = match (why.action, serving) {
        (ImageAction::Reuse, _) if awaits => {
            decided.awaited.extend(offered.map(|offered| offered.image));
            ImageDecision::Build
        }
        // Nothing here decides the unknown.
        (ImageAction::Build | ImageAction::Unknown, _) => ImageDecision::Build,
        (ImageAction::Pull, _) => ImageDecision::Pull { optional: present },
        (ImageAction::Reuse, _) => twin.map_or(ImageDecision::Build, |id| ImageDecision::Keep { id }),
        (ImageAction::Keep, Some(id)) => ImageDecision::Keep { id },
        (ImageAction::Keep, None) => ImageDecision::Pull { optional: false },
    };
    decided.images.insert(service.name.clone(), decision);
    decided.why.insert(service.name.clone(), why);
    // Never equal to another release's: what is not known is built anew the next time, too.
    let now = now.unwrap_or_else(|| {
        Digest::of(format!("{} {} {}", work.spec.app, work.release, service.name).as_bytes())
    });
    Ok((now, portable))
}

/// The images of the project that a service's own is made from, once the release is there. One that another app made from its
/// own base is not the same, though the name means that one's until then.
struct OwnBases {
    /// What stays, by its plain name.
    kept: BTreeMap<String, String>,
    /// The services that get another.
    changing: Vec<String>,
}

fn own_bases(model: &Model, service: &Service, decided: &Decided) -> OwnBases {
    let mut own = OwnBases { kept: BTreeMap::new(), changing: Vec::new() };
    for base in decided.made_from.get(&service.name).into_iter().flatten() {
        let stays = decided.why.get(base).is_some_and(|why| why.action == ImageAction::Keep);
        match (decided.images.get(base), model.service(base)) {
            (Some(ImageDecision::Keep { id }), Some(base)) if stays => {
                own.kept.insert(bases::plain(&model.image_reference(base)).to_owned(), id.clone());
            }
            // One that is not decided yet is made from this one in turn: nothing is known of either.
            _ => own.changing.push(base.clone()),
        }
    }
    own
}

fn changed_context(survey: &Survey, recipe: &Recipe, service: &Service) -> Vec<RelPath> {
    let Some(live) = survey::shipped(survey.live.as_ref()) else { return Vec::new() };
    let Some(Context::Project(folder)) = service.build.as_ref().map(|build| &build.context) else {
        return Vec::new();
    };
    let taken: BTreeSet<&RelPath> = recipe.context().iter().map(|entry| &entry.path).collect();
    let before = folder_entries(live, folder.as_ref());
    changed_paths(&before, recipe.context())
        .into_iter()
        .filter(|path| taken.contains(path) || before.iter().any(|e| e.path == *path))
        .collect()
}

fn decide_earlier(survey: &Survey, service: &Service, id: Option<&str>, decided: &mut Decided) {
    let serves_now =
        survey.stack.containers.iter().any(|c| c.service == service.name && Some(c.image_id.as_str()) == id);
    let action = if serves_now { ImageAction::Keep } else { ImageAction::Reuse };
    let why = if serves_now { Vec::new() } else { vec!["the image of the earlier release".to_owned()] };
    if let Some(id) = id {
        decided.images.insert(service.name.clone(), ImageDecision::Keep { id: id.to_owned() });
    }
    decided.why.insert(service.name.clone(), services::ImageDecision { action, why });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_own_base_will_be_is_known_only_where_it_is_kept() {
        let model = r#"{"name":"shop","services":{"base":{"image":"docker.io/shop/base:latest","build":{"context":"/a"}},
            "web":{"build":{"context":"/a"}}}}"#;
        let model = Model::parse(model, "/a", "/a").unwrap();
        let keep = || ImageDecision::Keep { id: "sha256:1".to_owned() };
        for (base, action, kept) in [
            (Some(keep()), ImageAction::Keep, true),
            // Another app's, in a promotion.
            (Some(keep()), ImageAction::Reuse, false),
            // Another server's, in the plan of a promotion.
            (Some(ImageDecision::Build), ImageAction::Reuse, false),
            (Some(ImageDecision::Build), ImageAction::Build, false),
            // Not yet decided: each is made from the other.
            (None, ImageAction::Unknown, false),
        ] {
            let mut decided = Decided {
                images: BTreeMap::new(),
                why: BTreeMap::new(),
                inputs: BTreeMap::new(),
                highest: BTreeMap::new(),
                awaited: Vec::new(),
                made_from: MadeFrom::from([("web".to_owned(), BTreeSet::from(["base".to_owned()]))]),
            };
            if let Some(base) = base {
                decided.images.insert("base".to_owned(), base);
                decided.why.insert("base".to_owned(), services::ImageDecision { action, why: Vec::new() });
            }
            let own = own_bases(&model, model.service("web").unwrap(), &decided);
            let stays = own.kept.get("shop/base").map(String::as_str);
            assert_eq!(stays, kept.then_some("sha256:1"), "{action:?}");
            assert_eq!(own.changing.is_empty(), kept, "{action:?}");
        }
    }
}
