//! What to build.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use wharf_proto::RelPath;

/// One build. It has no `Debug`: arguments and secrets are not for logs.
#[derive(Clone)]
pub struct BuildSpec {
    pub context_dir: PathBuf,
    /// What of the context takes part, `.dockerignore` applied: files, links, and folders where empty ones matter.
    pub files: Vec<RelPath>,
    pub dockerfile: Dockerfile,
    pub target: Option<String>,
    /// Values may be secret.
    pub args: BTreeMap<String, String>,
    /// By ID, as `RUN --mount=type=secret,id=…` names them.
    pub secrets: BTreeMap<String, SecretSource>,
    pub additional_contexts: BTreeMap<String, AdditionalContext>,
    /// `linux/amd64`; `None`: the engine's own.
    pub platform: Option<String>,
    /// Labels of the image that the project itself asks for.
    pub labels: BTreeMap<String, String>,
    /// `HOST=IP`.
    pub extra_hosts: Vec<String>,
    /// `host`, `none`; `None` or `default`: the engine's sandbox.
    pub network: Option<String>,
    pub no_cache: bool,
    /// Ask the registry for newer base images, even where the engine has some.
    pub pull: bool,
    /// Names for the image. May be empty.
    pub tags: Vec<String>,
    pub shm_size_bytes: Option<u64>,
    /// `nofile=1024:2048`.
    pub ulimits: Vec<String>,
    /// The most that the build may take.
    pub limit: Duration,
}

/// Where the Dockerfile is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dockerfile {
    /// In the context; it is read even where `.dockerignore` leaves it out.
    InContext(RelPath),
    /// Compose's `dockerfile_inline`.
    Inline(String),
    /// A file elsewhere on the server.
    Outside(PathBuf),
}

/// Where a secret's value is.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    File(PathBuf),
    Value(String),
}

/// One of Compose's `additional_contexts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdditionalContext {
    /// What BuildKit fetches itself: `docker-image://…`, `https://…`.
    Remote(String),
    /// A folder on the server, and what of it takes part.
    Folder { dir: PathBuf, files: Vec<RelPath> },
}

impl BuildSpec {
    /// A build of `files` in `context_dir` with its `Dockerfile`, without cache, and nothing else.
    pub fn new(context_dir: impl Into<PathBuf>, files: Vec<RelPath>, dockerfile: Dockerfile) -> Self {
        Self {
            context_dir: context_dir.into(),
            files,
            dockerfile,
            target: None,
            args: BTreeMap::new(),
            secrets: BTreeMap::new(),
            additional_contexts: BTreeMap::new(),
            platform: None,
            labels: BTreeMap::new(),
            extra_hosts: Vec::new(),
            network: None,
            no_cache: true,
            pull: false,
            tags: Vec::new(),
            shm_size_bytes: None,
            ulimits: Vec::new(),
            limit: Duration::from_secs(3600),
        }
    }
}
