//! The data that `[[volume]]` names: where it is, and who writes to it.
//!
//! **Invariant**: a ship can have nothing backed up but what its app's containers can reach: volumes of its own, folders of
//! its own, folders that it mounts.

use crate::agent::Agent;
use crate::failures;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use wharf_backup::{Hold, HoldRequest, VolumeRequest};
use wharf_plan::Model;
use wharf_plan::facts::{ContainerFacts, ContainerState, MountSource, VolumeFacts};
use wharf_plan::model::Backing;
use wharf_proto::spec::{VolumeMode, VolumeSpec};
use wharf_proto::{AppSpec, Failure, FailureKind};

const LABEL_PROJECT: &str = "com.docker.compose.project";
const LABEL_KEY: &str = "com.docker.compose.volume";

/// Data that a backup is to hold.
#[derive(Debug, Clone)]
pub struct Volume {
    pub spec: VolumeSpec,
    pub label: String,
    /// The volume's name on the engine; `None`: it is a folder.
    pub volume: Option<String>,
    /// Where it lies; `None`: it is not made yet.
    pub path: Option<PathBuf>,
    /// Running containers that can write to it, by ID, with their services.
    pub writers: BTreeMap<String, String>,
}

/// What is known of a stack when its data is looked for.
pub struct Stack<'a> {
    pub spec: &'a AppSpec,
    pub project: &'a str,
    pub containers: &'a [ContainerFacts],
    pub models: Vec<&'a Model>,
}

/// Finds everything that the project names.
///
/// # Errors
/// [`FailureKind::Config`] for what is none of the app's data; an engine that does not answer.
pub async fn find(agent: &Agent, stack: &Stack<'_>) -> Result<Vec<Volume>, Failure> {
    if stack.spec.volume.is_empty() {
        return Ok(Vec::new());
    }
    let known = agent.engine.volumes().await.map_err(|e| failures::of_engine(&e))?;
    let mut labels = BTreeSet::new();
    let mut found = Vec::new();
    for spec in &stack.spec.volume {
        let (volume, path) = match (&spec.name, &spec.path) {
            (Some(name), _) => {
                let name = stack.volume(name, &known)?;
                let exists = known.iter().any(|volume| volume.name == name);
                let path = if exists { Some(mountpoint(agent, &name).await?) } else { None };
                (Some(name), path)
            }
            (None, Some(path)) => (None, stack.folder(path)?),
            (None, None) => {
                return Err(Failure::new(FailureKind::Config, "a [[volume]] has neither name nor path"));
            }
        };
        found.push(Volume {
            label: label(spec, &mut labels),
            writers: stack.writers(volume.as_deref(), path.as_deref()),
            spec: spec.clone(),
            volume,
            path,
        });
    }
    Ok(found)
}

impl Volume {
    /// As a plan and a log name it.
    pub fn describe(&self) -> String {
        let mode = match self.spec.mode {
            VolumeMode::Live => "live",
            VolumeMode::Pause => "pause",
            VolumeMode::Stop => "stop",
        };
        let yet = if self.path.is_none() { ", not there yet" } else { "" };
        match (&self.volume, &self.spec.path) {
            (Some(volume), _) => format!("volume {volume} ({mode}{yet})"),
            (None, path) => format!("folder {} ({mode}{yet})", path.as_deref().unwrap_or_default()),
        }
    }

    /// What the backup is asked for.
    pub fn request(&self) -> Option<VolumeRequest> {
        Some(VolumeRequest {
            label: self.label.clone(),
            volume: self.volume.clone(),
            path: self.path.clone()?,
            mode: self.spec.mode,
            live: self.spec.mode == VolumeMode::Live && !self.writers.is_empty(),
        })
    }
}

/// Who is to be held while `volumes` are copied. Where one is to be stopped for one volume and paused for another, it is
/// stopped.
pub fn holds(volumes: &[Volume]) -> Vec<HoldRequest> {
    let mut holds: BTreeMap<&String, (Hold, &String)> = BTreeMap::new();
    for volume in volumes.iter().filter(|volume| volume.path.is_some()) {
        let how = match volume.spec.mode {
            VolumeMode::Live => continue,
            VolumeMode::Pause => Hold::Pause,
            VolumeMode::Stop => Hold::Stop,
        };
        for (container, service) in &volume.writers {
            let hold = holds.entry(container).or_insert((how, service));
            hold.0 = hold.0.max(how);
        }
    }
    let request = |(container, (how, service)): (&String, (Hold, &String))| HoldRequest {
        container: container.clone(),
        service: service.clone(),
        how,
    };
    holds.into_iter().map(request).collect()
}

impl Stack<'_> {
    /// A volume's name on the engine.
    fn volume(&self, name: &str, known: &[VolumeFacts]) -> Result<String, Failure> {
        let of_model = self.models.iter().flat_map(|model| model.volumes()).collect::<Vec<_>>();
        let labelled = |volume: &&VolumeFacts| {
            volume.labels.get(LABEL_PROJECT).is_some_and(|project| project == self.project)
        };
        let own: Vec<&VolumeFacts> = known.iter().filter(labelled).collect();
        let mounted: BTreeSet<&String> = self
            .containers
            .iter()
            .flat_map(|container| &container.mounts)
            .filter_map(|mount| match &mount.source {
                MountSource::Volume(volume) => Some(volume),
                MountSource::AnonymousVolume(_) | MountSource::Bind(_) | MountSource::Tmpfs => None,
            })
            .collect();
        let by_key = of_model.iter().find(|volume| volume.key == name).map(|volume| volume.name.clone());
        let by_label = || {
            let found = own.iter().find(|volume| volume.labels.get(LABEL_KEY).is_some_and(|key| key == name));
            found.map(|volume| volume.name.clone())
        };
        let by_name = || {
            let is_own = mounted.iter().any(|volume| *volume == name)
                || of_model.iter().any(|volume| volume.name == name)
                || own.iter().any(|volume| volume.name == name);
            is_own.then(|| name.to_owned())
        };
        by_key.or_else(by_name).or_else(by_label).ok_or_else(|| {
            let mut all: BTreeSet<String> = of_model.iter().map(|volume| volume.key.clone()).collect();
            all.extend(own.iter().map(|volume| volume.name.clone()));
            let all: Vec<String> = all.into_iter().collect();
            let text = format!("[[volume]] in wharf.toml names {name}, which is no volume of this app");
            Failure::new(FailureKind::Config, text).hint(format!(
                "its volumes are: {}",
                if all.is_empty() { "none".into() } else { all.join(", ") }
            ))
        })
    }

    /// A folder's place; `None`: a container's mount will make it.
    fn folder(&self, path: &str) -> Result<Option<PathBuf>, Failure> {
        let app_dir = Path::new(&self.spec.path);
        let place = app_dir.join(path);
        let planned = self.models.iter().flat_map(|model| {
            model.services().flat_map(|service| model.mounts(service)).filter_map(|mount| {
                match mount.backing {
                    Backing::Bind(path) => Some(PathBuf::from(path)),
                    Backing::Volume { .. } | Backing::Anonymous | Backing::Tmpfs | Backing::Other(_) => None,
                }
            })
        });
        let binds: Vec<PathBuf> = planned.chain(self.containers.iter().flat_map(binds)).collect();
        let is_mounted = binds.iter().any(|bind| place.starts_with(bind));
        let refused = |why: &str| {
            let text = format!("[[volume]] in wharf.toml names the folder {path}, which {why}");
            Err(Failure::new(FailureKind::Config, text)
                .hint("name a folder below the app directory, or one that a service of the app mounts"))
        };
        if !place.starts_with(app_dir) && !is_mounted {
            return refused("is neither in the app directory nor mounted by a container");
        }
        match std::fs::metadata(&place) {
            Ok(found) if found.is_dir() => Ok(Some(place)),
            Ok(_) => refused("is no folder"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_mounted => Ok(None),
            Err(error) => refused(&format!("cannot be looked at: {error}")),
        }
    }

    fn writers(&self, volume: Option<&str>, path: Option<&Path>) -> BTreeMap<String, String> {
        let writes = |source: &MountSource| match source {
            MountSource::Volume(name) => volume == Some(name.as_str()),
            MountSource::Bind(bind) => {
                path.is_some_and(|path| path.starts_with(bind) || Path::new(bind).starts_with(path))
            }
            MountSource::AnonymousVolume(_) | MountSource::Tmpfs => false,
        };
        self.containers
            .iter()
            .filter(|container| container.state == ContainerState::Running)
            .filter(|container| container.mounts.iter().any(|mount| mount.writable && writes(&mount.source)))
            .map(|container| (container.id.clone(), container.service.clone()))
            .collect()
    }
}

fn binds(container: &ContainerFacts) -> impl Iterator<Item = PathBuf> {
    container.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Bind(path) => Some(PathBuf::from(path)),
        MountSource::Volume(_) | MountSource::AnonymousVolume(_) | MountSource::Tmpfs => None,
    })
}

async fn mountpoint(agent: &Agent, name: &str) -> Result<PathBuf, Failure> {
    let place = agent.engine.volume_mountpoint(name).await.map_err(|e| failures::of_engine(&e))?;
    place.filter(|place| place.is_dir()).ok_or_else(|| {
        Failure::new(FailureKind::Environment, format!("the files of the volume {name} cannot be reached"))
            .cause("its driver keeps them in no folder of this server, or the agent may not look there")
            .hint("run wharfd as root; a volume that lies elsewhere must be backed up there")
    })
}

/// The word by which a backup knows the data: a path's slashes become underscores.
fn label(spec: &VolumeSpec, taken: &mut BTreeSet<String>) -> String {
    let text = spec.name.as_deref().or(spec.path.as_deref()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' };
    let word: String = text.trim_matches('/').chars().map(plain).take(150).collect();
    let word = if word.is_empty() || word.starts_with('.') { format!("_{word}") } else { word };
    let mut label = word.clone();
    let mut number = 1;
    while !taken.insert(label.clone()) {
        number += 1;
        label = format!("{word}-{number}");
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: Option<&str>, path: Option<&str>) -> VolumeSpec {
        VolumeSpec { name: name.map(Into::into), path: path.map(Into::into), mode: VolumeMode::Pause }
    }

    #[test]
    fn labels_are_words_and_no_two_are_the_same() {
        let mut taken = BTreeSet::new();
        let mut of = |name, path| label(&spec(name, path), &mut taken);
        assert_eq!(of(Some("uploads"), None), "uploads");
        assert_eq!(of(None, Some("uploads")), "uploads-2");
        assert_eq!(of(None, Some("/srv/über/photos")), "srv__ber_photos");
        assert_eq!(of(None, Some(".data")), "_.data");
    }

    #[test]
    fn who_is_stopped_for_one_volume_is_not_paused_for_another() {
        let volume = |mode, writers: &[&str]| Volume {
            spec: VolumeSpec { mode, ..spec(Some("v"), None) },
            label: "v".into(),
            volume: Some("v".into()),
            path: Some("/v".into()),
            writers: writers.iter().map(|id| ((*id).to_owned(), format!("service {id}"))).collect(),
        };
        let volumes = [
            volume(VolumeMode::Stop, &["a"]),
            volume(VolumeMode::Pause, &["a", "b"]),
            volume(VolumeMode::Live, &["c"]),
        ];
        let held: Vec<_> = holds(&volumes).into_iter().map(|hold| (hold.container, hold.how)).collect();
        assert_eq!(held, [("a".to_owned(), Hold::Stop), ("b".to_owned(), Hold::Pause)]);
    }
}
