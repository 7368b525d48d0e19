//! Paths on the host that a container must not be given.

use std::path::Path;

use super::Stop;
use crate::facts::{Fact, Facts};
use crate::request::Refusal;

/// Not even to read: whoever sees these commands the host, or sees every volume.
const NEVER: [&str; 3] = ["/proc", "/sys", "/run/containerd"];

/// Not to write: what root runs or reads from here is root.
const NEVER_TO_WRITE: [&str; 26] = [
    "/bin",
    "/boot",
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.hourly",
    "/etc/cron.monthly",
    "/etc/cron.weekly",
    "/etc/crontab",
    "/etc/docker",
    "/etc/group",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/pam.d",
    "/etc/passwd",
    "/etc/profile.d",
    "/etc/shadow",
    "/etc/ssh",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/systemd",
    "/etc/wharf",
    "/lib",
    "/root/.ssh",
    "/sbin",
    "/usr",
    "/var/spool/cron",
];

/// Why a bind of this source would reach too far, if it would. A source that is no path is a volume's name.
pub fn reaches(source: &str, read_only: bool, facts: &Facts) -> Result<Option<String>, Stop> {
    let Some(rest) = source.strip_prefix('/') else {
        return Ok(None);
    };
    // The engine strikes `x/..` out as text, the kernel follows x first.
    if rest.trim_end_matches('/').split('/').any(|part| matches!(part, "" | "." | ".."))
        && !rest.trim_matches('/').is_empty()
    {
        return Err(Refusal::unclear(format_args!("the path {source:?} is not written plainly")).into());
    }
    let real = facts.real_path(source).ok_or_else(|| Fact::RealPath(source.to_owned()))?;
    let engine = facts.engine().ok_or(Fact::Engine)?;
    let bind = |what: &str| Ok(Some(format!("a bind of {source:?}, which reaches {what},")));
    if real == Path::new("/") {
        return bind("the whole host");
    }
    if overlaps(real, &engine.root) {
        return bind("Docker's own data");
    }
    if engine.sockets.iter().any(|socket| overlaps(real, socket)) {
        return bind("a socket or folder that commands the server");
    }
    if let Some(never) = NEVER.iter().find(|never| overlaps(real, Path::new(never))) {
        return bind(never);
    }
    match NEVER_TO_WRITE.iter().find(|never| overlaps(real, Path::new(never))) {
        Some(never) if !read_only => bind(never),
        _ => Ok(None),
    }
}

/// Whether one lies in the other, either way round.
fn overlaps(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}
