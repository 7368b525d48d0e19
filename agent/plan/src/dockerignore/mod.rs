//! What a build context holds: `.dockerignore` as Docker reads it.
//!
//! **Invariant**: the rules are those of moby's `patternmatcher` and BuildKit's file sending, not git's: patterns are
//! anchored at the context's root, the last one that matches wins, a match on a folder holds for all below it, and what
//! the daemon would refuse as a pattern is refused here too. The daemon itself never applies the file: who sends the
//! context must.

mod pattern;

pub use pattern::{Ignore, IgnoreError};

use wharf_proto::{Entry, Manifest, RelPath};

/// The files of one build context, by their paths in the context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildContext {
    /// What `COPY` sees.
    pub entries: Vec<Entry>,
    /// The Dockerfile and the ignore file where `entries` lacks them: a builder that takes the context as one archive
    /// must be sent them all the same.
    pub needed: Vec<Entry>,
}

/// Where the patterns of a context stand: `<Dockerfile>.dockerignore` wins over `.dockerignore`.
///
/// `dockerfile` is a path in the project; `context` is `None` for the project's root.
pub fn ignore_file<'a>(
    manifest: &'a Manifest,
    context: Option<&RelPath>,
    dockerfile: Option<&RelPath>,
) -> Option<&'a Entry> {
    let beside = dockerfile.and_then(|path| RelPath::new([path.as_bytes(), b".dockerignore"].concat()).ok());
    let at_root = match context {
        Some(folder) => RelPath::new([folder.as_bytes(), b"/.dockerignore"].concat()).ok(),
        None => RelPath::new(b".dockerignore".to_vec()).ok(),
    };
    [beside, at_root].into_iter().flatten().find_map(|path| manifest.get(&path))
}

/// The context's entries under `ignore_text`. `dockerfile` is a path in the project.
///
/// # Errors
/// A pattern that Docker refuses.
pub fn filter_context(
    manifest: &Manifest,
    context: Option<&RelPath>,
    dockerfile: Option<&RelPath>,
    ignore_text: Option<&str>,
) -> Result<BuildContext, IgnoreError> {
    let ignore = Ignore::parse(ignore_text.unwrap_or_default())?;
    let dockerfile = dockerfile.and_then(|path| in_context(path, context));
    let mut found = BuildContext::default();
    for entry in manifest.entries() {
        let Some(path) = in_context(&entry.path, context) else { continue };
        let entry = Entry { path, kind: entry.kind.clone() };
        if !ignore.excludes(&entry.path) {
            found.entries.push(entry);
        } else if Some(&entry.path) == dockerfile.as_ref() || entry.path.as_bytes() == b".dockerignore" {
            found.needed.push(entry);
        }
    }
    Ok(found)
}

/// `path` as the context sees it.
pub(crate) fn in_context(path: &RelPath, context: Option<&RelPath>) -> Option<RelPath> {
    let Some(folder) = context else { return Some(path.clone()) };
    let rest = path.as_bytes().strip_prefix(folder.as_bytes())?.strip_prefix(b"/")?;
    RelPath::new(rest).ok()
}

#[cfg(test)]
mod tests;
