//! What is shipped: walked, hashed, and packed as the server asks for it.

use crate::{
    config::Config,
    session::{Pack, Packs},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;
use tokio::sync::mpsc;
use wharf_pack::{Exposed, Found, FoundKind, Hashed, PackError, PackRules, Walk};
use wharf_proto::{Digest, Entry, Failure, FailureKind, Manifest, RelPath};

/// Packs that are made ahead of the one that is being sent.
const PACKS_AHEAD: usize = 1;

/// A project's files, ready to be offered.
pub struct Files {
    root: PathBuf,
    walk: Walk,
    hashed: Arc<Hashed>,
    /// Files whose content is another one than in the project, for a dry run.
    instead: Option<Instead>,
}

struct Instead {
    hashed: Arc<Hashed>,
    manifest: Manifest,
    /// Holds the content until the packs are made.
    _folder: TempDir,
}

/// Walks and hashes the configuration's project.
///
/// # Errors
/// A file that cannot be read or shipped.
pub async fn read(config: &Config) -> Result<Files, Failure> {
    let (root, rules) = (config.root.clone(), PackRules { include: config.include.clone() });
    blocking(move || {
        let walk = wharf_pack::walk(&root, &rules)?;
        let hashed = Arc::new(wharf_pack::hash(&walk, &root)?);
        Ok(Files { root, walk, hashed, instead: None })
    })
    .await
}

impl Files {
    /// The files as they are offered.
    pub fn manifest(&self) -> &Manifest {
        self.instead.as_ref().map_or(self.hashed.manifest(), |instead| &instead.manifest)
    }

    /// What a person should know: links that lead out, secrets that stay here.
    pub fn remarks(&self) -> Vec<String> {
        let left_out = self.walk.left_out.iter().map(|left| format!("not shipped: {left}"));
        self.walk.warnings.iter().map(ToString::to_string).chain(left_out).collect()
    }

    /// Secrets in the text of what would be shipped, by file and line.
    pub fn exposed(&self) -> &[Exposed] {
        self.hashed.exposed()
    }

    /// The project as `wharf init` looks at it, without another walk.
    ///
    /// # Errors
    /// None but a task that was ended.
    pub async fn facts(&self) -> Result<wharf_look::Facts, Failure> {
        let (root, walk) = (self.root.clone(), self.walk.clone());
        blocking(move || Ok(wharf_look::Facts::of(&root, walk))).await
    }

    pub fn hashed(&self) -> Arc<Hashed> {
        self.hashed.clone()
    }

    /// Reads the content again, after some of it changed.
    ///
    /// # Errors
    /// As [`read`].
    pub async fn again(self) -> Result<Self, Failure> {
        blocking(move || {
            let hashed = Arc::new(wharf_pack::hash(&self.walk, &self.root)?);
            Ok(Self { hashed, instead: None, ..self })
        })
        .await
    }

    /// Offers `contents` instead of what the project has at these paths, without touching the project.
    ///
    /// # Errors
    /// A temporary folder that cannot be written.
    pub async fn with(self, contents: Vec<(RelPath, Vec<u8>)>) -> Result<Self, Failure> {
        blocking(move || {
            let folder = write_aside(&contents).map_err(|source| PackError::Read {
                path: contents.first().map_or_else(here, |c| c.0.clone()),
                source,
            })?;
            let paths: BTreeSet<&RelPath> = contents.iter().map(|(path, _)| path).collect();
            let entries: Vec<Found> =
                self.walk.entries.iter().filter(|found| paths.contains(&found.path)).map(plain).collect();
            let hashed = wharf_pack::hash(&Walk { entries, ..Walk::default() }, folder.path())?;
            let manifest = replaced(self.hashed.manifest(), hashed.manifest())?;
            let instead = Instead { hashed: Arc::new(hashed), manifest, _folder: folder };
            Ok(Self { instead: Some(instead), ..self })
        })
        .await
    }

    /// Packs of what is missing, made as they are sent.
    pub fn packs(&self, missing: BTreeSet<Digest>) -> Packs {
        let (tx, rx) = mpsc::channel(PACKS_AHEAD);
        let instead = self.instead.as_ref().map(|instead| instead.hashed.clone());
        let hashed = self.hashed.clone();
        tokio::task::spawn_blocking(move || {
            let (aside, here): (Vec<Digest>, Vec<Digest>) =
                missing.into_iter().partition(|digest| instead.as_ref().is_some_and(|i| i.contains(digest)));
            let more = instead.iter().flat_map(|instead| wharf_pack::packs(instead, &aside));
            for pack in wharf_pack::packs(&hashed, &here).chain(more) {
                let stop = pack.is_err();
                // Whoever sends may have given up.
                if tx.blocking_send(pack.map(of_pack).map_err(pack_failure)).is_err() || stop {
                    return;
                }
            }
        });
        rx
    }
}

fn of_pack(pack: wharf_pack::Pack) -> Pack {
    Pack { encoding: pack.encoding, bytes: pack.bytes, content_bytes: pack.raw_bytes }
}

fn here() -> RelPath {
    RelPath::new(*b"wharf.toml").expect("a plain name is a path inside the project")
}

/// As a plain file, whatever its length was.
fn plain(found: &Found) -> Found {
    let mode = match found.kind {
        FoundKind::File { mode, .. } => mode,
        FoundKind::Symlink { .. } | FoundKind::Folder { .. } => 0o644,
    };
    Found { path: found.path.clone(), kind: FoundKind::File { mode, size_bytes: 0 } }
}

fn write_aside(contents: &[(RelPath, Vec<u8>)]) -> std::io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("wharf-").tempdir()?;
    for (path, content) in contents {
        let path = path.below(folder.path());
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        std::fs::write(path, content)?;
    }
    Ok(folder)
}

fn replaced(base: &Manifest, instead: &Manifest) -> Result<Manifest, PackError> {
    let entries: Vec<Entry> =
        base.entries().iter().map(|entry| instead.get(&entry.path).unwrap_or(entry).clone()).collect();
    Ok(Manifest::new(entries)?)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PackError> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(pack_failure),
        Err(error) => Err(Failure::from_error(FailureKind::Internal, &error)),
    }
}

/// What a project's files have against being packed.
#[expect(clippy::needless_pass_by_value, reason = "it is the end of the error's way")]
pub fn pack_failure(error: PackError) -> Failure {
    let kind = match &error {
        PackError::Manifest(_) | PackError::UnknownChunk { .. } | PackError::PackTooLong { .. } => {
            FailureKind::Internal
        }
        PackError::Rule { .. }
        | PackError::Rules { .. }
        | PackError::RulesTooLong { .. }
        | PackError::Include { .. } => FailureKind::Config,
        _ => FailureKind::Environment,
    };
    Failure::from_error(kind, &error).hint(error.hint())
}
