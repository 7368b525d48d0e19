//! Whether the server has what a release wants of it: free ports, mounted folders, room on the disk and in memory.
//!
//! **Invariant**: these warn, and refuse nothing: what is in the way now may be gone when the release starts.

use crate::Model;
use crate::facts::ContainerFacts;
use crate::model::{Backing, Service};
use serde_json::Value;
use std::collections::BTreeSet;

/// Builds and new images want more than this.
const FREE_DISK_BYTES: u64 = 1024 * 1024 * 1024;
/// A build with less than this is slow, or ended by the kernel.
const FREE_MEMORY_BYTES: u64 = 512 * 1024 * 1024;

/// What was seen of the server. What could not be seen is `None`, and is not warned of.
#[derive(Debug, Default)]
pub struct Ground {
    /// TCP ports that something listens on.
    pub listening: BTreeSet<u16>,
    /// Of the paths that services mount from outside of the project, those that are not there.
    pub absent: BTreeSet<String>,
    /// Free where Docker keeps images and volumes.
    pub free_disk_bytes: Option<u64>,
    pub free_memory_bytes: Option<u64>,
    pub memory_bytes: Option<u64>,
}

/// Paths of the server, outside of the app directory, that the model's services mount.
pub fn outside(model: &Model) -> BTreeSet<String> {
    let mounts = model.services().flat_map(|service| model.mounts(service));
    let paths = mounts.filter_map(|mount| match mount.backing {
        Backing::Bind(path) => Some(path),
        _ => None,
    });
    paths.filter(|path| model.project_path(path).is_none()).collect()
}

/// What a person should know before the release starts. `before` is the model that is in place, `now` its containers.
pub fn warnings(
    model: &Model,
    before: Option<&Model>,
    now: &[ContainerFacts],
    ground: &Ground,
) -> Vec<String> {
    let mut found = Vec::new();
    // The stack's own containers give their ports back.
    let own: BTreeSet<u16> = before.filter(|_| !now.is_empty()).map(published).unwrap_or_default();
    for service in model.services() {
        for port in ports(service).filter(|port| ground.listening.contains(port) && !own.contains(port)) {
            found.push(format!(
                "port {port} of {} is in use on this server by something that is not of this app",
                service.name
            ));
        }
        for mount in model.mounts(service) {
            if let Backing::Bind(path) = &mount.backing
                && ground.absent.contains(path)
            {
                found.push(format!(
                    "{} mounts {path}, which this server does not have: Docker makes an empty folder there",
                    service.name
                ));
            }
        }
    }
    let builds = model.services().any(|service| service.build.is_some());
    if let Some(free) = ground.free_disk_bytes.filter(|free| *free < FREE_DISK_BYTES) {
        found.push(format!("{} are free where Docker keeps images: a build may not fit", mebibytes(free)));
    }
    if let Some(free) = ground.free_memory_bytes.filter(|free| builds && *free < FREE_MEMORY_BYTES) {
        found.push(format!("{} of memory are free: a build may be ended for want of it", mebibytes(free)));
    }
    let wanted: u64 = model.services().map(|s| memory_limit(s).saturating_mul(s.replicas.into())).sum();
    if let Some(all) = ground.memory_bytes.filter(|all| wanted > *all) {
        found.push(format!(
            "the services may use {} of memory together, and this server has {}",
            mebibytes(wanted),
            mebibytes(all)
        ));
    }
    found
}

fn published(model: &Model) -> BTreeSet<u16> {
    model.services().flat_map(ports).collect()
}

/// The TCP ports that a service publishes; of a range each.
fn ports(service: &Service) -> impl Iterator<Item = u16> {
    let tcp = service.ports.iter().filter(|port| port.protocol != "udp");
    tcp.filter_map(|port| {
        let text = port.published.as_deref()?;
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some(first.parse::<u16>().ok()?..=last.parse::<u16>().ok()?)
    })
    .flatten()
    .filter(|port| *port > 0)
}

/// What one container of it may use; 0 where nothing says.
fn memory_limit(service: &Service) -> u64 {
    let of = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let limits = service.value.pointer("/deploy/resources/limits/memory");
    limits.or_else(|| service.value.get("mem_limit")).and_then(of).unwrap_or(0)
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes / (1024 * 1024))
}

/// The ports that something listens on, of `/proc/net/tcp` or `/proc/net/tcp6`.
pub fn listening(table: &str) -> BTreeSet<u16> {
    const LISTEN: &str = "0A";
    let port = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        (state == LISTEN).then_some(())?;
        u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()
    };
    table.lines().filter_map(port).collect()
}

/// A field of `/proc/meminfo` in bytes.
pub fn memory(meminfo: &str, field: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(services: &str) -> Model {
        Model::parse(&format!(r#"{{"name": "shop", "services": {services}}}"#), "/app", "/app").unwrap()
    }

    #[test]
    fn the_kernels_tables() {
        let table = "  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 0A 0\n   1: 00000000:0016 0100007F:9C40 01 0\n";
        assert_eq!(listening(table), BTreeSet::from([8080]));
        let meminfo = "MemTotal:        2000 kB\nMemAvailable:    1000 kB\n";
        assert_eq!(memory(meminfo, "MemAvailable"), Some(1_024_000));
        assert_eq!(memory(meminfo, "Mem"), None);
    }

    #[test]
    fn what_the_server_lacks_is_told() {
        let web = r#"{"web": {"image": "a", "build": {"context": "/app"}, "ports": [{"target": 80, "published": "8080-8081", "protocol": "tcp"}],
            "deploy": {"resources": {"limits": {"memory": "2147483648"}}},
            "volumes": [{"type": "bind", "source": "/Users/me/data", "target": "/data"}, {"type": "bind", "source": "/app/x", "target": "/x"}]}}"#;
        let next = model(web);
        assert_eq!(outside(&next), BTreeSet::from(["/Users/me/data".to_owned()]));
        let ground = Ground {
            listening: BTreeSet::from([8081, 9000]),
            absent: outside(&next),
            free_disk_bytes: Some(300 * 1024 * 1024),
            free_memory_bytes: Some(100 * 1024 * 1024),
            memory_bytes: Some(1024 * 1024 * 1024),
        };
        assert_eq!(
            warnings(&next, None, &[], &ground),
            [
                "port 8081 of web is in use on this server by something that is not of this app",
                "web mounts /Users/me/data, which this server does not have: Docker makes an empty folder there",
                "300 MiB are free where Docker keeps images: a build may not fit",
                "100 MiB of memory are free: a build may be ended for want of it",
                "the services may use 2048 MiB of memory together, and this server has 1024 MiB",
            ]
        );
        assert_eq!(warnings(&next, None, &[], &Ground::default()), Vec::<String>::new());
    }

    #[test]
    fn the_stacks_own_ports_are_free_for_it() {
        let next = model(r#"{"web": {"image": "a", "ports": [{"target": 80, "published": "8080"}]}}"#);
        let ground = Ground { listening: BTreeSet::from([8080]), ..Ground::default() };
        let container = serde_json::from_str::<ContainerFacts>(
            r#"{"id":"1","name":"n","project":"shop","service":"web","config_hash":"","working_dir":"","config_files":[],
            "one_off":false,"image_id":"","image":"a","state":"running","health":null,"exit_code":null,"oom_killed":false,
            "restarts":0,"started_at":null,"restart_policy":"no","mounts":[]}"#,
        );
        let now = [container.unwrap()];
        assert_eq!(warnings(&next, Some(&next), &now, &ground), Vec::<String>::new());
        // Nothing of it runs: then the port is another's.
        assert_eq!(warnings(&next, Some(&next), &[], &ground).len(), 1);
    }
}
