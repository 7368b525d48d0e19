//! A project's files, the same ones in each run.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use std::path::{Path, PathBuf};

/// As a front end with its modules has.
pub const FILES: usize = 20_000;
/// Files of one folder.
const FOLDER: usize = 100;

/// Files that can be changed, one in a hundred at a time.
pub struct Tree {
    root: PathBuf,
    files: usize,
    random: StdRng,
}

impl Tree {
    pub fn new(root: &Path, files: usize) -> Self {
        let mut tree = Self { root: root.to_owned(), files, random: StdRng::seed_from_u64(7) };
        (0..files).for_each(|number| tree.write(number));
        tree
    }

    /// Writes one in a hundred anew.
    pub fn change(&mut self) {
        let first = self.random.random_range(0..100);
        (first..self.files).step_by(100).for_each(|number| self.write(number));
    }

    /// Hexadecimal digits, which compress to a half. Most files are small: 16 KiB on average.
    fn write(&mut self, number: usize) {
        let path = self.root.join(format!("{:03}/{number:05}.js", number / FOLDER));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let bytes = match number % 20 {
            0 => self.random.random_range(50_000..120_000),
            1..5 => self.random.random_range(6_000..24_000),
            _ => self.random.random_range(500..4_000),
        };
        let mut content = vec![0; bytes];
        self.random.fill_bytes(&mut content);
        std::fs::write(path, hex::encode(content)).unwrap();
    }
}
