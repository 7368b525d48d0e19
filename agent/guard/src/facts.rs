//! What the policy knows about the engine's objects when it judges.
//!
//! **Invariants**
//! - Only what was looked up is in here. A look-up that failed is not a fact, and a judgement that needs it refuses.
//! - An object is described together with the ID that it had when it was looked at, so that the judgement can pin it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::json::{Json, Object};

/// The value of that label.
pub const KEEP_VALUE: &str = "without-volumes";

/// The label that marks a container that the guard, not the engine, removes when it has ended.
pub const KEEP_LABEL: &str = "dev.wharf.guard.remove";

/// One thing that a judgement may need to know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// An image, by whatever name the request used.
    Image(String),
    /// A container, by whatever name the request used.
    Container(String),
    /// Where a path on the host really leads.
    RealPath(String),
    /// Where the engine keeps its data, and the sockets that command it.
    Engine,
    /// Whether somebody who may has permitted this one deletion of a volume. To look is to use it up.
    Permit(String),
}

/// What has been looked up so far.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    images: BTreeMap<String, Option<ImageFact>>,
    containers: BTreeMap<String, Option<ContainerFact>>,
    paths: BTreeMap<String, PathBuf>,
    engine: Option<EngineFact>,
    permits: BTreeMap<String, bool>,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFact {
    /// Its ID.
    pub id: String,
    /// The paths it declares as volumes.
    pub volumes: Vec<String>,
}

/// A container.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerFact {
    /// Its full ID.
    pub id: String,
    /// Whether the engine removes it, anonymous volumes and all, when it ends.
    pub auto_remove: bool,
    /// Whether the guard removes it when it ends.
    pub kept: bool,
    /// `created`, `running`, `exited`, ….
    pub status: String,
    /// Its volumes that no request named.
    pub anonymous_volumes: Vec<String>,
    /// What it was made with.
    pub host_config: Object,
}

/// The engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineFact {
    /// Its data directory, resolved.
    pub root: PathBuf,
    /// The sockets that command it, and their directories where those hold nothing else.
    pub sockets: Vec<PathBuf>,
}

impl Facts {
    /// An image: `None` is not looked up, `Some(None)` does not exist.
    pub fn image(&self, reference: &str) -> Option<Option<&ImageFact>> {
        self.images.get(reference).map(Option::as_ref)
    }

    /// A container, likewise.
    pub fn container(&self, reference: &str) -> Option<Option<&ContainerFact>> {
        self.containers.get(reference).map(Option::as_ref)
    }

    /// A resolved path.
    pub fn real_path(&self, path: &str) -> Option<&Path> {
        self.paths.get(path).map(PathBuf::as_path)
    }

    /// The engine.
    pub fn engine(&self) -> Option<&EngineFact> {
        self.engine.as_ref()
    }

    /// Whether a volume may be deleted, once.
    pub fn permit(&self, volume: &str) -> Option<bool> {
        self.permits.get(volume).copied()
    }

    /// Records whether a volume may be deleted.
    pub fn know_permit(&mut self, volume: &str, permitted: bool) {
        self.permits.insert(volume.to_owned(), permitted);
    }

    /// Records an image, or that there is none.
    pub fn know_image(&mut self, reference: &str, fact: Option<ImageFact>) {
        self.images.insert(reference.to_owned(), fact);
    }

    /// Records a container, or that there is none.
    pub fn know_container(&mut self, reference: &str, fact: Option<ContainerFact>) {
        self.containers.insert(reference.to_owned(), fact);
    }

    /// Records where a path leads.
    pub fn know_path(&mut self, path: &str, real: PathBuf) {
        self.paths.insert(path.to_owned(), real);
    }

    /// Records the engine.
    pub fn know_engine(&mut self, fact: EngineFact) {
        self.engine = Some(fact);
    }
}

impl ImageFact {
    /// Reads the answer of `GET /images/{name}/json`.
    pub fn from_inspect(value: &Value) -> Option<Self> {
        let id = value.get("Id")?.as_str()?.to_owned();
        let volumes = match value.get("Config").and_then(|config| config.get("Volumes")) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(volumes)) => volumes.keys().cloned().collect(),
            Some(_) => return None,
        };
        Some(Self { id, volumes })
    }
}

impl ContainerFact {
    /// Reads the answer of `GET /containers/{name}/json`.
    pub fn from_inspect(value: &Value) -> Option<Self> {
        let id = value.get("Id")?.as_str()?.to_owned();
        let status = value.get("State")?.get("Status")?.as_str()?.to_owned();
        let raw = value.get("HostConfig")?;
        let Ok(Json::Object(host_config)) = Json::parse(raw.to_string().as_bytes()) else {
            return None;
        };
        let auto_remove = matches!(host_config.get("AutoRemove"), Some(Json::Bool(true)));
        let label = value.pointer("/Config/Labels").and_then(|labels| labels.get(KEEP_LABEL));
        let kept = label.and_then(Value::as_str) == Some(KEEP_VALUE);
        let named = named_volumes(raw);
        let anonymous_volumes = match value.get("Mounts") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(mounts)) => mounts
                .iter()
                .filter(|mount| mount.get("Type").and_then(Value::as_str) == Some("volume"))
                .filter_map(|mount| mount.get("Name")?.as_str())
                .filter(|name| !named.iter().any(|known| known == name))
                .map(str::to_owned)
                .collect(),
            Some(_) => return None,
        };
        Some(Self { id, auto_remove, kept, status, anonymous_volumes, host_config })
    }

    /// Whether it has run and is over.
    pub fn ended(&self) -> bool {
        matches!(self.status.as_str(), "exited" | "dead" | "removing")
    }
}

/// The volumes that the container's maker named: the engine deletes those with no container.
fn named_volumes(host_config: &Value) -> Vec<String> {
    let binds =
        host_config.get("Binds").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let from_binds = binds.filter_map(|bind| bind.split_once(':')).map(|(source, _)| source.to_owned());
    let mounts = host_config.get("Mounts").and_then(Value::as_array).into_iter().flatten();
    let from_mounts = mounts.filter_map(|mount| mount.get("Source")?.as_str()).map(str::to_owned);
    from_binds.chain(from_mounts).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tells_anonymous_volumes_from_named_ones() {
        let inspect = json!({
            "Id": "c0ffee", "State": {"Status": "exited"}, "Config": {"Labels": {"a": "b"}},
            "HostConfig": {"AutoRemove": true, "Binds": ["named:/a", "/anonymous", "/host:/b"], "Mounts": [{"Type": "volume", "Source": "other", "Target": "/c"}]},
            "Mounts": [
                {"Type": "volume", "Name": "named"}, {"Type": "volume", "Name": "0123"}, {"Type": "bind", "Source": "/host"},
                {"Type": "volume", "Name": "other"}, {"Type": "volume", "Name": "4567"}
            ],
        });
        let fact = ContainerFact::from_inspect(&inspect).unwrap();
        assert_eq!(fact.anonymous_volumes, ["0123", "4567"]);
        assert!(fact.auto_remove && fact.ended() && !fact.kept);
    }

    #[test]
    fn what_is_not_an_inspection_is_no_fact() {
        for value in [
            json!(null),
            json!({}),
            json!({"Id": 1}),
            json!({"Id": "x", "State": {"Status": "x"}}),
            json!({"Id": "x", "State": {"Status": "x"}, "HostConfig": []}),
        ] {
            assert_eq!(ContainerFact::from_inspect(&value), None);
        }
        assert_eq!(ImageFact::from_inspect(&json!({"Id": "x", "Config": {"Volumes": ["/data"]}})), None);
        assert_eq!(
            ImageFact::from_inspect(&json!({"Id": "x", "Config": null})).unwrap().volumes,
            Vec::<String>::new()
        );
    }
}
