//! How a service's image is built.

use super::paths;
use super::read::{fields_at, list_at, text, text_at, texts_at, variables_at};
use super::service::Reference;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use wharf_proto::RelPath;

/// The `build:` of a service.
#[derive(Clone, PartialEq)]
pub struct Build {
    pub context: Context,
    /// As written: relative to the context, or absolute.
    pub dockerfile: String,
    /// The Dockerfile's text, where the Compose file has it.
    pub dockerfile_inline: Option<String>,
    /// Values may be secrets.
    pub args: BTreeMap<String, Option<String>>,
    pub target: Option<String>,
    /// `source` is the key of a top-level secret, `target` the `id` that a Dockerfile mounts.
    pub secrets: Vec<Reference>,
    pub ssh: Vec<String>,
    /// Name to path, URL or `docker-image://…`.
    pub additional_contexts: BTreeMap<String, String>,
    pub platforms: Vec<String>,
    pub network: Option<String>,
    pub shm_size: Option<String>,
    pub labels: BTreeMap<String, Option<String>>,
    /// `host=address`.
    pub extra_hosts: Vec<String>,
    pub tags: Vec<String>,
    pub privileged: bool,
    pub ulimits: bool,
    /// Everything, for digests: what Compose may learn to say later counts too.
    pub(crate) value: Value,
}

/// Where a build's files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Context {
    /// A folder of the project; `None`: its root.
    Project(Option<RelPath>),
    /// A path on the server outside of the project.
    Server(String),
    /// A URL, which only the builder can read.
    Remote(String),
}

impl Context {
    pub(super) fn read(text: &str, app_root: &str) -> Self {
        if !text.starts_with('/') {
            return Self::Remote(text.to_owned());
        }
        match paths::below(text, app_root) {
            Some(path) => Self::Project(path),
            None => Self::Server(paths::clean(text)),
        }
    }
}

impl Build {
    pub(super) fn read(value: &Value, app_root: &str) -> Self {
        let context = text_at(value, "context").unwrap_or_else(|| app_root.to_owned());
        let mut contexts: BTreeMap<String, String> = fields_at(value, "additional_contexts")
            .filter_map(|(name, v)| Some((name.clone(), text(v)?)))
            .collect();
        // Some versions write a list of `name=value`.
        for entry in texts_at(value, "additional_contexts") {
            if let Some((name, at)) = entry.split_once('=') {
                contexts.insert(name.to_owned(), at.to_owned());
            }
        }
        Self {
            context: Context::read(&context, app_root),
            dockerfile: text_at(value, "dockerfile").unwrap_or_else(|| "Dockerfile".into()),
            dockerfile_inline: text_at(value, "dockerfile_inline"),
            args: variables_at(value, "args"),
            target: text_at(value, "target"),
            secrets: list_at(value, "secrets").into_iter().filter_map(Reference::read).collect(),
            ssh: texts_at(value, "ssh"),
            additional_contexts: contexts,
            platforms: texts_at(value, "platforms"),
            network: text_at(value, "network"),
            shm_size: text_at(value, "shm_size"),
            labels: variables_at(value, "labels"),
            extra_hosts: texts_at(value, "extra_hosts"),
            tags: texts_at(value, "tags"),
            privileged: super::read::flag_at(value, "privileged"),
            ulimits: fields_at(value, "ulimits").next().is_some(),
            value: value.clone(),
        }
    }

    /// Where the Dockerfile lies in the project; `None` where it is inline or not in the project.
    pub fn dockerfile_path(&self, app_root: &str) -> Option<RelPath> {
        if self.dockerfile_inline.is_some() {
            return None;
        }
        let absolute = if self.dockerfile.starts_with('/') {
            self.dockerfile.clone()
        } else {
            match &self.context {
                Context::Project(None) => format!("{app_root}/{}", self.dockerfile),
                Context::Project(Some(path)) => format!("{app_root}/{path}/{}", self.dockerfile),
                Context::Server(_) | Context::Remote(_) => return None,
            }
        };
        paths::below(&absolute, app_root).flatten()
    }
}

impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Build")
            .field("context", &self.context)
            .field("dockerfile", &self.dockerfile)
            .field("target", &self.target)
            .field("args", &self.args.keys())
            .finish_non_exhaustive()
    }
}
