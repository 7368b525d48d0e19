//! What counts as changed: the digests of all that goes into a service's image, and of all shipped files it mounts.
//!
//! **Invariants**: whatever cannot be looked at is an error, and the caller then rebuilds; times are not inputs; values
//! of arguments and secrets go in under the agent's key only.

use crate::dockerfile::DockerfileError;
use crate::dockerignore::{IgnoreError, in_context};
use crate::keyed::{InputKey, KeyedHasher};
use crate::model::{Backing, Build, Content, Context, Model, Service};
use serde_json::Value;
use std::collections::BTreeMap;
use wharf_proto::{Digest, Entry, EntryKind, Manifest, RelPath};

/// Why a service's inputs cannot be told. Rebuild it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputsError {
    #[error("the build context {0} is not part of what was shipped")]
    ContextElsewhere(String),
    #[error("{path} is reached through the symbolic link {link}")]
    ThroughALink { path: RelPath, link: RelPath },
    #[error("the ID of the base image {0} is not known")]
    FromImage(String),
    #[error("the content of the build secret {0} is not known")]
    Secret(String),
    #[error("the Dockerfile cannot be read")]
    Dockerfile(#[from] DockerfileError),
    #[error("the ignore file cannot be read")]
    Ignore(#[from] IgnoreError),
}

/// All that goes into one image.
pub struct ImageInputs<'a> {
    pub build: &'a Build,
    /// The filtered context, by paths in the context.
    pub context: &'a [Entry],
    /// The Dockerfile's text, inline or not.
    pub dockerfile: &'a str,
    /// What the additional contexts that lie in the project hold, by name.
    pub additional: &'a BTreeMap<String, Vec<Entry>>,
    /// The service's own `platform:`.
    pub platform: Option<&'a str>,
    /// The IDs (`sha256:…`) of the images that [`crate::dockerfile::from_images`] named.
    pub from_images: &'a BTreeMap<String, String>,
    /// [`InputKey::digest`] of each build secret's content, by its `source`.
    pub secrets: &'a BTreeMap<String, Digest>,
}

/// What changes where files are sent or names are given, and nothing in the image.
const NOT_THE_IMAGES: [&str; 10] = [
    "context",
    "dockerfile",
    "dockerfile_inline",
    "additional_contexts",
    "tags",
    "cache_from",
    "cache_to",
    "no_cache",
    "pull",
    "secrets",
];

/// One digest for all that goes into a service's image.
///
/// # Errors
/// An input that is not known.
pub fn image_inputs(inputs: &ImageInputs<'_>, key: &InputKey) -> Result<Digest, InputsError> {
    let build = inputs.build;
    let mut hash = key.hasher("image 1");
    match &build.context {
        Context::Project(_) => entries(&mut hash, inputs.context),
        Context::Server(at) | Context::Remote(at) => {
            return Err(InputsError::ContextElsewhere(crate::refusal::without_credentials(at)));
        }
    }
    hash.text(inputs.dockerfile);
    hash.text(inputs.platform.unwrap_or_default());
    hash.json(&options(&build.value));
    hash.count(build.additional_contexts.len());
    for (name, at) in &build.additional_contexts {
        hash.text(name);
        match inputs.additional.get(name) {
            Some(found) => entries(&mut hash, found),
            None if at.starts_with("docker-image://") => hash.text(at),
            // Another service's image is an input that only its build knows.
            None => return Err(InputsError::ContextElsewhere(crate::refusal::without_credentials(at))),
        }
    }
    hash.count(inputs.from_images.len());
    for (image, id) in inputs.from_images {
        hash.text(image);
        if id.is_empty() {
            return Err(InputsError::FromImage(image.clone()));
        }
        hash.text(id);
    }
    for secret in &build.secrets {
        let digest = inputs.secrets.get(&secret.source).ok_or(InputsError::Secret(secret.source.clone()))?;
        hash.text(&secret.source);
        hash.text(secret.target.as_deref().unwrap_or_default());
        hash.bytes(&digest.0);
    }
    Ok(hash.finish())
}

/// The keys of a build whose values are files of the project, or change nothing in the image.
const OF_THE_PROJECT: [&str; 10] = [
    "context",
    "dockerfile",
    "additional_contexts",
    "target",
    "platforms",
    "tags",
    "cache_from",
    "cache_to",
    "no_cache",
    "pull",
];

/// One digest for all that goes into an image, which every agent would make the same; `None` where something goes in that
/// an environment sets, such as an argument or a secret, or that is not known.
///
/// It is under no agent's key, so nothing secret may go in. Base images do not: what is promoted was tried out on its own.
pub fn portable_inputs(inputs: &ImageInputs<'_>) -> Option<Digest> {
    let build = inputs.build;
    let plain = build.value.as_object()?.keys().all(|key| OF_THE_PROJECT.contains(&key.as_str()));
    let bakes = !build.args.is_empty() || !build.secrets.is_empty() || build.dockerfile_inline.is_some();
    if !plain || bakes || !matches!(build.context, Context::Project(_)) {
        return None;
    }
    let mut hash = InputKey::new([0; 32]).hasher("portable image 1");
    entries(&mut hash, inputs.context);
    hash.text(inputs.dockerfile);
    hash.text(inputs.platform.unwrap_or_default());
    hash.json(&options(&build.value));
    hash.count(build.additional_contexts.len());
    for name in build.additional_contexts.keys() {
        hash.text(name);
        entries(&mut hash, inputs.additional.get(name)?);
    }
    Some(hash.finish())
}

fn options(build: &Value) -> Value {
    let mut build = build.clone();
    if let Some(fields) = build.as_object_mut() {
        fields.retain(|name, _| !NOT_THE_IMAGES.contains(&name.as_str()));
    }
    build
}

fn entries(hash: &mut KeyedHasher, entries: &[Entry]) {
    hash.count(entries.len());
    for entry in entries {
        hash.bytes(&entry.identity().0);
    }
}

/// The folder of the project that a build's context is, checked to be a folder and not behind a link.
///
/// # Errors
/// A context that was not shipped, or that a symbolic link leads to.
pub fn context_folder<'a>(build: &'a Build, manifest: &Manifest) -> Result<Option<&'a RelPath>, InputsError> {
    match &build.context {
        Context::Project(None) => Ok(None),
        Context::Project(Some(folder)) => {
            if let Some(link) = link_on_the_way(folder, manifest) {
                return Err(InputsError::ThroughALink { path: folder.clone(), link });
            }
            Ok(Some(folder))
        }
        Context::Server(at) | Context::Remote(at) => {
            Err(InputsError::ContextElsewhere(crate::refusal::without_credentials(at)))
        }
    }
}

fn link_on_the_way(path: &RelPath, manifest: &Manifest) -> Option<RelPath> {
    let mut at = Some(path.clone());
    while let Some(path) = at {
        if matches!(manifest.get(&path), Some(Entry { kind: EntryKind::Symlink { .. }, .. })) {
            return Some(path);
        }
        at = path.parent();
    }
    None
}

/// One digest for every shipped file that the service's containers see through a bind mount, `configs` or `secrets`.
///
/// Compose's `config-hash` knows their paths only. `server_files` gives [`InputKey::digest`] of a config's or secret's
/// file that is *not* shipped, by absolute path; a bind of the server's own files is data, not an input.
pub fn mounted_inputs(
    model: &Model,
    service: &Service,
    manifest: &Manifest,
    server_files: &dyn Fn(&str) -> Option<Digest>,
    key: &InputKey,
) -> Digest {
    let mut hash = key.hasher("mounted 1");
    for path in mounted_paths(model, service) {
        hash.text(&path.absolute);
        match &path.in_project {
            Some(place) => {
                let below: Vec<Entry> = entries_within(manifest, place.as_ref()).cloned().collect();
                entries(&mut hash, &below);
                if below.is_empty() && path.is_content {
                    hash.bytes(server_files(&path.absolute).as_ref().map_or(&[][..], |d| &d.0));
                }
            }
            None if path.is_content => {
                hash.bytes(server_files(&path.absolute).as_ref().map_or(&[][..], |d| &d.0))
            }
            None => {}
        }
    }
    hash.finish()
}

/// A path on the server that a service's containers see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedPath {
    pub absolute: String,
    /// Where it lies in the project: `Some(None)` is its root.
    pub in_project: Option<Option<RelPath>>,
    /// A `configs` or `secrets` file, and not a bind mount.
    pub is_content: bool,
    pub writable: bool,
}

/// Every path of the server that the service binds, or takes a config or secret from.
pub fn mounted_paths(model: &Model, service: &Service) -> Vec<MountedPath> {
    let path = |absolute: &str, is_content, writable| MountedPath {
        absolute: absolute.to_owned(),
        in_project: model.project_path(absolute),
        is_content,
        writable,
    };
    let mut found = Vec::new();
    for mount in model.mounts(service) {
        if let Backing::Bind(source) = &mount.backing {
            found.push(path(source, false, mount.writable));
        }
    }
    let configs = service.configs.iter().filter_map(|r| model.config(&r.source));
    let secrets = service.secrets.iter().filter_map(|r| model.secret(&r.source));
    for content in configs.chain(secrets) {
        if let Content::File(file) = content {
            found.push(path(file, true, false));
        }
    }
    found
}

/// The shipped entries at or below `place` (`None`: all).
pub fn entries_within<'a>(
    manifest: &'a Manifest,
    place: Option<&RelPath>,
) -> impl Iterator<Item = &'a Entry> + use<'a> {
    let place = place.cloned();
    manifest.entries().iter().filter(move |e| place.as_ref().is_none_or(|place| e.path.is_within(place)))
}

/// The project's paths that some service can write through a bind mount: `None` is the whole project.
pub fn writable_mounts(model: &Model) -> Vec<Option<RelPath>> {
    let mut found: Vec<Option<RelPath>> = model
        .services()
        .flat_map(|service| mounted_paths(model, service))
        .filter(|path| path.writable)
        .filter_map(|path| path.in_project)
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The paths that are new, gone or different, sorted. Both lists are sorted by path, as manifests are.
pub fn changed_paths(before: &[Entry], after: &[Entry]) -> Vec<RelPath> {
    let old: BTreeMap<&RelPath, &Entry> = before.iter().map(|e| (&e.path, e)).collect();
    let new: BTreeMap<&RelPath, &Entry> = after.iter().map(|e| (&e.path, e)).collect();
    let mut changed: Vec<RelPath> = new
        .iter()
        .filter(|(path, entry)| old.get(*path).is_none_or(|before| before.identity() != entry.identity()))
        .map(|(path, _)| (*path).clone())
        .collect();
    changed.extend(old.keys().filter(|path| !new.contains_key(*path)).map(|path| (*path).clone()));
    changed.sort();
    changed
}

/// The entries of a folder of the project, by their paths in it.
pub fn folder_entries(manifest: &Manifest, folder: Option<&RelPath>) -> Vec<Entry> {
    let inside =
        |entry: &Entry| Some(Entry { path: in_context(&entry.path, folder)?, kind: entry.kind.clone() });
    manifest.entries().iter().filter_map(inside).collect()
}

#[cfg(test)]
#[path = "inputs_tests.rs"]
mod tests;
