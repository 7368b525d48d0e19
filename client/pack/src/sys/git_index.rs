//! Permission bits from git's index, for systems that have none.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use wharf_proto::RelPath;

/// git reads one file: longer means that something holds it.
const TIMEOUT_SECONDS: u64 = 60;
/// Bound of what is taken from git: `MANIFEST_ENTRIES` paths of usual length.
const OUTPUT_BYTES: u64 = 256 * 1024 * 1024;

/// Asks git for the modes of the files that it tracks below `root`.
pub(crate) fn read(root: &Path) -> io::Result<HashMap<RelPath, u32>> {
    let mut git = Command::new("git")
        .args(["ls-files", "--stage", "-z"])
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let stdout = git.stdout.take().ok_or_else(|| io::Error::other("git has no output"))?;
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut output = Vec::new();
        let read = stdout.take(OUTPUT_BYTES).read_to_end(&mut output).map(|_| output);
        // Nobody waits any more after the timeout.
        let _ = sender.send(read);
    });
    let Ok(output) = receiver.recv_timeout(Duration::from_secs(TIMEOUT_SECONDS)) else {
        git.kill()?;
        git.wait()?;
        return Err(io::Error::new(io::ErrorKind::TimedOut, "git ls-files did not answer"));
    };
    let output = output?;
    let status = git.wait()?;
    if !status.success() {
        return Err(io::Error::other(format!("git ls-files ended with {status}")));
    }
    Ok(parse(&output))
}

/// Reads `<mode> <object> <stage>\t<path>\0`, over and over. Links and submodules have no permission bits.
fn parse(output: &[u8]) -> HashMap<RelPath, u32> {
    let line = |line: &[u8]| {
        let tab = line.iter().position(|b| *b == b'\t')?;
        let (head, path) = line.split_at_checked(tab)?;
        let mode = match head.get(..6)? {
            b"100644" => 0o644,
            b"100755" => 0o755,
            _ => return None,
        };
        Some((RelPath::new(path.get(1..)?).ok()?, mode))
    };
    output.split(|b| *b == 0).filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_from_the_index() {
        let output = b"100644 e69de29bb2d1d6434b8b29ae775ad8c2e48c5391 0\ta b\0\
            100755 e69de29bb2d1d6434b8b29ae775ad8c2e48c5391 0\tbin/run.sh\0\
            120000 e69de29bb2d1d6434b8b29ae775ad8c2e48c5391 0\tlink\0";
        let modes = parse(output);
        assert_eq!(modes.len(), 2);
        assert_eq!(modes.get(&"a b".parse().unwrap()), Some(&0o644));
        assert_eq!(modes.get(&"bin/run.sh".parse().unwrap()), Some(&0o755));
    }

    #[test]
    fn a_folder_without_a_repository_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).is_err());
    }

    #[test]
    fn the_real_git_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        std::fs::write(folder.path().join("bin/run me.sh"), "").unwrap();
        std::fs::write(folder.path().join("a"), "").unwrap();
        for args in [&["init", "-q"][..], &["add", "."], &["update-index", "--chmod=+x", "bin/run me.sh"]] {
            let status = Command::new("git").args(args).current_dir(folder.path()).status().unwrap();
            assert!(status.success());
        }
        let modes = read(folder.path()).unwrap();
        assert_eq!(modes.get(&"bin/run me.sh".parse().unwrap()), Some(&0o755));
        assert_eq!(modes.get(&"a".parse().unwrap()), Some(&0o644));
        let below = read(&folder.path().join("bin")).unwrap();
        assert_eq!(below.get(&"run me.sh".parse().unwrap()), Some(&0o755));
    }
}
