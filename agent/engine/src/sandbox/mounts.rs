//! The mounts of the sandbox, from the server's own to what the program sees.
//!
//! **Invariant**: what is kept of a folder that is covered was opened before, so nothing is looked up through a cover.

use super::{Sandbox, SandboxError};
use nix::mount::{MsFlags, mount};
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];
/// Where services listen; some of them do what root asks.
const RUN: [&str; 2] = ["/run", "/var/run"];
/// Of those, what looking up names needs.
const KEPT_OF_RUN: [&str; 3] = ["/run/systemd/resolve", "/run/NetworkManager", "/run/resolvconf"];
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Of `/proc`, what commands the whole server.
const PROC: [&str; 5] = ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"];
/// More is no server that a hook belongs on.
const MOUNTS_MAX: usize = 10_000;

const BIND: MsFlags = MsFlags::MS_BIND.union(MsFlags::MS_REC);
const READ_ONLY: MsFlags = MsFlags::MS_BIND
    .union(MsFlags::MS_REMOUNT)
    .union(MsFlags::MS_RDONLY)
    .union(MsFlags::MS_NOSUID)
    .union(MsFlags::MS_NODEV);

pub(super) fn arrange(sandbox: &Sandbox) -> Result<(), SandboxError> {
    call("kept to itself", Path::new("/"), None, None, MsFlags::MS_PRIVATE.union(MsFlags::MS_REC))?;
    let hidden = real(sandbox.hidden.iter().map(PathBuf::as_path));
    let sockets = real(sandbox.sockets.iter().map(PathBuf::as_path));
    let writable = real(sandbox.writable.iter().map(PathBuf::as_path).chain(TEMPORARY.map(Path::new)));
    let read_only = real(sandbox.read_only.iter().map(PathBuf::as_path));
    let guard = held(&sandbox.guard)?;
    let kept = KEPT_OF_RUN.map(PathBuf::from).into_iter().filter(|path| path.is_dir());
    let kept: Vec<(PathBuf, File)> =
        kept.map(|path| held(&path).map(|file| (path, file))).collect::<Result<_, _>>()?;
    let devices: Vec<(PathBuf, File)> = DEVICES
        .iter()
        .map(|name| Path::new("/dev").join(name))
        .filter(|path| path.exists())
        .map(|path| held(&path).map(|file| (path, file)))
        .collect::<Result<_, _>>()?;

    for folder in writable.iter().chain(&read_only) {
        call("mounted", folder, Some(folder), None, BIND)?;
    }
    seal(&writable, &read_only)?;
    proc()?;
    for run in real(RUN.map(Path::new)) {
        tmpfs(&run, "mode=755,size=1m", MsFlags::empty())?;
    }
    for (path, file) in &kept {
        make(path, || fs::create_dir_all(path))?;
        bind(path, file)?;
        call("made read-only", path, None, None, READ_ONLY)?;
    }
    self::devices(&devices)?;
    for socket in &sockets {
        stand_in(socket, &guard)?;
    }
    for folder in &hidden {
        tmpfs(folder, "mode=000,size=4k", MsFlags::MS_RDONLY)?;
    }
    Ok(())
}

/// Makes every mount read-only that is not to be written.
fn seal(writable: &[PathBuf], read_only: &[PathBuf]) -> Result<(), SandboxError> {
    let listed = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(listed).map_err(|source| failed("read", listed, source))?;
    let points: Vec<PathBuf> = text.lines().filter_map(mount_point).collect();
    if points.len() > MOUNTS_MAX {
        return Err(failed("sealed", Path::new("/"), std::io::ErrorKind::QuotaExceeded.into()));
    }
    let covered = |path: &Path| ["/run", "/dev", "/proc"].iter().any(|prefix| path.starts_with(prefix));
    for point in points {
        let is_writable = writable.iter().any(|folder| point.starts_with(folder));
        if covered(&point) || (is_writable && !read_only.iter().any(|folder| point.starts_with(folder))) {
            continue;
        }
        match call("made read-only", &point, None, None, READ_ONLY) {
            // Mounts of folders that are gone since cannot be reached by anybody.
            Err(SandboxError::Mount { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            result => result?,
        }
    }
    Ok(())
}

/// The fifth field, in which spaces and the like are written as `\040`.
fn mount_point(line: &str) -> Option<PathBuf> {
    let field = line.split(' ').nth(4)?;
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let digits: Vec<u8> = rest.by_ref().take(3).collect();
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()?);
    }
    Some(PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes)))
}

/// The new namespace's own processes, and nothing that changes the kernel.
fn proc() -> Result<(), SandboxError> {
    let path = Path::new("/proc");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    call("mounted anew", path, Some(Path::new("proc")), Some("proc"), flags)?;
    for path in PROC.map(Path::new).into_iter().filter(|path| path.exists()) {
        call("mounted", path, Some(path), None, BIND)?;
        call("made read-only", path, None, None, READ_ONLY)?;
    }
    Ok(())
}

fn devices(devices: &[(PathBuf, File)]) -> Result<(), SandboxError> {
    let folder = Path::new("/dev");
    tmpfs(folder, "mode=755,size=64k", MsFlags::MS_NOSUID)?;
    for (path, file) in devices {
        make(path, || File::create(path).map(drop))?;
        bind(path, file)?;
    }
    for (name, target) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
        let path = folder.join(name);
        make(&path, || symlink(format!("/proc/self/fd{target}"), &path))?;
    }
    let shared = folder.join("shm");
    make(&shared, || fs::create_dir(&shared))?;
    tmpfs(&shared, "mode=1777,size=64m", MsFlags::MS_NODEV | MsFlags::MS_NOSUID)
}

/// The guard's socket at another's place. One that lay under a cover is made anew.
fn stand_in(socket: &Path, guard: &File) -> Result<(), SandboxError> {
    if !socket.exists() {
        if !socket.starts_with("/run") && !socket.starts_with("/var/run") {
            return Ok(());
        }
        if let Some(folder) = socket.parent() {
            make(folder, || fs::create_dir_all(folder))?;
        }
        make(socket, || File::create(socket).map(drop))?;
    }
    bind(socket, guard)
}

/// Paths as they are, without doubles; what does not exist needs nothing, but its folder may.
fn real<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in paths {
        let real = path.canonicalize().ok();
        if let Some(real) = real.filter(|real| !found.contains(real)) {
            found.push(real);
        }
    }
    found
}

fn held(path: &Path) -> Result<File, SandboxError> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(nix::libc::O_PATH | nix::libc::O_CLOEXEC);
    options.open(path).map_err(|source| failed("opened", path, source))
}

fn bind(path: &Path, file: &File) -> Result<(), SandboxError> {
    let source = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    call("put in place", path, Some(&source), None, MsFlags::MS_BIND)
}

fn tmpfs(path: &Path, options: &str, flags: MsFlags) -> Result<(), SandboxError> {
    mount(Some("none"), path, Some("tmpfs"), flags, Some(options))
        .map_err(|error| failed("covered", path, error.into()))
}

fn call(
    what: &'static str,
    path: &Path,
    source: Option<&Path>,
    kind: Option<&str>,
    flags: MsFlags,
) -> Result<(), SandboxError> {
    mount(source, path, kind, flags, None::<&str>).map_err(|error| failed(what, path, error.into()))
}

fn make(path: &Path, how: impl FnOnce() -> std::io::Result<()>) -> Result<(), SandboxError> {
    how().map_err(|source| failed("made", path, source))
}

fn failed(what: &'static str, path: &Path, source: std::io::Error) -> SandboxError {
    SandboxError::Mount { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_their_escapes() {
        let line = r"36 35 98:0 /mnt1 /mnt/a\040b\134c rw,noatime master:1 - ext3 /dev/root rw";
        assert_eq!(mount_point(line), Some(PathBuf::from(r"/mnt/a b\c")));
        assert_eq!(mount_point("36 35"), None);
    }
}
