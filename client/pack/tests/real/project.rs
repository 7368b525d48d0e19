//! A project folder for one test, gone when the test is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use wharf_pack::{FoundKind, PackRules, Walk};

pub struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("it lies below the root")).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub fn files(&self, paths: &[&str]) -> &Self {
        for path in paths {
            self.file(path, path);
        }
        self
    }

    pub fn folder(&self, path: &str) -> &Self {
        fs::create_dir_all(self.path(path)).unwrap();
        self
    }

    #[cfg(unix)]
    pub fn link(&self, path: &str, target: &str) -> &Self {
        std::os::unix::fs::symlink(target, self.path(path)).unwrap();
        self
    }

    #[cfg(unix)]
    pub fn mode(&self, path: &str, mode: u32) -> &Self {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    pub fn walk(&self) -> Walk {
        self.walk_with(&[])
    }

    pub fn walk_with(&self, include: &[&str]) -> Walk {
        let include = include.iter().map(|&text| text.to_owned()).collect();
        wharf_pack::walk(self.root(), &PackRules { include }).unwrap()
    }

    pub fn hash(&self) -> wharf_pack::Hashed {
        wharf_pack::hash(&self.walk(), self.root()).unwrap()
    }

    /// What is shipped, one a line: folders end in `/`, links show where they lead.
    pub fn shipped(&self) -> String {
        shipped(&self.walk())
    }
}

pub fn shipped(walk: &Walk) -> String {
    let line = |found: &wharf_pack::Found| match &found.kind {
        FoundKind::File { .. } => found.path.to_string(),
        FoundKind::Folder { .. } => format!("{}/", found.path),
        FoundKind::Symlink { target } => {
            format!("{} -> {}", found.path, String::from_utf8_lossy(&target.to_bytes()))
        }
    };
    walk.entries.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Every path below `root`, with what stands there: content, mode, link, time in seconds.
#[cfg(unix)]
pub fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    use std::os::unix::fs::MetadataExt;
    let mut tree = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let what = if meta.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if meta.is_dir() {
                folders.push(path.clone());
                // A folder with something in it has no entry, and gets the mode that the umask leaves.
                let empty = fs::read_dir(&path).unwrap().next().is_none();
                if empty { format!("empty folder {:o}", meta.mode()) } else { "folder".into() }
            } else {
                let content = fs::read(&path).unwrap();
                format!(
                    "{:o} {} {} {}",
                    meta.mode(),
                    meta.mtime(),
                    content.len(),
                    wharf_proto::Digest::of(&content)
                )
            };
            tree.insert(path.strip_prefix(root).unwrap().to_owned(), what);
        }
    }
    tree
}
