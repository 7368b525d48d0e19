//! Volumes: looking at them, and making new ones. There is nothing else in this crate to do with a volume.

use crate::{Engine, EngineError};
use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{ListContainersOptions, ListVolumesOptions};
use std::collections::HashMap;
use std::path::PathBuf;
use wharf_plan::facts::VolumeFacts;

/// A container that runs, and the folders of the server that it has mounted, those of volumes too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounts {
    pub id: String,
    pub name: String,
    pub sources: Vec<PathBuf>,
}

impl Engine {
    /// Every volume on the engine, by name.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn volumes(&self) -> Result<Vec<VolumeFacts>, EngineError> {
        let listed = self.call("list volumes", self.docker.list_volumes(None::<ListVolumesOptions>)).await?;
        let mut facts: Vec<_> = listed
            .volumes
            .unwrap_or_default()
            .into_iter()
            .map(|volume| VolumeFacts { name: volume.name, labels: volume.labels.into_iter().collect() })
            .collect();
        facts.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(facts)
    }

    /// Makes a volume, and says where its files lie; `None`: there is one of that name, which was left as it is.
    ///
    /// # Errors
    /// The engine does not answer, or takes no such name.
    pub async fn create_volume(
        &self,
        name: &str,
        label: (&str, &str),
    ) -> Result<Option<std::path::PathBuf>, EngineError> {
        let labels = HashMap::from([(label.0.to_owned(), label.1.to_owned())]);
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels),
            ..VolumeCreateRequest::default()
        };
        let made = self.call(&format!("make volume {name}"), self.docker.create_volume(request)).await?;
        // The engine answers with the one that is there, where there is one.
        let is_ours = made.labels.get(label.0).is_some_and(|value| value == label.1);
        Ok(is_ours.then(|| made.mountpoint.into()))
    }

    /// The names of the containers, running or not, that mount a volume, or a folder at or in `place`, where its files lie.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn volume_users(
        &self,
        name: &str,
        place: Option<&std::path::Path>,
    ) -> Result<Vec<String>, EngineError> {
        let options = ListContainersOptions { all: true, ..Default::default() };
        let listed = self.call("list containers", self.docker.list_containers(Some(options))).await?;
        let has = |mount: &bollard::models::MountPoint| {
            mount.name.as_deref() == Some(name)
                || mount.source.as_deref().is_some_and(|source| {
                    place.is_some_and(|place| std::path::Path::new(source).starts_with(place))
                })
        };
        let mut users: Vec<String> = listed
            .into_iter()
            .filter(|container| container.mounts.iter().flatten().any(has))
            .map(|container| {
                let name = container.names.into_iter().flatten().next();
                let name = name.map(|name| name.trim_start_matches('/').to_owned());
                name.or(container.id).unwrap_or_default()
            })
            .collect();
        users.sort();
        Ok(users)
    }

    /// What the containers that run (or are paused, or restart) have mounted from the server.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn running_mounts(&self) -> Result<Vec<Mounts>, EngineError> {
        self.mounts_of(false).await
    }

    /// The same of every container, whether it runs or not.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn all_mounts(&self) -> Result<Vec<Mounts>, EngineError> {
        self.mounts_of(true).await
    }

    async fn mounts_of(&self, all: bool) -> Result<Vec<Mounts>, EngineError> {
        let options = ListContainersOptions { all, ..Default::default() };
        let listed = self.call("list containers", self.docker.list_containers(Some(options)));
        let mounts = listed.await?.into_iter().filter_map(|container| {
            let name = container.names.into_iter().flatten().next().unwrap_or_default();
            let sources = container.mounts.into_iter().flatten().filter_map(|mount| mount.source);
            Some(Mounts {
                id: container.id?,
                name: name.trim_start_matches('/').to_owned(),
                sources: sources.map(Into::into).collect(),
            })
        });
        Ok(mounts.collect())
    }

    /// Whether a volume is nothing but a folder of the engine's own; `None` when there is no such volume. One with another
    /// driver, or with options (a mounted disk, a share), lies somewhere else.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn volume_is_plain(&self, name: &str) -> Result<Option<bool>, EngineError> {
        match self.call(&format!("look at volume {name}"), self.docker.inspect_volume(name)).await {
            Ok(volume) => Ok(Some(volume.driver == "local" && volume.options.is_empty())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where a volume's files lie on the server, where its driver keeps them in a folder; `None` when there is no such
    /// volume. Readable by root only, as a rule.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn volume_mountpoint(&self, name: &str) -> Result<Option<std::path::PathBuf>, EngineError> {
        match self.call(&format!("look at volume {name}"), self.docker.inspect_volume(name)).await {
            Ok(volume) => Ok(Some(volume.mountpoint.into())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
