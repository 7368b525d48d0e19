//! What was read of a project: its paths, and the texts that decide something.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read as _,
    path::Path,
};
use wharf_pack::{FoundKind, LeftOut, PackError, PackRules, Walk};

/// A longer text is generated, and decides nothing.
const TEXT_BYTES: u64 = 512 * 1024;
/// All texts together.
const ALL_TEXT_BYTES: usize = 64 * 1024 * 1024;

/// What is known of a project. Paths start at its root, with `/` between their parts.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The name of the project's folder.
    pub folder: String,
    /// What would be shipped.
    pub paths: BTreeSet<String>,
    /// The content of those that decide something.
    pub texts: BTreeMap<String, String>,
    /// Env files that lie here and stay here. Of their content only names and what Compose needs to choose is looked at.
    pub env_files: BTreeMap<String, String>,
    /// What is not shipped, being a secret.
    pub left_out: Vec<LeftOut>,
}

impl Facts {
    /// Reads the project at `root`, as a deploy would walk it.
    ///
    /// # Errors
    /// A folder or rule file that cannot be read.
    pub fn gather(root: &Path) -> Result<Self, PackError> {
        Ok(Self::of(root, wharf_pack::walk(root, &PackRules::default())?))
    }

    /// The same of a walk that was made already.
    pub fn of(root: &Path, walk: Walk) -> Self {
        let mut facts = Self { folder: folder_name(root), left_out: walk.left_out, ..Self::default() };
        let mut room = ALL_TEXT_BYTES;
        for found in walk.entries {
            let Some(path) = found.path.as_str() else { continue };
            if matches!(found.kind, FoundKind::Folder { .. }) {
                continue;
            }
            if matches!(found.kind, FoundKind::File { size_bytes, .. } if size_bytes <= TEXT_BYTES)
                && decides(path)
                && let Some(text) = read(root, path, room)
            {
                room -= text.len();
                facts.texts.insert(path.to_owned(), text);
            }
            facts.paths.insert(path.to_owned());
        }
        for path in env_files(root) {
            if let Some(text) = read(root, &path, room) {
                facts.env_files.insert(path, text);
            }
        }
        facts
    }

    /// The text of a file, where it is one that decides something.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    pub fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// Whether a file lies in the folder, or below it.
    pub fn has_below(&self, folder: &str) -> bool {
        self.below(folder).next().is_some()
    }

    /// The files below a folder; an empty name is the root.
    pub fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let start = prefix.clone();
        self.paths.range(start..).map(String::as_str).take_while(move |path| path.starts_with(&prefix))
    }
}

fn folder_name(root: &Path) -> String {
    let real = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Whether a file's content says something about the project.
fn decides(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    ends(&[
        ".yml",
        ".yaml",
        ".json",
        ".toml",
        ".conf",
        ".template",
        ".example",
        ".sample",
        ".dist",
        ".py",
        ".js",
        ".jsx",
        ".ts",
        ".tsx",
        ".mjs",
        ".cjs",
        ".vue",
        ".svelte",
        ".rb",
        ".php",
        ".go",
        ".rs",
        ".dockerignore",
    ]) || name.to_ascii_lowercase().contains("dockerfile")
        || matches!(name, "Makefile" | "go.mod" | "requirements.txt" | "Gemfile")
}

fn read(root: &Path, path: &str, room: usize) -> Option<String> {
    let mut bytes = Vec::new();
    let file = fs::File::open(root.join(path)).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    file.take(TEXT_BYTES + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > TEXT_BYTES || bytes.len() > room {
        return None;
    }
    String::from_utf8(bytes).ok()
}

/// Env files in the root and one folder below it; git mostly ignores them, so that the walk does not see them.
fn env_files(root: &Path) -> Vec<String> {
    let list = |folder: &Path, prefix: &str| -> Vec<(String, bool)> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut found: Vec<(String, bool)> = entries
            .map(|entry| {
                let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                (format!("{prefix}{}", entry.file_name().to_string_lossy()), folder)
            })
            .collect();
        found.sort();
        found
    };
    let is_env = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        name == ".env" || name.starts_with(".env.")
    };
    let mut found = Vec::new();
    for (path, is_folder) in list(root, "") {
        if !is_folder {
            found.push(path);
        } else if !path.starts_with('.') && !matches!(path.as_str(), "node_modules" | "target" | "vendor") {
            let inner = list(&root.join(&path), &format!("{path}/"));
            found.extend(inner.into_iter().filter(|(_, folder)| !folder).map(|(path, _)| path));
        }
    }
    found.retain(|path| is_env(path));
    found
}
