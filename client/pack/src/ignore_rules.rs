//! `.gitignore` and `.wharfignore`, as git reads them.
//!
//! **Invariant**: for one path the answer comes from the first that has one: `.wharfignore` from the innermost folder
//! outwards, then `.gitignore` likewise, then `.git/info/exclude`. What lies in an ignored folder is never asked about:
//! nothing re-includes it, as with git.

use crate::{PackError, sys};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use wharf_proto::RelPath;

const GIT: &str = ".gitignore";
const WHARF: &str = ".wharfignore";
/// A longer file is taken for a mistake.
const RULES_BYTES: u64 = 4 * 1024 * 1024;

/// The rules that hold in one folder of the project.
#[derive(Clone, Default)]
pub(crate) struct IgnoreRules {
    innermost: Option<Rc<Level>>,
    /// `.git/info/exclude`.
    exclude: Option<Rc<RuleFile>>,
}

/// The rule files of one folder.
struct Level {
    git: Option<RuleFile>,
    wharf: Option<RuleFile>,
    outer: Option<Rc<Level>>,
}

struct RuleFile {
    rules: Gitignore,
    base: Base,
}

/// How a path from the project's root is made one from the rule file's folder.
#[derive(Clone)]
enum Base {
    /// The folder lies in the project: so many bytes are cut off the front.
    Inside(usize),
    /// The project lies in the folder: this is put in front.
    Outside(Vec<u8>),
}

impl IgnoreRules {
    /// The rules at the root of a project, with those of the git repository around it. Where that repository ignores
    /// the project itself (a home folder kept in git does), its rules do not count.
    pub(crate) fn at_root(root: &Path) -> Result<Self, PackError> {
        let around = match Repository::around(root) {
            Some(repository) => Self::above(root, &repository)?,
            None => Self::default(),
        };
        around.enter(root, None)
    }

    /// The rules in `folder`, whose parent these are of.
    pub(crate) fn enter(&self, root: &Path, folder: Option<&RelPath>) -> Result<Self, PackError> {
        let (path, base) = match folder {
            Some(folder) => (folder.below(root), Base::Inside(folder.as_bytes().len() + 1)),
            None => (root.to_owned(), Base::Inside(0)),
        };
        self.with(RuleFile::read(&path.join(GIT), base.clone())?, RuleFile::read(&path.join(WHARF), base)?)
    }

    pub(crate) fn ignores(&self, path: &RelPath, is_folder: bool) -> bool {
        self.ignores_bytes(path.as_bytes(), is_folder)
    }

    fn ignores_bytes(&self, path: &[u8], is_folder: bool) -> bool {
        let verdict = |file: &Option<RuleFile>| file.as_ref().and_then(|file| file.verdict(path, is_folder));
        self.levels()
            .find_map(|level| verdict(&level.wharf))
            .or_else(|| self.levels().find_map(|level| verdict(&level.git)))
            .or_else(|| self.exclude.as_ref().and_then(|file| file.verdict(path, is_folder)))
            .unwrap_or(false)
    }

    fn levels(&self) -> impl Iterator<Item = &Level> {
        std::iter::successors(self.innermost.as_deref(), |level| level.outer.as_deref())
    }

    fn with(&self, git: Option<RuleFile>, wharf: Option<RuleFile>) -> Result<Self, PackError> {
        if git.is_none() && wharf.is_none() {
            return Ok(self.clone());
        }
        let level = Level { git, wharf, outer: self.innermost.clone() };
        Ok(Self { innermost: Some(Rc::new(level)), exclude: self.exclude.clone() })
    }

    /// The rules of a repository that `root` is in, down to the folder above `root`.
    fn above(root: &Path, repository: &Repository) -> Result<Self, PackError> {
        let inner: Vec<Vec<u8>> = root
            .strip_prefix(&repository.top)
            .unwrap_or(Path::new(""))
            .iter()
            .filter_map(sys::name_bytes)
            .collect();
        let base_at = |depth: usize| match inner.get(depth..) {
            None | Some([]) => Base::Inside(0),
            Some(rest) => Base::Outside([rest.join(&b'/'), vec![b'/']].concat()),
        };
        let exclude = RuleFile::read(&repository.info.join("exclude"), base_at(0))?.map(Rc::new);
        let mut rules = Self { innermost: None, exclude };
        let mut folder = repository.top.clone();
        for (depth, name) in inner.iter().enumerate() {
            rules = rules.with(RuleFile::read(&folder.join(GIT), base_at(depth))?, None)?;
            if rules.ignores_outside(&inner, depth) {
                return Ok(Self::default());
            }
            folder.push(sys::path_of(name));
        }
        Ok(rules)
    }

    /// Whether the rules so far ignore the folder on the way down to the project that `inner[depth]` names.
    fn ignores_outside(&self, inner: &[Vec<u8>], depth: usize) -> bool {
        let whole = inner.get(..=depth).unwrap_or_default().join(&b'/');
        let below = |file: &RuleFile| {
            // The file's folder is as many parts deep as its base is shorter than the whole way.
            let Base::Outside(prefix) = &file.base else { return None };
            let parts = prefix.iter().filter(|b| **b == b'/').count();
            let from = inner.get(inner.len() - parts..=depth).map_or(whole.clone(), |rest| rest.join(&b'/'));
            file.matched(&from, true)
        };
        self.levels()
            .find_map(|level| level.git.as_ref().and_then(below))
            .or_else(|| self.exclude.as_deref().and_then(below))
            .unwrap_or(false)
    }
}

impl RuleFile {
    /// Reads a rule file. None where there is none: like git, only regular files count.
    fn read(path: &Path, base: Base) -> Result<Option<Self>, PackError> {
        let failed = |source| PackError::Rules { path: path.to_owned(), source };
        let size_bytes = match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_file() => meta.len(),
            Ok(_) => return Ok(None),
            Err(error) if is_absent(&error) => return Ok(None),
            // The folder itself cannot be searched; whoever looks into it next says so, and names it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if size_bytes > RULES_BYTES {
            return Err(PackError::RulesTooLong { path: path.to_owned(), size_bytes });
        }
        let content = fs::read(path).map_err(failed)?;
        let rules = parse(path, &content)?;
        Ok((!rules.is_empty()).then_some(Self { rules, base }))
    }

    fn verdict(&self, path: &[u8], is_folder: bool) -> Option<bool> {
        let from_here = match &self.base {
            Base::Inside(cut) => Cow::Borrowed(path.get(*cut..).unwrap_or_default()),
            Base::Outside(prefix) => Cow::Owned([prefix.as_slice(), path].concat()),
        };
        self.matched(&from_here, is_folder)
    }

    fn matched(&self, from_here: &[u8], is_folder: bool) -> Option<bool> {
        match self.rules.matched(sys::path_of(from_here), is_folder) {
            Match::None => None,
            Match::Ignore(_) => Some(true),
            Match::Whitelist(_) => Some(false),
        }
    }
}

/// The git repository that a project is in.
struct Repository {
    top: PathBuf,
    /// The folder with `exclude` in it.
    info: PathBuf,
}

impl Repository {
    fn around(root: &Path) -> Option<Self> {
        root.ancestors().find_map(|top| {
            let git = top.join(".git");
            let meta = fs::metadata(&git).ok()?;
            let info = if meta.is_dir() { git.join("info") } else { worktree_git(top, &git)?.join("info") };
            Some(Self { top: top.to_owned(), info })
        })
    }
}

/// The shared git folder behind the `.git` file of a worktree or submodule.
fn worktree_git(top: &Path, file: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(file).ok()?;
    let own = top.join(text.strip_prefix("gitdir:")?.trim());
    match fs::read_to_string(own.join("commondir")) {
        Ok(common) => Some(own.join(common.trim())),
        Err(_) => Some(own),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn parse(path: &Path, content: &[u8]) -> Result<Gitignore, PackError> {
    let mut builder = GitignoreBuilder::new("");
    let rule = |line: usize, rule: &str, source| PackError::Rule {
        path: path.to_owned(),
        line,
        rule: rule.chars().take(100).collect(),
        source,
    };
    // Git does so where file systems do.
    let folds = cfg!(any(windows, target_os = "macos"));
    builder.case_insensitive(folds).map_err(|source| rule(0, "", source))?;
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    for (at, line) in content.split(|b| *b == b'\n').enumerate() {
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        match builder.add_line(None, &as_globset_reads(&line)) {
            Ok(_) => {}
            // For git such a rule matches nothing; in a file of our own it is told.
            Err(_) if !path.ends_with(WHARF) => {}
            Err(source) => return Err(rule(at + 1, &line, source)),
        }
    }
    builder.build().map_err(|source| rule(0, "", source))
}

/// Git knows no `{a,b}` and does know `[[:digit:]]`; with globset it is the other way round.
fn as_globset_reads(line: &str) -> Cow<'_, str> {
    const CLASSES: [(&str, &str); 7] = [
        ("[:alnum:]", "a-zA-Z0-9"),
        ("[:alpha:]", "a-zA-Z"),
        ("[:digit:]", "0-9"),
        ("[:lower:]", "a-z"),
        ("[:upper:]", "A-Z"),
        ("[:xdigit:]", "0-9a-fA-F"),
        ("[:space:]", " \t\r\u{b}\u{c}"),
    ];
    if !line.contains(['{', '}']) && !line.contains("[:") {
        return Cow::Borrowed(line);
    }
    let line = CLASSES.iter().fold(line.to_owned(), |line, (name, class)| line.replace(name, class));
    let mut out = String::with_capacity(line.len() + 8);
    let (mut in_class, mut escaped) = (false, false);
    for c in line.chars() {
        if !escaped && !in_class && matches!(c, '{' | '}') {
            out.push('\\');
        }
        in_class = !escaped && (c == '[' || (in_class && c != ']'));
        escaped = !escaped && c == '\\';
        out.push(c);
    }
    Cow::Owned(out)
}
