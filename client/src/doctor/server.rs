//! The server: versions, rights, room, clock.

use super::{Clocks, Finding, app, clock};
use crate::render::bytes;
use wharf_proto::doctor::{DiskFacts, DiskUse, EngineFacts, MemoryFacts, ServerFacts};

/// Docker's API that the agent needs, and Compose's version.
/// The oldest API of Docker's, and the oldest Compose, that have all we ask for. `wharf setup` asks for the same.
pub(crate) const OLDEST_API: (u32, u32) = (1, 44);
pub(crate) const OLDEST_COMPOSE: (u32, u32) = (2, 20);

const GB: u64 = 1_000_000_000;
const DISK_WARNS_BELOW_BYTES: u64 = 5 * GB;
const DISK_FAILS_BELOW_BYTES: u64 = GB / 2;
/// A disk below this part of its size gets full before somebody looks.
const DISK_WARNS_BELOW_PERCENT: u64 = 10;
/// A build with less than this is slow, or ended by the kernel.
const MEMORY_WARNS_BELOW_BYTES: u64 = 512 * 1024 * 1024;

/// Judges what the agent saw. `ours` is this program's version, `wanted` the app that was asked about.
pub fn server(ours: &str, wanted: Option<&str>, facts: &ServerFacts, clocks: &Clocks) -> Vec<Finding> {
    let mut findings = vec![versions(ours, &facts.agent), rights(facts)];
    findings.push(engine(facts.engine.as_ref()));
    findings.push(compose(&facts.compose));
    findings.extend(facts.disks.iter().map(disk));
    findings.extend(facts.memory.as_ref().map(memory));
    findings.push(clock::clock(clocks));
    match (&facts.app, wanted) {
        (Some(app), _) => findings.extend(app::app(app, facts.answered)),
        (None, Some(wanted)) if facts.engine.is_some() => {
            findings.push(Finding::ok("app", format!("{wanted} was not deployed there yet")));
        }
        (None, _) => {}
    }
    findings
}

/// Both sides speak a protocol of both, or there would be no facts; what differs is what they can do.
fn versions(ours: &str, theirs: &str) -> Finding {
    const CHECK: &str = "versions";
    let (Some(our), Some(their)) = (version(ours), version(theirs)) else {
        return Finding::warning(
            CHECK,
            format!("wharf is {ours}, and what wharfd calls itself is no version: {theirs}"),
            "install a released wharfd: wharf setup --upgrade",
        );
    };
    if our == their {
        return Finding::ok(CHECK, format!("wharf {ours}, wharfd {theirs}"));
    }
    let text = format!("wharf is {ours} and wharfd {theirs}: what the older lacks will be refused");
    let remedy = if our > their {
        "upgrade the agent: wharf setup --upgrade"
    } else {
        "upgrade wharf on this computer"
    };
    // By a minor version they may differ.
    let near = our.0 == their.0 && our.1.abs_diff(their.1) <= 1;
    if near {
        return Finding::ok(CHECK, format!("wharf {ours}, wharfd {theirs}"));
    }
    Finding::warning(CHECK, text, remedy)
}

/// Major and minor.
pub(crate) fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim_start_matches('v').split(['.', '-', '+', ' ']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn rights(facts: &ServerFacts) -> Finding {
    const CHECK: &str = "rights";
    if facts.root {
        return Finding::ok(CHECK, "wharfd runs as root");
    }
    let text = format!(
        "wharfd runs as {}, not as root: it cannot read volumes for backups, give files to the app directory's owner, or \
         run hooks",
        facts.user
    );
    Finding::warning(CHECK, text, "let it run as root: wharf setup installs it so")
}

fn engine(engine: Option<&EngineFacts>) -> Finding {
    const CHECK: &str = "engine";
    let Some(EngineFacts { version: told, api_version }) = engine else {
        return Finding::failed(
            CHECK,
            "the Docker engine does not answer",
            "start it on the server (systemctl start docker), and look at its log: journalctl -u docker",
        );
    };
    if version(api_version).is_some_and(|api| api >= OLDEST_API) {
        return Finding::ok(CHECK, format!("Docker {told}, API {api_version}"));
    }
    let (major, minor) = OLDEST_API;
    Finding::failed(
        CHECK,
        format!("Docker {told} speaks API {api_version}, and {major}.{minor} is needed"),
        "install Docker Engine 25 or newer on the server",
    )
}

fn compose(told: &str) -> Finding {
    const CHECK: &str = "compose";
    if version(told).is_some_and(|found| found >= OLDEST_COMPOSE) {
        return Finding::ok(CHECK, format!("Compose {told}"));
    }
    let (major, minor) = OLDEST_COMPOSE;
    Finding::failed(
        CHECK,
        format!("Compose {told} is there, and {major}.{minor} is needed"),
        "install the docker-compose-plugin package of Docker's on the server",
    )
}

fn disk(disk: &DiskFacts) -> Finding {
    const CHECK: &str = "disk";
    let holds: Vec<&str> = disk
        .places
        .iter()
        .map(|place| match place.holds {
            DiskUse::State => "Wharf's state and backups",
            DiskUse::Docker => "Docker",
            DiskUse::App => "the app",
            DiskUse::Unknown => place.path.as_str(),
        })
        .collect();
    let (free, size) = (disk.free_bytes, disk.size_bytes);
    let text = format!("{} of {} are free for {}", bytes(free), bytes(size), holds.join(", "));
    let room = if disk.places.iter().any(|place| place.holds == DiskUse::Docker) {
        "make room: wharf prune, wharf backup prune, or a larger disk"
    } else {
        "make room: wharf backup prune, or a larger disk"
    };
    if free < DISK_FAILS_BELOW_BYTES {
        return Finding::failed(CHECK, text, room);
    }
    if free < DISK_WARNS_BELOW_BYTES || free < size / 100 * DISK_WARNS_BELOW_PERCENT {
        return Finding::warning(CHECK, text, room);
    }
    Finding::ok(CHECK, text)
}

fn memory(memory: &MemoryFacts) -> Finding {
    const CHECK: &str = "memory";
    let MemoryFacts { available_bytes, swap_bytes } = *memory;
    let swap = if swap_bytes == 0 { "no swap".to_owned() } else { format!("{} of swap", bytes(swap_bytes)) };
    let text = format!("{} are available, {swap}", bytes(available_bytes));
    if available_bytes < MEMORY_WARNS_BELOW_BYTES && swap_bytes == 0 {
        return Finding::warning(
            CHECK,
            format!("{text}: a build may be ended for want of memory"),
            "add a swap file of 2 GB or more, or stop what is not needed",
        );
    }
    Finding::ok(CHECK, text)
}
