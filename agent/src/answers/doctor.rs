//! What a deploy and its data need of this server: facts for `wharf doctor`, which judges them.
//!
//! **Invariant**: it looks, and changes nothing. An app that is not there, or not the key's, is left out like one that was
//! never deployed.

use super::status;
use crate::agent::Agent;
use crate::{failures, passwd, room};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use wharf_access::Permit;
use wharf_plan::ground;
use wharf_proto::doctor::{DiskFacts, DiskPlace, DiskUse, EngineFacts, MemoryFacts, ServerFacts};
use wharf_proto::message::Reply;
use wharf_proto::release::DiskSpace;
use wharf_proto::{AppName, Failure};

/// Looks at the server, and at one app.
///
/// # Errors
/// The state does not answer, or the engine stops doing so on the way.
pub async fn look(agent: &Agent, permit: &Permit, app: Option<&AppName>) -> Result<Reply, Failure> {
    let asked = agent.clock.now();
    let mut known = agent.state.apps().await.map_err(|e| failures::of_state(&e))?;
    known.retain(|record| permit.covers(&record.app));
    let apps = u32::try_from(known.len()).unwrap_or(u32::MAX);
    let record = known.into_iter().find(|record| Some(&record.app) == app);
    let engine = agent.engine.info().await.ok();
    let mut places = vec![(DiskUse::State, agent.layout.state().to_owned())];
    places.extend(engine.as_ref().map(|engine| (DiskUse::Docker, engine.root_dir.clone())));
    places.extend(record.as_ref().map(|record| (DiskUse::App, PathBuf::from(&record.path))));
    let looked = tokio::task::spawn_blocking(move || (disks(&places), memory()));
    let (disks, memory) = looked.await.unwrap_or_default();
    // Without the engine nothing is known of what runs.
    let app = match record.filter(|_| engine.is_some()) {
        Some(record) => {
            let mut facts = status::look(agent, &record).await?;
            facts.certificates = agent.certificates.look(&record.spec.health, agent.clock.now()).await;
            Some(Box::new(facts))
        }
        None => None,
    };
    let user = nix::unistd::geteuid();
    let facts = ServerFacts {
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        asked,
        apps,
        user: passwd::by_uid(user.as_raw()).map_or_else(|| user.to_string(), |entry| entry.name),
        root: user.is_root(),
        engine: engine.map(|engine| EngineFacts { version: engine.version, api_version: engine.api_version }),
        compose: agent.compose.version().to_owned(),
        disks,
        memory,
        app,
        answered: agent.clock.now(),
    };
    Ok(Reply::Doctor { facts: Box::new(facts) })
}

/// The file systems that these places are on, each once. What is not there is left out.
fn disks(places: &[(DiskUse, PathBuf)]) -> Vec<DiskFacts> {
    let mut found: Vec<(u64, DiskFacts)> = Vec::new();
    for (holds, path) in places {
        let Some((device, mut disk)) = disk(path) else { continue };
        let place = DiskPlace { holds: *holds, path: path.display().to_string() };
        match found.iter_mut().find(|(known, _)| *known == device) {
            Some((_, known)) => known.places.push(place),
            None => {
                disk.places.push(place);
                found.push((device, disk));
            }
        }
    }
    found.into_iter().map(|(_, disk)| disk).collect()
}

fn disk(path: &Path) -> Option<(u64, DiskFacts)> {
    let device = std::fs::metadata(path).ok()?.dev();
    let DiskSpace { free_bytes, size_bytes } = room::on(path)?;
    Some((device, DiskFacts { places: Vec::new(), size_bytes, free_bytes }))
}

fn memory() -> Option<MemoryFacts> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    Some(MemoryFacts {
        available_bytes: ground::memory(&meminfo, "MemAvailable")?,
        swap_bytes: ground::memory(&meminfo, "SwapTotal").unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_told_once_with_all_that_lies_on_it() {
        let folder = tempfile::tempdir().unwrap();
        let app = folder.path().join("app");
        std::fs::create_dir(&app).unwrap();
        let places = [
            (DiskUse::State, folder.path().to_owned()),
            (DiskUse::App, app),
            (DiskUse::Docker, folder.path().join("not there")),
        ];
        let disks = disks(&places);
        let [disk] = disks.as_slice() else { panic!("{disks:?}") };
        let holds: Vec<DiskUse> = disk.places.iter().map(|place| place.holds).collect();
        assert_eq!(holds, [DiskUse::State, DiskUse::App]);
        assert!(disk.size_bytes >= disk.free_bytes && disk.size_bytes > 0);
        assert!(memory().unwrap().available_bytes > 0);
    }
}
