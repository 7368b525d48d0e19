//! What a service mounts.

use super::read::{flag_at, list_at, text_at, texts_at};
use super::{ModelError, Volume, paths};
use serde_json::Value;
use std::collections::BTreeMap;

/// One mount of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub backing: Backing,
    /// The path in the container, clean.
    pub target: String,
    pub writable: bool,
}

/// What backs a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backing {
    /// A volume, by its name on the engine. `subpath`: only that folder of it.
    Volume {
        key: String,
        name: String,
        external: bool,
        subpath: Option<String>,
    },
    /// A volume that Docker names, new with a new container unless Compose carries the old one's over.
    Anonymous,
    /// An absolute path on the server.
    Bind(String),
    Tmpfs,
    /// `npipe`, `cluster`, `image` and what comes.
    Other(String),
}

pub(super) fn read(
    service: &str,
    value: &Value,
    volumes: &BTreeMap<String, Volume>,
) -> Result<Vec<Mount>, ModelError> {
    let mut mounts = Vec::new();
    for (index, v) in list_at(value, "volumes").into_iter().enumerate() {
        let missing =
            |field| ModelError::Missing { path: format!("services.{service}.volumes[{index}].{field}") };
        let target = text_at(v, "target").ok_or_else(|| missing("target"))?;
        let source = text_at(v, "source").filter(|s| !s.is_empty());
        let backing = match text_at(v, "type").as_deref() {
            Some("volume") => match source {
                Some(key) => volume(service, key, v, volumes)?,
                None => Backing::Anonymous,
            },
            Some("bind") => Backing::Bind(paths::clean(&source.ok_or_else(|| missing("source"))?)),
            Some("tmpfs") => Backing::Tmpfs,
            Some(other) => Backing::Other(other.to_owned()),
            None => return Err(missing("type")),
        };
        mounts.push(Mount { backing, target: paths::clean(&target), writable: !flag_at(v, "read_only") });
    }
    for tmpfs in texts_at(value, "tmpfs") {
        let target = tmpfs.split_once(':').map_or(tmpfs.as_str(), |(target, _)| target);
        mounts.push(Mount { backing: Backing::Tmpfs, target: paths::clean(target), writable: true });
    }
    Ok(mounts)
}

fn volume(
    service: &str,
    key: String,
    value: &Value,
    volumes: &BTreeMap<String, Volume>,
) -> Result<Backing, ModelError> {
    let Some(volume) = volumes.get(&key) else {
        return Err(ModelError::UnknownVolume { service: service.to_owned(), key });
    };
    let subpath = value.get("volume").and_then(|v| text_at(v, "subpath"));
    Ok(Backing::Volume { key, name: volume.name.clone(), external: volume.external, subpath })
}
