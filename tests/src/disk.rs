//! A small disk that a test may fill.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small disk of its own, unmounted when dropped.
pub struct SmallDisk {
    at: PathBuf,
}

const PIECE: [u8; 4096] = [0; 4096];

impl SmallDisk {
    /// A disk of this size (`64m`) in place of a folder. `None`: this user may not mount.
    pub fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a folder of the test's");
        let size = format!("size={size},mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status();
        mounted.expect("mount is on the path").success().then(|| Self { at: at.to_owned() })
    }

    /// Leaves only so much room.
    pub fn fill(&self, left_bytes: u64) {
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.filler())
            .expect("an entry of a folder needs no room here");
        let mut size = file.metadata().expect("an open file").len();
        while let Ok(written @ 1..) = file.write(&PIECE) {
            size += written as u64;
        }
        file.set_len(size.saturating_sub(left_bytes)).expect("a file can be cut");
    }

    /// Takes away what [`Self::fill`] wrote.
    pub fn make_room(&self) {
        std::fs::remove_file(self.filler()).expect("the disk was filled");
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there keeps it.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
