//! All that descends from a process, as `/proc` tells it.
//!
//! A descendant that left its group and session is still found, because orphans are adopted by the supervising process.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::time::Duration;

/// Between two looks at the tree.
pub(super) const POLL: Duration = Duration::from_millis(10);

/// Whether `root` has descendants that run.
pub(super) fn any(root: u32) -> bool {
    !descendants(root).is_empty()
}

/// Sends a signal to every descendant of `root`.
pub(super) fn signal_all(root: u32, signal: Signal) {
    for pid in descendants(root) {
        // One that ended in between needs no signal.
        let _ = kill(pid, signal);
    }
}

/// Takes notice of the end of adopted processes. The program itself (`except`) is its owner's to wait for.
pub(super) fn reap_adopted(except: Option<u32>) {
    for (pid, process) in processes() {
        let ours = process.parent == std::process::id();
        if !ours || !process.ended || Some(pid) == except {
            continue;
        }
        let Ok(raw) = i32::try_from(pid) else { continue };
        match waitpid(Pid::from_raw(raw), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Ok(_) | Err(Errno::ECHILD) => {}
            Err(_) => return,
        }
    }
}

struct Process {
    parent: u32,
    /// A zombie: it ended and waits for its parent to notice.
    ended: bool,
}

/// Every process that descends from `root` and runs.
pub(crate) fn descendants(root: u32) -> Vec<Pid> {
    let all = processes();
    let descends = |mut pid: u32| {
        // A tree is not deeper than it has processes; the bound guards against IDs used anew while we look.
        for _ in 0..all.len() {
            match all.get(&pid) {
                Some(process) if process.parent == root => return true,
                Some(process) => pid = process.parent,
                None => return false,
            }
        }
        false
    };
    let running = all.iter().filter(|(pid, process)| !process.ended && descends(**pid));
    running.filter_map(|(pid, _)| i32::try_from(*pid).ok()).map(Pid::from_raw).collect()
}

/// Whether a process is there and has not ended.
pub(crate) fn runs(pid: Pid) -> bool {
    u32::try_from(pid.as_raw()).ok().and_then(read).is_some_and(|process| !process.ended)
}

fn processes() -> HashMap<u32, Process> {
    let Ok(folders) = std::fs::read_dir("/proc") else { return HashMap::new() };
    folders
        .flatten()
        .filter_map(|folder| folder.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| Some((pid, read(pid)?)))
        .collect()
}

fn read(pid: u32) -> Option<Process> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name in parentheses may hold anything; the fields begin after the last one.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X" | "x");
    Some(Process { parent: fields.next()?.parse().ok()?, ended })
}
