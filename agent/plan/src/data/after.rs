//! What a service's new containers will mount.

use super::DataFacts;
use crate::model::{Backing, Mount, Service, clean, is_within};

/// The mounts of the model and the anonymous volumes that the image's `VOLUME` adds where the model mounts nothing.
pub(super) fn mounts_after(facts: &DataFacts<'_>, service: &Service) -> Vec<Mount> {
    let mut mounts = facts.model.mounts(service);
    for target in facts.image_of(service).map(|image| image.volumes).unwrap_or_default() {
        let target = clean(&target);
        if !mounts.iter().any(|m| m.target == target) {
            mounts.push(Mount { backing: Backing::Anonymous, target, writable: true });
        }
    }
    mounts
}

/// The mount that `path` in the container lies on: the deepest one.
pub(super) fn covering<'a>(mounts: &'a [Mount], path: &str) -> Option<&'a Mount> {
    mounts.iter().filter(|m| is_within(path, &m.target)).max_by_key(|m| m.target.len())
}

/// What a backing is called, where it outlives the container.
pub(super) fn backing_name(backing: &Backing) -> Option<&str> {
    match backing {
        Backing::Volume { name, .. } => Some(name),
        Backing::Bind(path) => Some(path),
        Backing::Anonymous | Backing::Tmpfs | Backing::Other(_) => None,
    }
}

/// A backing in words.
pub(super) fn describe(backing: &Backing) -> String {
    match backing {
        Backing::Volume { name, .. } => format!("the volume {name}"),
        Backing::Bind(path) => format!("the server's {path}"),
        Backing::Anonymous => "a new anonymous volume".into(),
        Backing::Tmpfs => "memory (tmpfs)".into(),
        Backing::Other(kind) => format!("a mount of type {kind}"),
    }
}
