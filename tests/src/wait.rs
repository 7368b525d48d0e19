//! What a test waits for.

use std::path::Path;
use std::time::{Duration, Instant};

/// Far longer than anything here takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(60);

/// Returns once `done`.
///
/// # Panics
/// It never is: `what` says what was waited for.
#[track_caller]
pub fn await_that(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + WITHIN;
    while !done() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The bytes of all files below a folder that somebody else is writing.
pub fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => size_of(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}
