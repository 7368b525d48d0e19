//! Where the data of a database server in a container lies on the disk.

use super::exchangeable::Where;
use super::task::containers;
use crate::failures;
use crate::jobs::run::Job;
use std::path::{Path, PathBuf};
use wharf_plan::facts::{ContainerFacts, MountFacts, MountSource};
use wharf_proto::Failure;
use wharf_state::AppRecord;

/// What is mounted at `folder` of a service's container, where its data is; else why it cannot be exchanged.
///
/// # Errors
/// The engine does not answer.
pub async fn mounted_at(
    job: &Job,
    app: &AppRecord,
    (service, container): (&str, &str),
    folder: &str,
) -> Result<Result<Where, String>, Failure> {
    let containers = containers(job, app).await?;
    let folder = folder.trim_end_matches('/');
    if let Some(other) = shared(&containers, container, folder) {
        // Compose starts a service's containers together, stopped ones too: two servers would work on the one folder.
        return Ok(Err(format!(
            "another container of it, {other}, has its data folder mounted too: remove that one"
        )));
    }
    let mounts = containers.into_iter().find(|one| one.id == container).map(|one| one.mounts);
    let mounts: Vec<MountFacts> = mounts.into_iter().flatten().collect();
    if let Some(below) = below(&mounts, folder) {
        // It is the container's own, and seen nowhere else: a copy lacks it, and old and new would share it.
        return Ok(Err(format!("something else is mounted in its data folder, at {below}")));
    }
    let mount = mounts.into_iter().find(|mount| mount.target.trim_end_matches('/') == folder);
    let of_engine = |e: wharf_engine::EngineError| failures::of_engine(&e);
    let (volume, path) = match mount.map(|mount| mount.source) {
        Some(MountSource::Volume(volume)) => {
            let path = job.agent.engine.volume_mountpoint(&volume).await.map_err(of_engine)?;
            (Some(volume), path)
        }
        Some(MountSource::Bind(path)) => (None, Some(PathBuf::from(path))),
        Some(MountSource::AnonymousVolume(_) | MountSource::Tmpfs) | None => (None, None),
    };
    let found =
        path.filter(|path| path.is_dir()).map(|path| Where { label: service.to_owned(), volume, path });
    Ok(found.ok_or_else(|| {
        format!("no volume with a name and no folder is mounted at {folder}, where its data is")
    }))
}

/// Another container of the same service that has what is mounted at `folder` of this one, whether it runs or not.
fn shared<'a>(all: &'a [ContainerFacts], container: &str, folder: &str) -> Option<&'a str> {
    let server = all.iter().find(|one| one.id == container)?;
    let mount = server.mounts.iter().find(|mount| mount.target.trim_end_matches('/') == folder)?;
    let has = |one: &&ContainerFacts| one.mounts.iter().any(|other| other.source == mount.source);
    let mut others = all.iter().filter(|one| one.service == server.service && one.id != container);
    others.find(has).map(|one| one.name.as_str())
}

/// Where something is mounted below `folder`.
fn below<'a>(mounts: &'a [MountFacts], folder: &str) -> Option<&'a str> {
    let targets = mounts.iter().map(|mount| mount.target.trim_end_matches('/'));
    targets.into_iter().find(|target| *target != folder && Path::new(target).starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_below_the_folder_is_seen() {
        for (target, expected) in [
            ("/var/lib/mysql", None),
            ("/var/lib/mysql/", None),
            ("/var/lib", None),
            ("/var/lib/mysql-files", None),
            ("/var/lib/mysql/redo/", Some("/var/lib/mysql/redo")),
        ] {
            let mount = MountFacts { source: MountSource::Tmpfs, target: target.to_owned(), writable: true };
            assert_eq!(below(&[mount], "/var/lib/mysql"), expected, "{target}");
        }
    }
}
