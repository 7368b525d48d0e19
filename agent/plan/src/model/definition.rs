//! Whether a service's definition changed.

use super::{Content, Model, Service};
use crate::keyed::{InputKey, KeyedHasher};
use serde_json::Value;
use std::collections::BTreeMap;
use wharf_proto::Digest;

/// What Compose's own `config-hash` leaves out, and what a container does not depend on: how its image is made, how
/// many there are, and what starts before it.
const NOT_THE_CONTAINERS: [&str; 5] = ["build", "pull_policy", "scale", "depends_on", "profiles"];

impl Model {
    /// A keyed digest of all that makes the service's containers what they are, but for their image's content and
    /// the content of mounted files.
    ///
    /// Wider than Compose's `config-hash`, which does not see a changed `configs: content:`, a `secrets: environment:`,
    /// or what a volume's or network's key stands for. `environment` is the one that Compose runs in (the env file's).
    pub fn service_digest(
        &self,
        service: &Service,
        environment: &BTreeMap<String, String>,
        key: &InputKey,
    ) -> Digest {
        let mut hash = key.hasher("service 1");
        hash.json(&without_build(&service.value));
        for (kind, name) in self.used_objects(service) {
            hash.text(kind);
            hash.text(&name);
            hash.json(self.value.get(kind).and_then(|all| all.get(&name)).unwrap_or(&Value::Null));
        }
        let contents =
            |refs: &[super::Reference], all: &BTreeMap<String, Content>, hash: &mut KeyedHasher| {
                for reference in refs {
                    if let Some(Content::Environment(variable)) = all.get(&reference.source) {
                        hash.text(variable);
                        hash.text(environment.get(variable).map_or("", String::as_str));
                    }
                }
            };
        contents(&service.configs, &self.configs, &mut hash);
        contents(&service.secrets, &self.secrets, &mut hash);
        hash.finish()
    }

    /// The top-level entries that the service names: their kind and key.
    fn used_objects(&self, service: &Service) -> Vec<(&'static str, String)> {
        let mut used = Vec::new();
        used.extend(service.configs.iter().map(|r| ("configs", r.source.clone())));
        used.extend(service.secrets.iter().map(|r| ("secrets", r.source.clone())));
        for mount in &service.mounts {
            if let super::Backing::Volume { key, .. } = &mount.backing {
                used.push(("volumes", key.clone()));
            }
        }
        used.extend(
            super::read::fields_at(&service.value, "networks").map(|(key, _)| ("networks", key.clone())),
        );
        used
    }
}

fn without_build(service: &Value) -> Value {
    let mut service = service.clone();
    if let Some(fields) = service.as_object_mut() {
        fields.retain(|name, _| !NOT_THE_CONTAINERS.contains(&name.as_str()));
        if let Some(deploy) = fields.get_mut("deploy").and_then(Value::as_object_mut) {
            deploy.remove("replicas");
        }
    }
    service
}
