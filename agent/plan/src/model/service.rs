//! One service of the model.

use super::read::{fields_at, flag_at, list_at, number_at, text, text_at, texts_at, variables_at};
use super::{Build, ModelError, Mount, Volume, mount};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// A service, resolved.
#[derive(Clone, PartialEq)]
pub struct Service {
    pub name: String,
    /// `image:`, where it is given. See [`super::Model::image_reference`].
    pub image: Option<String>,
    pub build: Option<Build>,
    /// Its own mounts. See [`super::Model::mounts`] for those of `volumes_from` too.
    pub mounts: Vec<Mount>,
    /// `service`, `service:ro`, `container:name`.
    pub volumes_from: Vec<String>,
    pub depends_on: BTreeMap<String, Dependency>,
    pub restart: Restart,
    /// How many containers it wants.
    pub replicas: u32,
    pub ports: Vec<Port>,
    pub configs: Vec<Reference>,
    pub secrets: Vec<Reference>,
    pub profiles: Vec<String>,
    pub platform: Option<String>,
    pub pull_policy: Option<String>,
    pub container_name: Option<String>,
    pub healthcheck: bool,
    pub privileged: bool,
    pub pid: Option<String>,
    pub cap_add: Vec<String>,
    pub devices: Vec<Device>,
    /// Values are secrets; `None` is taken from Compose's surroundings and was not set there.
    pub(crate) environment: BTreeMap<String, Option<String>>,
    pub(crate) value: Value,
}

/// What one service waits for in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependency {
    pub condition: Condition,
    pub required: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Started,
    Healthy,
    /// Ended with 0.
    Completed,
}

/// A restart policy. `Unset` does what `No` does, but nobody asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    Unset,
    No,
    Always,
    UnlessStopped,
    OnFailure,
}

/// A port of the container, and the server's that leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub target: u16,
    /// A number or a range; `None`: Docker chooses.
    pub published: Option<String>,
    pub host_ip: Option<String>,
    pub protocol: String,
}

/// A use of a top-level config or secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub source: String,
    pub target: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub source: String,
    pub target: String,
}

impl Service {
    pub(super) fn read(
        name: &str,
        value: &Value,
        volumes: &BTreeMap<String, Volume>,
        app_root: &str,
    ) -> Result<Self, ModelError> {
        let references = |key| list_at(value, key).into_iter().filter_map(Reference::read).collect();
        Ok(Self {
            name: name.to_owned(),
            image: text_at(value, "image"),
            build: value.get("build").filter(|v| v.is_object()).map(|v| Build::read(v, app_root)),
            mounts: mount::read(name, value, volumes)?,
            volumes_from: texts_at(value, "volumes_from"),
            depends_on: fields_at(value, "depends_on")
                .map(|(name, v)| (name.clone(), Dependency::read(v)))
                .collect(),
            restart: Restart::read(value),
            replicas: number_at(value, "scale")
                .or_else(|| number_at(value.get("deploy")?, "replicas"))
                .unwrap_or(1),
            ports: list_at(value, "ports").into_iter().filter_map(Port::read).collect(),
            configs: references("configs"),
            secrets: references("secrets"),
            profiles: texts_at(value, "profiles"),
            platform: text_at(value, "platform"),
            pull_policy: text_at(value, "pull_policy"),
            container_name: text_at(value, "container_name"),
            healthcheck: value
                .get("healthcheck")
                .is_some_and(|check| check.is_object() && !flag_at(check, "disable")),
            privileged: flag_at(value, "privileged"),
            pid: text_at(value, "pid"),
            cap_add: texts_at(value, "cap_add"),
            devices: list_at(value, "devices").into_iter().filter_map(Device::read).collect(),
            environment: variables_at(value, "environment"),
            value: value.clone(),
        })
    }

    /// The value of one variable of its environment. It may be a secret.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name)?.as_deref()
    }

    /// Whether its containers listen on the server's own ports.
    pub fn has_host_network(&self) -> bool {
        text_at(&self.value, "network_mode").as_deref() == Some("host")
    }

    /// Whether the Compose files say how its containers log.
    pub fn has_own_logging(&self) -> bool {
        self.value.get("logging").is_some_and(|logging| !logging.is_null())
    }

    /// Its `command:`; empty where the image's is run. It may hold secrets.
    pub fn command(&self) -> Vec<String> {
        texts_at(&self.value, "command")
    }

    /// Its `entrypoint:`; empty where the image's is run.
    pub fn entrypoint(&self) -> Vec<String> {
        texts_at(&self.value, "entrypoint")
    }

    /// The names of its variables.
    pub fn variable_names(&self) -> impl Iterator<Item = &str> {
        self.environment.keys().map(String::as_str)
    }
}

impl Dependency {
    fn read(value: &Value) -> Self {
        let condition = match text_at(value, "condition").as_deref() {
            Some("service_healthy") => Condition::Healthy,
            Some("service_completed_successfully") => Condition::Completed,
            _ => Condition::Started,
        };
        let required = value.get("required").and_then(Value::as_bool).unwrap_or(true);
        Self { condition, required }
    }
}

impl Restart {
    /// `deploy.restart_policy` wins over `restart`, as in Compose.
    fn read(value: &Value) -> Self {
        let policy = value.get("deploy").and_then(|deploy| deploy.get("restart_policy"));
        if let Some(condition) = policy.and_then(|policy| text_at(policy, "condition")) {
            return match condition.as_str() {
                "none" => Self::No,
                "on-failure" => Self::OnFailure,
                _ => Self::Always,
            };
        }
        match text_at(value, "restart").as_deref() {
            None | Some("") => Self::Unset,
            // Some versions write YAML's bare `no` as the boolean that it is.
            Some("no" | "false") => Self::No,
            Some("unless-stopped") => Self::UnlessStopped,
            Some(text) if text.starts_with("on-failure") => Self::OnFailure,
            Some(_) => Self::Always,
        }
    }
}

impl Port {
    fn read(value: &Value) -> Option<Self> {
        Some(Self {
            target: text_at(value, "target")?.parse().ok()?,
            published: text_at(value, "published").filter(|p| !p.is_empty() && p != "0"),
            host_ip: text_at(value, "host_ip"),
            protocol: text_at(value, "protocol").unwrap_or_else(|| "tcp".into()),
        })
    }
}

impl Reference {
    pub(super) fn read(value: &Value) -> Option<Self> {
        if let Some(source) = text(value) {
            return Some(Self { source, target: None });
        }
        Some(Self { source: text_at(value, "source")?, target: text_at(value, "target") })
    }
}

impl Device {
    fn read(value: &Value) -> Option<Self> {
        if let Some(text) = text(value) {
            let mut parts = text.split(':').map(str::to_owned);
            let source = parts.next()?;
            let target = parts.next().unwrap_or_else(|| source.clone());
            return Some(Self { source, target });
        }
        Some(Self { source: text_at(value, "source")?, target: text_at(value, "target").unwrap_or_default() })
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.name)
            .field("image", &self.image)
            .field("mounts", &self.mounts)
            .finish_non_exhaustive()
    }
}
