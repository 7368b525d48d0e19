//! The trees that a build reads: its context, the folder with its Dockerfile, additional contexts.

use super::{AdditionalContext, BuildError, BuildSpec, Dockerfile};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wharf_proto::RelPath;

/// The most that a Dockerfile or a secret may hold.
const SMALL_BYTES: u64 = 4 * 1024 * 1024;
/// The name of a Dockerfile that is no file.
const INLINE_NAME: &str = "Dockerfile";

/// What is behind one name that the engine may ask for.
#[derive(Clone)]
pub(super) enum LocalSource {
    /// Files on the disk.
    Tree { root: PathBuf, files: Arc<[RelPath]> },
    /// One file in memory.
    Text { name: String, content: Arc<[u8]> },
}

impl LocalSource {
    /// By the name that BuildKit uses.
    pub(super) fn all(spec: &BuildSpec) -> Result<HashMap<String, LocalSource>, BuildError> {
        let tree = |root: &PathBuf, files: &[RelPath]| Self::Tree { root: root.clone(), files: files.into() };
        let mut sources = HashMap::from([
            ("context".to_owned(), tree(&spec.context_dir, &spec.files)),
            ("dockerfile".to_owned(), Self::dockerfile(spec)?),
        ]);
        for (name, context) in &spec.additional_contexts {
            if let AdditionalContext::Folder { dir, files } = context {
                sources.insert(Self::folder_name(name), tree(dir, files));
            }
        }
        Ok(sources)
    }

    /// What the Dockerfile is called in its own tree; BuildKit's errors name it so.
    pub(super) fn dockerfile_name(dockerfile: &Dockerfile) -> String {
        let path = match dockerfile {
            Dockerfile::Inline(_) => return INLINE_NAME.to_owned(),
            Dockerfile::InContext(path) => path.below(Path::new("")),
            Dockerfile::Outside(path) => path.clone(),
        };
        path.file_name().map_or_else(|| INLINE_NAME.to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// The name of an additional context's tree.
    pub(super) fn folder_name(context: &str) -> String {
        format!("wharf-{}", hex::encode(context))
    }

    fn dockerfile(spec: &BuildSpec) -> Result<Self, BuildError> {
        let content = match &spec.dockerfile {
            Dockerfile::Inline(text) => text.clone().into_bytes(),
            Dockerfile::InContext(path) => read_small(&path.below(&spec.context_dir))?,
            Dockerfile::Outside(path) => read_small(path)?,
        };
        Ok(Self::Text { name: Self::dockerfile_name(&spec.dockerfile), content: content.into() })
    }
}

/// A file that is small by its nature.
pub(super) fn read_small(path: &Path) -> Result<Vec<u8>, BuildError> {
    use std::io::Read;
    let unreadable = |source| BuildError::Unreadable { path: path.to_path_buf(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut content = Vec::new();
    file.take(SMALL_BYTES + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > SMALL_BYTES {
        return Err(BuildError::TooLarge { path: path.to_path_buf(), max_bytes: SMALL_BYTES });
    }
    Ok(content)
}
