//! Which data of an app no backup holds.

use super::database::Database;
use super::volumes::Volume;
use std::collections::BTreeSet;
use std::path::Path;
use wharf_plan::facts::{ContainerFacts, MountSource};

/// What is mounted from there belongs to the system, and is no data of an app.
const SYSTEM: [&str; 6] = ["/dev", "/etc", "/proc", "/run", "/sys", "/var/run"];

/// The data that containers write to and that neither a dump nor `[[volume]]` covers, in words.
pub fn uncovered(containers: &[ContainerFacts], databases: &[Database], volumes: &[Volume]) -> Vec<String> {
    let dumped: BTreeSet<&str> = databases.iter().map(|database| database.service.as_str()).collect();
    let mut found = BTreeSet::new();
    for container in containers.iter().filter(|c| !c.one_off && !dumped.contains(c.service.as_str())) {
        for mount in container.mounts.iter().filter(|mount| mount.writable) {
            let text = match &mount.source {
                MountSource::Volume(name) if !volumes.iter().any(|v| v.volume.as_ref() == Some(name)) => {
                    format!("the volume {name}")
                }
                MountSource::Bind(path) if !is_system(path) && !volumes.iter().any(|v| holds(v, path)) => {
                    path.clone()
                }
                MountSource::AnonymousVolume(_) => {
                    format!("the anonymous volume of {} at {}", container.service, mount.target)
                }
                MountSource::Volume(_) | MountSource::Bind(_) | MountSource::Tmpfs => continue,
            };
            found.insert(text);
        }
    }
    found.into_iter().collect()
}

fn holds(volume: &Volume, path: &str) -> bool {
    volume.volume.is_none() && volume.path.as_ref().is_some_and(|place| Path::new(path).starts_with(place))
}

fn is_system(path: &str) -> bool {
    SYSTEM.iter().any(|system| Path::new(path).starts_with(system))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_plan::facts::{ContainerState, MountFacts};
    use wharf_proto::database::DatabaseKind;
    use wharf_proto::spec::{VolumeMode, VolumeSpec};

    fn container(service: &str, mounts: Vec<(MountSource, bool)>) -> ContainerFacts {
        let mounts = mounts.into_iter().enumerate().map(|(number, (source, writable))| MountFacts {
            source,
            target: format!("/data{number}"),
            writable,
        });
        ContainerFacts {
            log: wharf_plan::facts::LogFacts::default(),
            id: service.into(),
            name: service.into(),
            project: "app".into(),
            service: service.into(),
            config_hash: String::new(),
            working_dir: String::new(),
            config_files: vec![],
            one_off: false,
            image_id: String::new(),
            image: String::new(),
            state: ContainerState::Running,
            health: None,
            exit_code: None,
            oom_killed: false,
            restarts: 0,
            started_at: None,
            restart_policy: "no".into(),
            mounts: mounts.collect(),
        }
    }

    fn volume(name: Option<&str>, path: &str) -> Volume {
        Volume {
            spec: VolumeSpec { name: name.map(Into::into), path: None, mode: VolumeMode::Pause },
            label: "v".into(),
            volume: name.map(Into::into),
            path: Some(path.into()),
            writers: [].into(),
        }
    }

    #[test]
    fn what_neither_a_dump_nor_a_volume_holds_is_named() {
        let named = |name: &str| MountSource::Volume(name.into());
        let bind = |path: &str| MountSource::Bind(path.into());
        let containers = [
            container("db", vec![(named("pgdata"), true)]),
            container(
                "web",
                vec![
                    (named("cache"), true),
                    (named("media"), true),
                    (named("read_only"), false),
                    (bind("/srv/app/uploads/photos"), true),
                    (bind("/srv/app/uploads-of-others"), true),
                    (bind("/var/run/docker.sock"), true),
                    (MountSource::AnonymousVolume("ab".into()), true),
                    (MountSource::Tmpfs, true),
                ],
            ),
        ];
        let databases = [Database {
            outside: false,
            kind: DatabaseKind::Mysql,
            service: "db".into(),
            user: None,
            database: None,
            commands: None,
            label: "db".into(),
            container: None,
        }];
        let volumes = [volume(Some("media"), "/v/media"), volume(None, "/srv/app/uploads")];
        assert_eq!(
            uncovered(&containers, &databases, &volumes),
            ["/srv/app/uploads-of-others", "the anonymous volume of web at /data6", "the volume cache"]
        );
    }
}
