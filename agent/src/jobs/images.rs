//! Which image each service will run: the one it has, one from a registry, or one built from the stage.
//!
//! **Invariant**: an image is kept only where everything that goes into it is known and the same; whatever cannot be told
//! is built anew.

use crate::failures;
use crate::layout::Beside;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use wharf_engine::build::AdditionalContext;
use wharf_engine::{BuildSpec, Dockerfile, Engine, SecretSource};
use wharf_plan::inputs::{self, ImageInputs, InputsError};
use wharf_plan::model::{Build, Content, Service};
use wharf_plan::{InputKey, Model, bases, dockerfile, dockerignore};
use wharf_proto::{Digest, Entry, Failure, FailureKind, Manifest, RelPath};

/// What a build is made from, as it lies in the stage.
pub struct Staged<'a> {
    pub engine: &'a Engine,
    pub model: &'a Model,
    pub manifest: &'a Manifest,
    pub beside: &'a Beside,
    /// The variables that Compose runs with.
    pub env: &'a BTreeMap<String, String>,
    pub key: &'a InputKey,
}

/// One service's build, ready to run and to be compared.
pub struct Recipe {
    pub spec: BuildSpec,
    build: Build,
    platform: Option<String>,
    context: Vec<Entry>,
    dockerfile_text: String,
    additional: BTreeMap<String, Vec<Entry>>,
    secrets: BTreeMap<String, Digest>,
    /// The images that it is made from.
    from: Vec<String>,
    /// Whether those are all: its Dockerfile could be read.
    from_is_known: bool,
}

/// How a service's image is to be built.
pub enum Way {
    Engine(Box<Recipe>),
    /// With what the engine's interface does not reach (ssh mounts, remote contexts): by `docker compose build`.
    Compose {
        why: String,
        /// The images that it is made from, as far as that can be read.
        from: Vec<String>,
    },
}

impl Way {
    /// The images that it is made from, as far as is known.
    pub fn from(&self) -> &[String] {
        match self {
            Self::Engine(recipe) => &recipe.from,
            Self::Compose { from, .. } => from,
        }
    }
}

impl Staged<'_> {
    /// Reads a service's build out of the stage.
    ///
    /// # Errors
    /// A Dockerfile that is not there, an ignore file that cannot be read.
    pub fn way(&self, service: &Service, build: &Build) -> Result<Way, Failure> {
        if let Some(why) = out_of_reach(build) {
            return Ok(Way::Compose { why, from: self.known_from(service, build) });
        }
        let folder = match inputs::context_folder(build, self.manifest) {
            Ok(folder) => folder.cloned(),
            Err(error @ InputsError::ContextElsewhere(_)) => {
                let from = self.known_from(service, build);
                return Ok(Way::Compose { why: error.to_string(), from });
            }
            Err(error) => return Err(self.wrong(service, &error)),
        };
        let dockerfile = dockerfile_path(build, folder.as_ref());
        let text = self.dockerfile_text(service, build, dockerfile.as_ref())?;
        let ignore = dockerignore::ignore_file(self.manifest, folder.as_ref(), dockerfile.as_ref());
        let ignore = ignore.map(|entry| self.read(&entry.path)).transpose()?;
        let filtered = dockerignore::filter_context(
            self.manifest,
            folder.as_ref(),
            dockerfile.as_ref(),
            ignore.as_deref(),
        )
        .map_err(|e| self.wrong(service, &e))?;
        let from =
            dockerfile::from_images(&text, &build.args, build.target.as_deref(), &build.additional_contexts);
        let mut spec = self.spec(service, build, folder.as_ref(), dockerfile.as_ref());
        spec.files = filtered.entries.iter().map(|entry| entry.path.clone()).collect();
        let recipe = Recipe {
            spec,
            build: build.clone(),
            platform: service.platform.clone(),
            context: filtered.entries,
            dockerfile_text: text,
            additional: self.additional(build),
            secrets: self.secret_digests(build),
            from_is_known: from.is_ok(),
            from: from.unwrap_or_default(),
        };
        Ok(Way::Engine(Box::new(recipe)))
    }

    /// The images that a build is made from which Compose does; none where its Dockerfile is not at hand.
    fn known_from(&self, service: &Service, build: &Build) -> Vec<String> {
        let text = match (&build.dockerfile_inline, inputs::context_folder(build, self.manifest)) {
            (Some(text), _) => text.clone(),
            (None, Ok(folder)) => {
                let dockerfile = dockerfile_path(build, folder);
                self.dockerfile_text(service, build, dockerfile.as_ref()).unwrap_or_default()
            }
            (None, Err(_)) => return Vec::new(),
        };
        let (target, contexts) = (build.target.as_deref(), &build.additional_contexts);
        dockerfile::from_images(&text, &build.args, target, contexts).unwrap_or_default()
    }

    fn spec(
        &self,
        service: &Service,
        build: &Build,
        folder: Option<&RelPath>,
        dockerfile: Option<&RelPath>,
    ) -> BuildSpec {
        let stage = self.beside.stage();
        let context_dir = folder.map_or_else(|| stage.clone(), |folder| folder.below(&stage));
        let file = match (&build.dockerfile_inline, dockerfile) {
            (Some(text), _) => Dockerfile::Inline(text.clone()),
            (None, Some(path)) => match within(path, folder) {
                Some(path) => Dockerfile::InContext(path),
                None => Dockerfile::Outside(path.below(&stage)),
            },
            (None, None) => Dockerfile::Outside(PathBuf::from(&build.dockerfile)),
        };
        let mut spec = BuildSpec::new(context_dir, Vec::new(), file);
        spec.target = build.target.clone().filter(|target| !target.is_empty());
        spec.args = given(&build.args);
        spec.labels = given(&build.labels);
        spec.secrets = self.secret_sources(build);
        spec.additional_contexts = build
            .additional_contexts
            .iter()
            .map(|(name, at)| (name.clone(), self.additional_context(at)))
            .collect();
        spec.platform = service.platform.clone().or_else(|| build.platforms.first().cloned());
        spec.extra_hosts = build.extra_hosts.clone();
        spec.network = build.network.clone();
        spec.shm_size_bytes = build.shm_size.as_deref().and_then(|size| size.parse().ok());
        spec
    }

    fn additional_context(&self, at: &str) -> AdditionalContext {
        match self.model.project_path(at) {
            Some(place) => AdditionalContext::Folder {
                dir: place
                    .as_ref()
                    .map_or_else(|| self.beside.stage(), |place| place.below(&self.beside.stage())),
                files: inputs::folder_entries(self.manifest, place.as_ref())
                    .into_iter()
                    .map(|e| e.path)
                    .collect(),
            },
            None => AdditionalContext::Remote(at.to_owned()),
        }
    }

    fn additional(&self, build: &Build) -> BTreeMap<String, Vec<Entry>> {
        let entries = |at: &String| {
            let place = self.model.project_path(at)?;
            Some(inputs::folder_entries(self.manifest, place.as_ref()))
        };
        build.additional_contexts.iter().filter_map(|(name, at)| Some((name.clone(), entries(at)?))).collect()
    }

    fn secret_sources(&self, build: &Build) -> BTreeMap<String, SecretSource> {
        let source = |name: &str| match self.model.secret(name)? {
            Content::File(path) => Some(SecretSource::File(self.readable(path))),
            Content::Inline(text) => Some(SecretSource::Value(text.clone())),
            Content::Environment(variable) => self.env.get(variable).map(|v| SecretSource::Value(v.clone())),
            Content::Elsewhere => None,
        };
        let id = |reference: &wharf_plan::model::Reference| {
            reference.target.clone().unwrap_or_else(|| reference.source.clone())
        };
        build.secrets.iter().filter_map(|secret| Some((id(secret), source(&secret.source)?))).collect()
    }

    fn secret_digests(&self, build: &Build) -> BTreeMap<String, Digest> {
        let digest = |name: &str| match self.model.secret(name)? {
            Content::File(path) => Some(self.key.digest(&std::fs::read(self.readable(path)).ok()?)),
            Content::Inline(text) => Some(self.key.digest(text.as_bytes())),
            Content::Environment(variable) => {
                self.env.get(variable).map(|value| self.key.digest(value.as_bytes()))
            }
            Content::Elsewhere => None,
        };
        build.secrets.iter().filter_map(|s| Some((s.source.clone(), digest(&s.source)?))).collect()
    }

    /// Where a file of the model can be read now: in the stage where it is shipped, else on the server.
    fn readable(&self, path: &str) -> PathBuf {
        match self.model.project_path(path) {
            Some(Some(place)) if self.manifest.get(&place).is_some() => place.below(&self.beside.stage()),
            _ => PathBuf::from(path),
        }
    }

    fn dockerfile_text(
        &self,
        service: &Service,
        build: &Build,
        path: Option<&RelPath>,
    ) -> Result<String, Failure> {
        if let Some(text) = &build.dockerfile_inline {
            return Ok(text.clone());
        }
        match path {
            Some(path) if self.manifest.get(path).is_some() => self.read(path),
            Some(path) => Err(Failure::new(
                FailureKind::Config,
                format!("the Dockerfile of {}, {path}, is not in the release", service.name),
            )
            .hint(
                "check build.dockerfile in the Compose file, and whether an ignore rule leaves the file out",
            )),
            None => std::fs::read_to_string(&build.dockerfile).map_err(|e| self.wrong(service, &e)),
        }
    }

    fn read(&self, path: &RelPath) -> Result<String, Failure> {
        let at = path.below(&self.beside.stage());
        let bytes = std::fs::read(&at).map_err(|e| Failure::from_error(FailureKind::Environment, &e))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn wrong(&self, service: &Service, error: &dyn std::error::Error) -> Failure {
        let mut failure =
            Failure::new(FailureKind::Config, format!("the build of {} cannot be read", service.name));
        let mut cause = Some(error);
        while let Some(error) = cause {
            failure = failure.cause(error.to_string());
            cause = error.source();
        }
        failure.hint("correct the service's build in the Compose file")
    }

    /// One digest for all that goes into the image; `None` where something of it is not known. `own` are images of the
    /// project that it is made from, by their [plain](bases::plain) names, which mean others until they are put in place.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn digest(
        &self,
        recipe: &Recipe,
        own: &BTreeMap<String, String>,
    ) -> Result<Option<Digest>, Failure> {
        if !recipe.from_is_known {
            return Ok(None);
        }
        let mut from_images = BTreeMap::new();
        for reference in &recipe.from {
            if let Some(id) = own.get(bases::plain(reference)) {
                from_images.insert(reference.clone(), id.clone());
            } else if let Some(image) =
                self.engine.image(reference).await.map_err(|e| failures::of_engine(&e))?
            {
                from_images.insert(reference.clone(), image.id);
            }
        }
        Ok(inputs::image_inputs(&recipe.inputs(&from_images), self.key).ok())
    }
}

impl Recipe {
    /// The images that it is made from.
    pub fn from(&self) -> &[String] {
        &self.from
    }

    /// A digest that other agents would make, too; `None` where that cannot be.
    pub fn portable(&self) -> Option<Digest> {
        self.from_is_known.then(|| inputs::portable_inputs(&self.inputs(&BTreeMap::new())))?
    }

    fn inputs<'a>(&'a self, from_images: &'a BTreeMap<String, String>) -> ImageInputs<'a> {
        ImageInputs {
            build: &self.build,
            context: &self.context,
            dockerfile: &self.dockerfile_text,
            additional: &self.additional,
            platform: self.platform.as_deref(),
            from_images,
            secrets: &self.secrets,
        }
    }

    /// The context, to tell what changed in it.
    pub fn context(&self) -> &[Entry] {
        &self.context
    }
}

/// What keeps a build from going through the engine's own interface.
fn out_of_reach(build: &Build) -> Option<String> {
    if !build.ssh.is_empty() {
        return Some("it mounts an SSH agent".into());
    }
    if build.privileged || build.ulimits {
        return Some("it asks for rights or limits of its own".into());
    }
    let of_service = |at: &&String| at.starts_with("service:");
    build
        .additional_contexts
        .values()
        .find(of_service)
        .map(|_| "it takes another service's image as a context".into())
}

fn given(map: &BTreeMap<String, Option<String>>) -> BTreeMap<String, String> {
    map.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect()
}

/// Where the Dockerfile lies in the project; `None` where it is inline or outside.
fn dockerfile_path(build: &Build, folder: Option<&RelPath>) -> Option<RelPath> {
    if build.dockerfile_inline.is_some() || Path::new(&build.dockerfile).is_absolute() {
        return None;
    }
    let mut parts: Vec<&str> =
        folder.and_then(RelPath::as_str).map(|f| f.split('/').collect()).unwrap_or_default();
    for part in build.dockerfile.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    parts.join("/").parse().ok()
}

fn within(path: &RelPath, folder: Option<&RelPath>) -> Option<RelPath> {
    let Some(folder) = folder else { return Some(path.clone()) };
    let rest = path.as_bytes().strip_prefix(folder.as_bytes())?.strip_prefix(b"/")?;
    RelPath::new(rest).ok()
}
