//! What the kernel has frozen though the engine takes it for running: an attempt to freeze that the engine gave up.
//!
//! On control groups of version 2 the kernel goes on with such an attempt. The engine then neither lets go of the container,
//! which it takes for running, nor freezes it, which its runtime takes for frozen.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

/// Where the kernel shows its control groups.
const GROUPS: &str = "/sys/fs/cgroup";

/// One control group's file that tells whether it is frozen.
#[derive(Debug, PartialEq, Eq)]
struct Switch {
    file: PathBuf,
    /// What is written there to let go.
    thaws: &'static str,
}

/// Lets go of a container that the kernel has frozen or goes on to freeze; whether it had. `pid` is its first process.
///
/// # Errors
/// It may not be let go.
pub fn thaw(container: &str, pid: u32) -> io::Result<bool> {
    // One that has ended is not frozen.
    let Ok(groups) = fs::read_to_string(format!("/proc/{pid}/cgroup")) else { return Ok(false) };
    let mut thawed = false;
    for switch in switches(&groups, container) {
        // Of the places where it may be, one is there.
        let Ok(state) = fs::read_to_string(&switch.file) else { continue };
        if is_frozen(state.trim()) {
            OpenOptions::new().write(true).open(&switch.file)?.write_all(switch.thaws.as_bytes())?;
            thawed = true;
        }
    }
    Ok(thawed)
}

fn is_frozen(state: &str) -> bool {
    matches!(state, "1" | "FROZEN" | "FREEZING")
}

/// By a process's `/proc/PID/cgroup`: what may have been frozen, which is the container's own group. The process may be in
/// one below that.
fn switches(groups: &str, container: &str) -> Vec<Switch> {
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let Some(group) = group_of(Path::new(path), container) else { continue };
        let mut add = |root: &str, name: &str, thaws| {
            found.push(Switch { file: Path::new(GROUPS).join(root).join(group).join(name), thaws });
        };
        if controllers.split(',').any(|controller| controller == "freezer") {
            add("freezer", "freezer.state", "THAWED");
        } else if number == "0" && controllers.is_empty() {
            add("", "cgroup.freeze", "0");
            // Beside groups of version 1.
            add("unified", "cgroup.freeze", "0");
        }
    }
    found
}

/// The group that has the container's name, without the slash that it begins with.
fn group_of<'a>(path: &'a Path, container: &str) -> Option<&'a Path> {
    if container.is_empty() || path.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    let named = |group: &&Path| {
        group.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.contains(container))
    };
    path.ancestors().find(named).and_then(|group| group.strip_prefix("/").ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_containers_own_group_is_found_on_either_version() {
        for (groups, expected) in [
            ("0::/system.slice/docker-abc.scope\n", "system.slice/docker-abc.scope/cgroup.freeze unified"),
            (
                "0::/system.slice/docker-abc.scope/init.scope\n",
                "system.slice/docker-abc.scope/cgroup.freeze unified",
            ),
            ("6:freezer:/docker/abc\n5:devices:/docker/abc\n", "freezer/docker/abc/freezer.state"),
            ("3:cpu,freezer:/docker/abc/below\n", "freezer/docker/abc/freezer.state"),
            ("0::/docker/another\n1:freezer:/\n", ""),
            // Of a reader in a container, whose groups are others.
            ("0::/../docker-abc.scope\n", ""),
            ("nonsense\n", ""),
        ] {
            let found = switches(groups, "abc");
            let expected: Vec<PathBuf> = match expected.strip_suffix(" unified") {
                Some(path) => {
                    vec![Path::new(GROUPS).join(path), Path::new(GROUPS).join("unified").join(path)]
                }
                None if expected.is_empty() => Vec::new(),
                None => vec![Path::new(GROUPS).join(expected)],
            };
            let files: Vec<PathBuf> = found.into_iter().map(|switch| switch.file).collect();
            assert_eq!(files, expected, "{groups}");
        }
    }

    #[test]
    fn what_is_being_frozen_is_let_go_too() {
        for (state, expected) in
            [("1", true), ("0", false), ("FROZEN", true), ("FREEZING", true), ("THAWED", false), ("", false)]
        {
            assert_eq!(is_frozen(state), expected, "{state}");
        }
    }
}
