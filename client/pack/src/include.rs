//! What a project packs although a rule would leave it out.

use crate::PackError;
use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use wharf_proto::RelPath;

/// How a project is packed, beyond its ignore files: `[pack]` in `wharf.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackRules {
    /// Files that are packed though ignored or taken for a secret: paths from the project's root, or globs
    /// (`**` crosses folders). Nothing includes `.git` or Wharf's own state.
    #[serde(default)]
    pub include: Vec<String>,
}

/// [`PackRules::include`], ready to be asked.
pub(crate) struct Includes {
    patterns: Vec<Pattern>,
}

struct Pattern {
    text: String,
    glob: GlobMatcher,
    /// The parts before the first one with a wildcard: files that match lie below them, or are them.
    fixed: Vec<String>,
    /// Whether `fixed` is all of it.
    exact: bool,
    used: Cell<bool>,
}

impl Includes {
    pub(crate) fn new(rules: &PackRules) -> Result<Self, PackError> {
        rules
            .include
            .iter()
            .map(|text| Pattern::new(text))
            .collect::<Result<_, _>>()
            .map(|patterns| Self { patterns })
    }

    /// Whether a file is named; remembers that the pattern was of use.
    pub(crate) fn names(&self, path: &RelPath) -> bool {
        let Some(text) = path.as_str() else { return false };
        let mut named = false;
        for pattern in &self.patterns {
            if pattern.text == text || pattern.glob.is_match(text) {
                pattern.used.set(true);
                named = true;
            }
        }
        named
    }

    /// Whether a named file may lie below a folder.
    pub(crate) fn reach_below(&self, folder: &RelPath) -> bool {
        let Some(text) = folder.as_str() else { return false };
        self.patterns.iter().any(|pattern| pattern.reaches_below(text))
    }

    /// Patterns that named no file.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().filter(|pattern| !pattern.used.get()).map(|pattern| pattern.text.as_str())
    }
}

impl Pattern {
    fn new(text: &str) -> Result<Self, PackError> {
        let text = text.trim_start_matches("./");
        let glob = GlobBuilder::new(text)
            .literal_separator(true)
            .build()
            .map_err(|source| PackError::Include { pattern: text.to_owned(), source })?
            .compile_matcher();
        let has_wildcard = |part: &&str| part.contains(['*', '?', '[', '{', '\\']);
        let fixed: Vec<String> =
            text.split('/').take_while(|part| !has_wildcard(part)).map(str::to_owned).collect();
        let exact = fixed.len() == text.split('/').count();
        Ok(Self { text: text.to_owned(), glob, fixed, exact, used: Cell::new(false) })
    }

    fn reaches_below(&self, folder: &str) -> bool {
        // A name may hold a wildcard's sign, as `[id].tsx` does.
        if self.text.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')) {
            return true;
        }
        let parts: Vec<&str> = folder.split('/').collect();
        let shared = parts.len().min(self.fixed.len());
        let agrees = parts.iter().zip(&self.fixed).take(shared).all(|(a, b)| a == b);
        agrees && (!self.exact || parts.len() < self.fixed.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn includes(patterns: &[&str]) -> Includes {
        Includes::new(&PackRules { include: patterns.iter().map(|&p| p.into()).collect() }).unwrap()
    }

    fn path(text: &str) -> RelPath {
        text.parse().unwrap()
    }

    #[test]
    fn paths_and_globs_name_files() {
        let includes = includes(&["certs/ca.pem", "mobile/**/*.env", "./.env.build", "app/[id].key"]);
        for (text, expected) in [
            ("certs/ca.pem", true),
            ("x/certs/ca.pem", false),
            ("mobile/a/b/c.env", true),
            ("mobile/c.env", true),
            (".env.build", true),
            ("app/[id].key", true),
            ("certs", false),
        ] {
            assert_eq!(includes.names(&path(text)), expected, "{text}");
        }
    }

    #[test]
    fn only_folders_that_can_hold_a_named_file_are_entered() {
        let named = includes(&["a/b/c.pem", "d/*/e", "f/[id]/g"]);
        for (text, expected) in
            [("a", true), ("a/b", true), ("a/b/c.pem", false), ("a/x", false), ("d", true), ("d/x", true)]
        {
            assert_eq!(named.reach_below(&path(text)), expected, "{text}");
        }
        assert!(named.reach_below(&path("f/[id]")));
        assert!(!named.reach_below(&path("node_modules")));
        assert!(includes(&["**/*.pem"]).reach_below(&path("node_modules")));
    }

    #[test]
    fn a_pattern_that_names_nothing_is_told() {
        let includes = includes(&["a", "b"]);
        assert!(includes.names(&path("a")));
        assert_eq!(includes.unused().collect::<Vec<_>>(), ["b"]);
    }
}
