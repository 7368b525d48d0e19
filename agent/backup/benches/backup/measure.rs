//! Running a command and measuring it, by GNU time.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// What one backup took.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Wall-clock time.
    pub seconds: f64,
    /// The largest resident memory of any one process of it.
    pub peak_bytes: u64,
    /// What the backups grew by on the disk.
    pub added_bytes: u64,
}

/// GNU time's own arguments: what it writes, and where.
pub fn timing(report: &Path) -> Vec<OsString> {
    vec!["-q".into(), "-f".into(), "%e %M".into(), "-o".into(), report.into()]
}

/// Reads what GNU time wrote; `added_bytes` is the caller's to fill in.
pub fn read(report: &Path) -> Sample {
    let text = std::fs::read_to_string(report).unwrap();
    let mut words = text.split_whitespace();
    let mut number = || words.next().unwrap().parse::<f64>().unwrap();
    let (seconds, kibibytes) = (number(), number());
    Sample { seconds, peak_bytes: (kibibytes * 1024.0) as u64, added_bytes: 0 }
}

/// Runs a shell command with everything written to the disk before, and measures it.
pub fn shell(script: &str, environment: &[(&str, &str)], folder: &Path) -> Sample {
    settle();
    let report = folder.join("time");
    let output = Command::new("/usr/bin/time")
        .args(timing(&report))
        .args(["sh", "-e", "-c", script])
        .envs(environment.iter().copied())
        .stdout(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    read(&report)
}

/// Leaves nothing of the last tool's writes for the next one to wait for.
pub fn settle() {
    assert!(Command::new("sync").status().unwrap().success());
}

/// The bytes of all files below a folder.
pub fn size_of(folder: &Path) -> u64 {
    let files = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    files.filter(|entry| entry.file_type().is_file()).map(|entry| entry.metadata().unwrap().len()).sum()
}
