//! Which images of a release may go to another server, and which of another server's would do here.
//!
//! **Invariant**: an image leaves only where nothing went into it but the project's files and images that no service of it
//! builds: no argument, no secret, and no other image of the project, which may hold either. Where a base image comes from is
//! not asked: what somebody baked into one by hand goes with it.

use crate::agent::Agent;
use crate::failures;
use wharf_engine::{Engine, EngineInfo};
use wharf_plan::model::Service;
use wharf_proto::release::{OfferedImages, PortableImage};
use wharf_proto::{Digest, Failure};
use wharf_state::ReleaseRecord;

/// How much of another server's reason is told.
const REASON_CHARS: usize = 200;

const BAKES: &str =
    "arguments, secrets or another image of the project go into it, or what does was not recorded";
/// The first version of Docker Engine whose archives are read; those before it leave the image out of their index.
const FIRST_ENGINE: [u32; 3] = [25, 0, 3];

/// Whether images can go to and come from an engine, or why not.
pub fn travels(engine: &EngineInfo) -> Result<(), &'static str> {
    if engine.containerd_store {
        return Err("an engine keeps images in containerd's store, where an ID means something else");
    }
    let mut numbers = engine.version.split(['.', '+', '-', '~']).map_while(|part| part.parse::<u32>().ok());
    if [(); 3].map(|()| numbers.next().unwrap_or(0)) < FIRST_ENGINE {
        return Err(
            "an engine is older than Docker Engine 25.0.3, which writes archives that can be checked",
        );
    }
    Ok(())
}

/// The images of a release as they can be sent.
///
/// # Errors
/// The engine does not answer.
pub async fn offered(agent: &Agent, release: &ReleaseRecord) -> Result<OfferedImages, Failure> {
    let engine = &agent.engine;
    let travels = travels(&engine.info().await.map_err(|e| failures::of_engine(&e))?);
    let mut offered = OfferedImages::default();
    for (service, image) in release.images.iter().filter(|(_, image)| image.built) {
        let inputs = release.inputs.get(service).and_then(|inputs| inputs.portable);
        let reason = match (travels, inputs) {
            (Err(why), _) => why,
            (Ok(()), None) => BAKES,
            (Ok(()), Some(inputs)) => match portable(engine, service, &image.id, inputs).await? {
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
    if let Err(why) = travels(&engine.info().await.map_err(|e| failures::of_engine(&e))?) {
        return no(why);
    }
    let platform = engine.platform().await.map_err(|e| failures::of_engine(&e))?;
    if platform != image.platform {
        return no(&format!("it is for {}, and this server is {platform}", image.platform));
    }
    let here = engine.baggage(&image.id()).await.map_err(|e| failures::of_engine(&e))?;
    Ok(Ok(here.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_travel_between_engines_whose_archives_can_be_checked() {
        let engine = |version: &str, containerd_store| EngineInfo {
            version: version.into(),
            api_version: "1.45".into(),
            root_dir: "/var/lib/docker".into(),
            containerd_store,
            architecture: "x86_64".into(),
        };
        for (version, containerd_store, expected) in [
            ("26.1.5+dfsg1", false, true),
            ("25.0.3", false, true),
            ("25.0.2", false, false),
            ("28.5", false, true),
            ("24.0.9", false, false),
            ("29.0.1", true, false),
            ("", false, false),
        ] {
            assert_eq!(travels(&engine(version, containerd_store)).is_ok(), expected, "{version}");
        }
    }
}
