//! Which images of a release may go to another server, and which of another server's would do here.
//!
//! **Invariant**: an image leaves only where nothing went into it but the project's files and images of registries: no
//! argument, no secret, and no other image of the project, which may hold either.

use crate::agent::Agent;
use crate::failures;
use wharf_engine::Engine;
use wharf_plan::model::Service;
use wharf_proto::release::{OfferedImages, PortableImage};
use wharf_proto::{Digest, Failure};
use wharf_state::ReleaseRecord;

/// How much of another server's reason is told.
const REASON_CHARS: usize = 200;

const BAKES: &str =
    "arguments, secrets or another image of the project go into it, or what does was not recorded";
const OTHER_STORE: &str = "the engine keeps images in containerd's store, where an ID means something else";

/// The images of a release as they can be sent.
///
/// # Errors
/// The engine does not answer.
pub async fn offered(agent: &Agent, release: &ReleaseRecord) -> Result<OfferedImages, Failure> {
    let engine = &agent.engine;
    let other_store = engine.info().await.map_err(|e| failures::of_engine(&e))?.containerd_store;
    let mut offered = OfferedImages::default();
    for (service, image) in release.images.iter().filter(|(_, image)| image.built) {
        let inputs = release.inputs.get(service).and_then(|inputs| inputs.portable);
        let reason = match (other_store, inputs) {
            (true, _) => OTHER_STORE,
            (false, None) => BAKES,
            (false, Some(inputs)) => match portable(engine, service, &image.id, inputs).await? {
                Some(image) => {
                    offered.images.push(image);
                    continue;
                }
                None => "it is no longer on that server",
            },
        };
        offered.kept.insert(service.clone(), reason.to_owned());
    }
    Ok(offered)
}

async fn portable(
    engine: &Engine,
    service: &str,
    id: &str,
    inputs: Digest,
) -> Result<Option<PortableImage>, Failure> {
    let image = id.strip_prefix("sha256:").and_then(|hex| hex.parse().ok());
    let baggage = engine.baggage(id).await.map_err(|e| failures::of_engine(&e))?;
    let (Some(image), Some(baggage)) = (image, baggage) else { return Ok(None) };
    Ok(Some(PortableImage {
        service: service.to_owned(),
        image,
        inputs,
        platform: baggage.platform,
        layers: baggage.layers,
        size_bytes: baggage.size_bytes,
    }))
}

/// Whether the image that a service has on another server is here, or would do once it is (`false`), or why it does not.
/// `inputs` are those of the image that would be built here.
///
/// # Errors
/// The engine does not answer.
pub async fn travelled(
    engine: &Engine,
    offered: Option<&OfferedImages>,
    service: &Service,
    inputs: Option<Digest>,
) -> Result<Result<bool, String>, Failure> {
    let no = |why: &str| Ok(Err(why.chars().filter(|c| !c.is_control()).take(REASON_CHARS).collect()));
    let Some(offered) = offered else { return no("its wharfd or this wharf is too old for that") };
    let Some(image) = offered.of(&service.name) else {
        return no(offered.kept.get(&service.name).map_or(BAKES, String::as_str));
    };
    if inputs != Some(image.inputs) {
        return no("it is built in another way here: an environment has a part in it");
    }
    if engine.info().await.map_err(|e| failures::of_engine(&e))?.containerd_store {
        return no(OTHER_STORE);
    }
    let platform = engine.platform().await.map_err(|e| failures::of_engine(&e))?;
    if platform != image.platform {
        return no(&format!("it is for {}, and this server is {platform}", image.platform));
    }
    let here = engine.baggage(&image.id()).await.map_err(|e| failures::of_engine(&e))?;
    Ok(Ok(here.is_some()))
}
