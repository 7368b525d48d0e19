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

/// Whether a server of MariaDB's is a replica, also one that rests. MySQL keeps that in a table.
pub fn is_set_up_as_replica(folder: &Path) -> bool {
    folder.join("master.info").exists()
        || folder.join("multi-master.info").metadata().is_ok_and(|connections| connections.len() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_plan::facts::ContainerState;

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

    #[test]
    fn a_replica_that_rests_is_known_by_its_folder() {
        for (file, content, expected) in [
            ("multi-master.info", "", false),
            ("multi-master.info", "other\n", true),
            ("master.info", "", true),
            ("ibdata1", "more", false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(file), content).unwrap();
            assert_eq!(is_set_up_as_replica(folder.path()), expected, "{file} {content:?}");
        }
    }

    fn container(id: &str, service: &str, volume: &str, target: &str) -> ContainerFacts {
        let source = MountSource::Volume(volume.into());
        ContainerFacts {
            log: wharf_plan::facts::LogFacts::default(),
            id: id.into(),
            name: format!("name of {id}"),
            project: "app".into(),
            service: service.into(),
            config_hash: String::new(),
            working_dir: String::new(),
            config_files: vec![],
            one_off: false,
            image_id: String::new(),
            image: String::new(),
            state: ContainerState::Exited,
            health: None,
            exit_code: Some(0),
            oom_killed: false,
            restarts: 0,
            started_at: None,
            restart_policy: "no".into(),
            mounts: vec![MountFacts { source, target: target.into(), writable: true }],
        }
    }

    #[test]
    fn another_container_of_the_service_on_the_folder_is_seen_though_it_does_not_run() {
        for (service, volume, target, expected) in [
            ("maria", "data", "/var/lib/mysql", Some("name of other")),
            ("maria", "data", "/elsewhere", Some("name of other")),
            ("maria", "another", "/var/lib/mysql", None),
            // One of another service is not started with the server.
            ("init", "data", "/var/lib/mysql", None),
        ] {
            let all = [
                container("server", "maria", "data", "/var/lib/mysql/"),
                container("other", service, volume, target),
            ];
            assert_eq!(shared(&all, "server", "/var/lib/mysql"), expected, "{service} {volume} {target}");
        }
    }
}
