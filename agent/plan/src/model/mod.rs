//! What Compose makes of a project's files: the output of `docker compose config --format json`, read.
//!
//! **Invariants**: paths are those of the app directory even where Compose resolved a staged tree; values are the real
//! ones (`config` doubles every `$`, which is undone here); no error and no `Debug` output holds a value, since
//! environments are secrets.

mod build;
mod definition;
mod difference;
mod host_config;
mod mount;
mod paths;
mod read;
mod service;

pub use build::{Build, Context};
pub use difference::same_model;
pub use mount::{Backing, Mount};
pub(crate) use paths::{clean, is_within};
pub use service::{Condition, Dependency, Device, Port, Reference, Restart, Service};

use read::{fields_at, flag_at, text_at};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use wharf_proto::RelPath;

/// A Compose project, resolved.
#[derive(Clone)]
pub struct Model {
    name: String,
    app_root: String,
    services: BTreeMap<String, Service>,
    volumes: BTreeMap<String, Volume>,
    configs: BTreeMap<String, Content>,
    secrets: BTreeMap<String, Content>,
    value: Value,
}

/// A volume that the project names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The key in the Compose file.
    pub key: String,
    /// The name on the engine.
    pub name: String,
    /// Made outside of this project, says the file.
    pub external: bool,
    /// `driver_opts: {device: …}`: the path that a local volume binds.
    pub device: Option<String>,
}

/// Where a top-level `configs` or `secrets` entry has its content from.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// A file: an absolute path.
    File(String),
    /// In the Compose file itself.
    Inline(String),
    /// A variable of the environment that Compose runs in.
    Environment(String),
    /// Made elsewhere (`external`), or in a way that this build does not know.
    Elsewhere,
}

/// Why Compose's output is not a model. Values are never quoted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    #[error("the output of docker compose config is not JSON (line {line}, column {column})")]
    Json { line: usize, column: usize },
    #[error("the output of docker compose config lacks {path}")]
    Missing { path: String },
    #[error("service {service} mounts a volume {key} that the model does not declare")]
    UnknownVolume { service: String, key: String },
}

impl Model {
    /// Reads `config_json`, which Compose resolved in `stage_root`; for one resolved in place both roots are the same.
    ///
    /// # Errors
    /// What is not Compose's JSON.
    pub fn parse(config_json: &str, stage_root: &str, app_root: &str) -> Result<Self, ModelError> {
        let mut value: Value = serde_json::from_str(config_json)
            .map_err(|error| ModelError::Json { line: error.line(), column: error.column() })?;
        let app_root = paths::clean(app_root);
        paths::normalise(&mut value, &paths::clean(stage_root), &app_root);
        let name = text_at(&value, "name").ok_or_else(|| ModelError::Missing { path: "name".into() })?;
        let volumes: BTreeMap<_, _> =
            fields_at(&value, "volumes").map(|(key, v)| (key.clone(), Volume::read(key, v, &name))).collect();
        let mut services = BTreeMap::new();
        for (service, v) in fields_at(&value, "services") {
            services.insert(service.clone(), Service::read(service, v, &volumes, &app_root)?);
        }
        let contents =
            |key: &str| fields_at(&value, key).map(|(k, v)| (k.clone(), Content::read(v))).collect();
        let (configs, secrets) = (contents("configs"), contents("secrets"));
        Ok(Self { name, app_root, services, volumes, configs, secrets, value })
    }

    /// Compose's project name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The app directory, without a `/` at its end.
    pub fn app_root(&self) -> &str {
        &self.app_root
    }

    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values()
    }

    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.get(name)
    }

    pub(crate) fn set_replicas(&mut self, service: &str, replicas: Option<u32>) {
        if let (Some(service), Some(replicas)) = (self.services.get_mut(service), replicas) {
            service.replicas = replicas;
        }
    }

    pub fn volumes(&self) -> impl Iterator<Item = &Volume> {
        self.volumes.values()
    }

    pub fn config(&self, key: &str) -> Option<&Content> {
        self.configs.get(key)
    }

    pub fn secret(&self, key: &str) -> Option<&Content> {
        self.secrets.get(key)
    }

    /// The name under which Compose looks for the service's image: its `image:`, else `<project>-<service>`.
    pub fn image_reference(&self, service: &Service) -> String {
        service.image.clone().unwrap_or_else(|| format!("{}-{}", self.name, service.name))
    }

    /// Where `path` lies in the project: `None` outside of it, `Some(None)` for its root.
    pub fn project_path(&self, path: &str) -> Option<Option<RelPath>> {
        paths::below(path, &self.app_root)
    }

    /// The service's mounts and those it takes from other services (`volumes_from`), its own first.
    pub fn mounts(&self, service: &Service) -> Vec<Mount> {
        let mut mounts = Vec::new();
        self.collect_mounts(service, true, &mut BTreeSet::new(), &mut mounts);
        mounts
    }

    fn collect_mounts<'a>(
        &'a self,
        service: &'a Service,
        writable: bool,
        seen: &mut BTreeSet<&'a str>,
        mounts: &mut Vec<Mount>,
    ) {
        if !seen.insert(&service.name) {
            return;
        }
        for mount in &service.mounts {
            if !mounts.iter().any(|m| m.target == mount.target) {
                mounts.push(Mount { writable: mount.writable && writable, ..mount.clone() });
            }
        }
        for (from, mode) in service.volumes_from.iter().map(|text| text.split_once(':').unwrap_or((text, "")))
        {
            if let Some(other) = self.services.get(from) {
                self.collect_mounts(other, writable && mode != "ro", seen, mounts);
            }
        }
    }

    /// Whether the service is meant to end: another one waits for that, or its policy says `no` in so many words.
    pub fn is_one_shot(&self, service: &Service) -> bool {
        let awaited = || {
            self.services().any(|other| {
                other.depends_on.get(&service.name).is_some_and(|d| d.condition == Condition::Completed)
            })
        };
        match service.restart {
            Restart::No => true,
            Restart::Unset | Restart::OnFailure => awaited(),
            Restart::Always | Restart::UnlessStopped => false,
        }
    }

    /// The services, each after what it depends on; by name where that leaves a choice. Compose refuses cycles itself.
    pub fn start_order(&self) -> Vec<&Service> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for service in self.services() {
            self.visit(service, &mut seen, &mut order);
        }
        order
    }

    fn visit<'a>(&'a self, service: &'a Service, seen: &mut BTreeSet<&'a str>, order: &mut Vec<&'a Service>) {
        if !seen.insert(&service.name) {
            return;
        }
        for name in service.depends_on.keys() {
            if let Some(before) = self.services.get(name) {
                self.visit(before, seen, order);
            }
        }
        order.push(service);
    }
}

impl Volume {
    fn read(key: &str, value: &Value, project: &str) -> Self {
        let device = value.get("driver_opts").and_then(|options| text_at(options, "device"));
        let name = text_at(value, "name").unwrap_or_else(|| format!("{project}_{key}"));
        Self { key: key.to_owned(), name, external: flag_at(value, "external"), device }
    }
}

impl Content {
    fn read(value: &Value) -> Self {
        let at = |key| text_at(value, key);
        if let Some(path) = at("file") {
            Self::File(paths::clean(&path))
        } else if let Some(text) = at("content") {
            Self::Inline(text)
        } else if let Some(variable) = at("environment") {
            Self::Environment(variable)
        } else {
            Self::Elsewhere
        }
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services: Vec<_> = self.services.keys().collect();
        f.debug_struct("Model").field("name", &self.name).field("services", &services).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
