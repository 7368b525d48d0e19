//! Which files of a project are shipped.
//!
//! **Invariants**: symbolic links are never followed; `.git` and Wharf's own state are never entered; the result is
//! sorted and does not depend on the order in which the file system lists names.

use crate::fullest::fullest_folder;
use crate::ignore_rules::IgnoreRules;
use crate::include::Includes;
use crate::{
    Found, FoundKind, LeftOut, PackError, PackRules, Reason, Walk, Warning, link, parallel, secret, sys,
};
use std::fs::{self, DirEntry, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use wharf_proto::{RelPath, limits, manifest::LinkTarget};

/// Lists what is shipped of the project at `root`.
///
/// # Errors
/// A folder, small file or rule file that cannot be read, a rule or include that cannot be understood, or more than
/// [`limits`] allow.
pub fn walk(root: &Path, rules: &PackRules) -> Result<Walk, PackError> {
    let modes = sys::Modes::read(root)?;
    let root = fs::canonicalize(root)
        .and_then(|real| fs::read_dir(&real).map(|_| real))
        .map_err(|source| PackError::Root { path: root.to_owned(), source })?;
    let mut walker = Walker {
        modes,
        includes: Includes::new(rules)?,
        found: Walk::default(),
        to_sniff: Vec::new(),
        folders: vec![Folder { path: None, rules: IgnoreRules::at_root(&root)?, ignored: false }],
        root,
    };
    while let Some(folder) = walker.folders.pop() {
        walker.visit(&folder)?;
    }
    walker.finish()
}

struct Walker {
    root: PathBuf,
    modes: sys::Modes,
    includes: Includes,
    found: Walk,
    /// Files that are shipped unless they turn out to hold a private key.
    to_sniff: Vec<Found>,
    folders: Vec<Folder>,
}

/// A folder that is still to be looked into.
struct Folder {
    /// `None`: the project's root.
    path: Option<RelPath>,
    rules: IgnoreRules,
    /// Only what [`PackRules::include`] names is shipped from here.
    ignored: bool,
}

impl Walker {
    fn visit(&mut self, folder: &Folder) -> Result<(), PackError> {
        let on_disk = folder.path.as_ref().map_or_else(|| self.root.clone(), |path| path.below(&self.root));
        let failed = |source| match &folder.path {
            Some(path) => PackError::Read { path: path.clone(), source },
            None => PackError::Root { path: self.root.clone(), source },
        };
        let listed: Vec<DirEntry> =
            fs::read_dir(&on_disk).and_then(Iterator::collect::<io::Result<_>>).map_err(failed)?;
        if listed.is_empty()
            && !folder.ignored
            && let Some(path) = &folder.path
        {
            let meta = fs::symlink_metadata(&on_disk).map_err(failed)?;
            let kind = FoundKind::Folder { mode: self.modes.of(path, &meta) };
            self.found.entries.push(Found { path: path.clone(), kind });
        }
        for entry in listed {
            self.take(folder, &entry)?;
        }
        self.check_count()
    }

    /// Decides about one name in a folder.
    fn take(&mut self, folder: &Folder, entry: &DirEntry) -> Result<(), PackError> {
        let file_name = entry.file_name();
        let Some(name) = sys::name_bytes(&file_name) else {
            return Err(PackError::Name {
                folder: folder.path.as_ref().map_or_else(|| "the project's root".into(), RelPath::to_string),
                name: file_name.to_string_lossy().into_owned(),
            });
        };
        if is_never_shipped(&name) {
            return Ok(());
        }
        let path = join(folder.path.as_ref(), &name)?;
        let meta = match entry.metadata() {
            Ok(meta) => meta,
            // Deleted just now: then it is not part of the project.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(PackError::Read { path, source }),
        };
        if meta.is_dir() {
            return self.take_folder(folder, path);
        }
        let named = self.includes.names(&path);
        if !named && (folder.ignored || folder.rules.ignores(&path, false)) {
            return Ok(());
        }
        if named {
            self.found.named.insert(path.clone());
        }
        if !named && let Some(reason) = self.secret_by_name(&path, &name, &meta)? {
            self.found.left_out.push(LeftOut { path, reason });
            return Ok(());
        }
        self.ship(path, &meta, named)
    }

    fn take_folder(&mut self, parent: &Folder, path: RelPath) -> Result<(), PackError> {
        let ignored = parent.ignored || parent.rules.ignores(&path, true);
        if ignored && !self.includes.reach_below(&path) {
            return Ok(());
        }
        let rules =
            if ignored { parent.rules.clone() } else { parent.rules.enter(&self.root, Some(&path))? };
        self.folders.push(Folder { path: Some(path), rules, ignored });
        Ok(())
    }

    fn secret_by_name(
        &self,
        path: &RelPath,
        name: &[u8],
        meta: &Metadata,
    ) -> Result<Option<Reason>, PackError> {
        let Some(reason) = secret::by_name(name) else { return Ok(None) };
        let may_be_public =
            reason == Reason::KeyName && meta.is_file() && meta.len() <= secret::PUBLIC_PEM_BYTES;
        if may_be_public && name.to_ascii_lowercase().ends_with(b".pem") {
            // A key that we may not read is one that we do not ship: no error.
            let content = fs::read(path.below(&self.root)).unwrap_or_default();
            return Ok((!secret::is_public_pem(name, &content)).then_some(reason));
        }
        Ok(Some(reason))
    }

    fn ship(&mut self, path: RelPath, meta: &Metadata, named: bool) -> Result<(), PackError> {
        if meta.is_symlink() {
            let target = fs::read_link(path.below(&self.root))
                .map_err(|source| PackError::Read { path: path.clone(), source })?;
            let target = sys::link_bytes(&target);
            if link::leads_out(&path, &target) {
                let target = String::from_utf8_lossy(&target).into_owned();
                self.found.warnings.push(Warning::LinkLeadsOut { path: path.clone(), target });
            }
            let kind = FoundKind::Symlink { target: LinkTarget::new(&target) };
            self.found.entries.push(Found { path, kind });
        } else if meta.is_file() {
            let kind = FoundKind::File { mode: self.modes.of(&path, meta), size_bytes: meta.len() };
            let small = meta.len() <= secret::SNIFF_FILE_BYTES;
            let to = if named || !small { &mut self.found.entries } else { &mut self.to_sniff };
            to.push(Found { path, kind });
        } else {
            self.found.warnings.push(Warning::NotAFile { path, what: sys::kind_name(meta.file_type()) });
        }
        Ok(())
    }

    fn check_count(&self) -> Result<(), PackError> {
        let count = self.found.entries.len() + self.to_sniff.len();
        if count <= limits::MANIFEST_ENTRIES {
            return Ok(());
        }
        let paths: Vec<&RelPath> = self.found.entries.iter().chain(&self.to_sniff).map(|f| &f.path).collect();
        let (folder, count) = fullest_folder(&paths);
        Err(PackError::TooManyFiles { folder, count })
    }

    fn finish(mut self) -> Result<Walk, PackError> {
        let root = &self.root;
        let secrets =
            parallel::try_map(&self.to_sniff, Vec::new, |head, found| sniff(root, &found.path, head))?;
        for (found, is_secret) in self.to_sniff.into_iter().zip(secrets) {
            if is_secret {
                self.found.left_out.push(LeftOut { path: found.path, reason: Reason::KeyContent });
            } else {
                self.found.entries.push(found);
            }
        }
        for pattern in self.includes.unused() {
            self.found.warnings.push(Warning::IncludesNothing { pattern: pattern.to_owned() });
        }
        self.found.entries.sort_by(|a, b| a.path.cmp(&b.path));
        self.found.left_out.sort_by(|a, b| a.path.cmp(&b.path));
        self.found.warnings.sort();
        Ok(self.found)
    }
}

/// `.git` in every folder (submodules have one too), and what Wharf keeps for itself.
fn is_never_shipped(name: &[u8]) -> bool {
    name == b".git" || (name.starts_with(b".wharf") && name != b".wharfignore")
}

fn join(folder: Option<&RelPath>, name: &[u8]) -> Result<RelPath, PackError> {
    let bytes = match folder {
        Some(folder) => [folder.as_bytes(), b"/", name].concat(),
        None => name.to_vec(),
    };
    let length_bytes = bytes.len();
    let shown: String = String::from_utf8_lossy(&bytes).chars().take(120).collect();
    // A name from a file system has no NUL and no slash: only the length can be wrong.
    RelPath::new(bytes).map_err(|_| PackError::PathTooLong { path: shown, length_bytes })
}

fn sniff(root: &Path, path: &RelPath, head: &mut Vec<u8>) -> Result<bool, PackError> {
    head.clear();
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => PackError::Gone { path: path.clone() },
        _ => PackError::Read { path: path.clone(), source },
    };
    let file = File::open(path.below(root)).map_err(failed)?;
    file.take(secret::SNIFF_HEAD_BYTES as u64).read_to_end(head).map_err(failed)?;
    Ok(secret::holds_private_key(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_never_shipped_but_rules_are() {
        for (name, expected) in [
            (".git", true),
            (".wharf", true),
            (".wharf-stage", true),
            (".wharfignore", false),
            (".gitignore", false),
        ] {
            assert_eq!(is_never_shipped(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn a_path_that_is_too_long_is_cut_in_the_text() {
        let folder: RelPath = "d".repeat(4000).parse().unwrap();
        let error = join(Some(&folder), "e".repeat(200).as_bytes()).unwrap_err();
        assert!(matches!(&error, PackError::PathTooLong { path, length_bytes: 4201 } if path.len() == 120));
    }
}
