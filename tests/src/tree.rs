//! Folders, compared and copied.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Every file and link below a folder: its mode and content.
pub type Tree = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// Reads all of `root`; folders count where they are empty.
pub fn read(root: &Path) -> Tree {
    let mut tree = Tree::new();
    collect(root, root, &mut tree);
    tree
}

fn collect(root: &Path, folder: &Path, tree: &mut Tree) {
    let entries: Vec<_> = std::fs::read_dir(folder).expect("a folder of the test's").flatten().collect();
    if entries.is_empty() && folder != root {
        tree.insert(relative(root, folder), (0, b"<folder>".to_vec()));
    }
    for entry in entries {
        let path = entry.path();
        let metadata = path.symlink_metadata().expect("an entry that was just listed");
        if metadata.is_dir() {
            collect(root, &path, tree);
        } else if metadata.is_symlink() {
            let target = std::fs::read_link(&path).expect("a link");
            tree.insert(relative(root, &path), (0, target.into_os_string().into_encoded_bytes()));
        } else {
            let content = std::fs::read(&path).expect("a readable file");
            tree.insert(relative(root, &path), (metadata.permissions().mode() & 0o777, content));
        }
    }
}

/// The files below a folder, in no order.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of the test's").flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn relative(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).expect("a path below the root").to_owned()
}

/// Copies a folder with its modes.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder of the test's");
    for entry in std::fs::read_dir(from).expect("a folder of the repository").flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().expect("an entry that was just listed").is_dir() {
            copy(&source, &target);
        } else {
            std::fs::copy(&source, &target).expect("a file of the repository");
        }
    }
}
