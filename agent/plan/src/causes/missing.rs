//! Modules and files that a program looks for in vain though the project has them.

use super::Evidence;
use regex::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// How many files one failure names.
const MAX_FILES: usize = 5;

/// What a program did not find, as it names it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Missing {
    /// A module of Python's, with dots.
    Python(String),
    /// A path, or a module of Node's that is one.
    Path(String),
}

/// What languages and tools write; the first group is the name.
static PYTHON: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"No module named '?([A-Za-z_][\w.]*)'?").ok());
static PATHS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"(?i)no such file or directory: b?'([^']+)'",
        r"(?i)no such file or directory, \w+ '([^']+)'",
        r"Cannot find module '([./][^']+)'",
        r"open ([^\s:]+): no such file or directory",
        r#""([^"]+)": not found"#,
        r"(?:can't open|cannot open|cannot access|cannot stat) '?([^\s':]+)'?: No such file",
        r"(?:^|: )([^\s:]+): No such file or directory",
    ]
    .iter()
    .filter_map(|pattern| Regex::new(pattern).ok())
    .collect()
});
/// What Node adds by itself.
const NODE_ENDINGS: &[&str] = &["", ".js", ".mjs", ".cjs", ".ts", ".json", "/index.js", "/index.ts"];

pub(super) fn not_in_image(evidence: &Evidence) -> Option<(String, String)> {
    let missing: BTreeSet<Missing> = evidence.lines().flat_map(named).collect();
    let found: BTreeSet<&str> =
        missing.iter().filter_map(|missing| missing.in_project(&evidence.shipped)).collect();
    if found.is_empty() {
        return None;
    }
    let files = found.into_iter().take(MAX_FILES).collect::<Vec<_>>().join(", ");
    Some((
        format!("the project has {files}, and the image does not have it where the program looks"),
        format!(
            "COPY {files} in the Dockerfile to where the program looks, and see that no .dockerignore leaves it out"
        ),
    ))
}

fn named(line: &str) -> Vec<Missing> {
    let python = PYTHON.as_ref().and_then(|regex| regex.captures(line));
    let python = python.map(|found| Missing::Python(found[1].to_owned()));
    let path = PATHS.iter().find_map(|regex| regex.captures(line));
    let path = path.map(|found| Missing::Path(found[1].to_owned()));
    python.into_iter().chain(path).collect()
}

impl Missing {
    /// The file of the project that it is: of those with its name, the one that has most of its path.
    fn in_project<'a>(&self, shipped: &'a [String]) -> Option<&'a str> {
        let names: Vec<String> = match self {
            Self::Python(module) => {
                let path = module.replace('.', "/");
                vec![format!("{path}.py"), format!("{path}/__init__.py")]
            }
            Self::Path(path) => NODE_ENDINGS.iter().map(|ending| format!("{path}{ending}")).collect(),
        };
        // A module's dots are its whole path; a file's path begins with folders of the image's.
        let wanted = |name: &str| match self {
            Self::Python(_) => parts(name).len(),
            Self::Path(_) => 1,
        };
        let candidates = names.iter().flat_map(|name| {
            shipped
                .iter()
                .map(move |path| (common(path, name), path))
                .filter(|(alike, _)| *alike >= wanted(name))
        });
        candidates.max_by_key(|(alike, _)| *alike).map(|(_, path)| path.as_str())
    }
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect()
}

/// How many names two paths have in common, from their ends.
fn common(a: &str, b: &str) -> usize {
    parts(a).iter().rev().zip(parts(b).iter().rev()).take_while(|(a, b)| a == b).count()
}
