//! Where a planted secret is: in which files, in whose arguments.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Looks at every process's arguments, over and over.
pub struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<String>>,
}

impl Watch {
    pub fn start(values: &[String]) -> Self {
        let (over, values) = (Arc::new(AtomicBool::new(false)), values.to_vec());
        let stop = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                seen.extend(
                    argument_lists().filter(|text| values.iter().any(|value| text.contains(value.as_str()))),
                );
                // A look takes milliseconds; the processor is for what is looked at.
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            seen
        });
        Self { over, thread }
    }

    /// The argument lists that held one of the values.
    pub fn stop(self) -> BTreeSet<String> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watch does not panic")
    }
}

fn argument_lists() -> impl Iterator<Item = String> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()))
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "))
}

/// The files below a folder that hold a value.
pub fn search(folder: &Path, value: &[u8], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the test's").flatten() {
        let path = entry.path();
        match entry.file_type().expect("an entry that was just listed") {
            kind if kind.is_dir() => search(&path, value, found),
            kind if kind.is_file() => {
                let content = std::fs::read(&path).unwrap_or_default();
                if content.windows(value.len()).any(|window| window == value) {
                    found.push(path);
                }
            }
            _ => {}
        }
    }
}
