//! What makes a container as good as root on the host.
//!
//! Best effort by nature (whoever may run containers is close to root anyway): it closes the known ways, and refuses what it does not know.

use super::{Stop, devices, folded, paths, volume};
use crate::facts::Facts;
use crate::json::{Json, Object};
use crate::request::Refusal;

/// Every key of `HostConfig` that the guard knows. A new one is refused where it matters, until somebody has looked at it.
pub const HOST_CONFIG: [&str; 72] = [
    "Annotations",
    "AutoRemove",
    "Binds",
    "BlkioDeviceReadBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps",
    "BlkioWeight",
    "BlkioWeightDevice",
    "CapAdd",
    "CapDrop",
    "Capabilities",
    "Cgroup",
    "CgroupParent",
    "CgroupnsMode",
    "ConsoleSize",
    "ContainerIDFile",
    "CpuCount",
    "CpuPercent",
    "CpuPeriod",
    "CpuQuota",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "CpuShares",
    "CpusetCpus",
    "CpusetMems",
    "DeviceCgroupRules",
    "DeviceRequests",
    "Devices",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "ExtraHosts",
    "GroupAdd",
    "IOMaximumBandwidth",
    "IOMaximumIOps",
    "Init",
    "IpcMode",
    "Isolation",
    "KernelMemory",
    "KernelMemoryTCP",
    "Links",
    "LogConfig",
    "MaskedPaths",
    "Memory",
    "MemoryReservation",
    "MemorySwap",
    "MemorySwappiness",
    "Mounts",
    "NanoCpus",
    "NetworkMode",
    "OomKillDisable",
    "OomScoreAdj",
    "PidMode",
    "PidsLimit",
    "PortBindings",
    "Privileged",
    "PublishAllPorts",
    "ReadonlyPaths",
    "ReadonlyRootfs",
    "RestartPolicy",
    "Runtime",
    "SecurityOpt",
    "ShmSize",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "UTSMode",
    "Ulimits",
    "UsernsMode",
    "VolumeDriver",
    "VolumesFrom",
];

/// Capabilities that every container has, or that reach no further than the container's own resources.
const HARMLESS_CAPABILITIES: [&str; 22] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
    "IPC_LOCK",
    "IPC_OWNER",
    "LEASE",
    "NET_ADMIN",
    "NET_BROADCAST",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
];

/// The first reason why a container made with this would be as good as root, if there is one.
pub fn root_equivalent(host: &Object, facts: &Facts) -> Result<Option<String>, Stop> {
    if let Some(reason) = flags(host)? {
        return Ok(Some(reason));
    }
    if let Some(reason) = devices::reach(host, facts)? {
        return Ok(Some(reason));
    }
    for bind in strings(host, "Binds")? {
        let mut parts = bind.split(':');
        let source = parts.next().unwrap_or_default();
        let read_only = parts.nth(1).is_some_and(|mode| mode.split(',').any(|word| word == "ro"));
        if bind.contains(':')
            && let Some(reason) = paths::reaches(source, read_only, facts)?
        {
            return Ok(Some(reason));
        }
    }
    for mount in mounts(host)? {
        if let Some(reason) = mount_reaches(mount, facts)? {
            return Ok(Some(reason));
        }
    }
    Ok(None)
}

/// Gives the keys inside `Mounts` their canonical spelling.
pub fn fold_mounts(host: &mut Object) -> Result<(), Stop> {
    let mounts = match host.get_mut("Mounts") {
        None | Some(Json::Null) => return Ok(()),
        Some(Json::Array(mounts)) => mounts,
        Some(_) => return Err(Refusal::unclear("Mounts is not a list").into()),
    };
    for mount in mounts {
        let Json::Object(mount) = mount else {
            return Err(Refusal::unclear("a mount is not an object").into());
        };
        *mount = folded(
            std::mem::take(mount),
            &["Type", "Source", "Target", "ReadOnly", "VolumeOptions", "BindOptions"],
        )?;
        if let Some(Json::Object(options)) = mount.get_mut("VolumeOptions") {
            options.fold(&["DriverConfig", "Labels", "NoCopy", "Subpath"]).map_err(Refusal::unclear)?;
            if let Some(Json::Object(driver)) = options.get_mut("DriverConfig") {
                driver.fold(&["Name", "Options"]).map_err(Refusal::unclear)?;
            }
        }
        if !matches!(mount.get("Type"), Some(Json::String(kind)) if KINDS.contains(&kind.as_str())) {
            return Err(Refusal::unclear("a mount is of a type that the guard does not know").into());
        }
        if !matches!(mount.get("Source"), None | Some(Json::Null | Json::String(_))) {
            return Err(Refusal::unclear("the source of a mount is not a string").into());
        }
    }
    Ok(())
}

const KINDS: [&str; 6] = ["bind", "volume", "tmpfs", "npipe", "cluster", "image"];

/// The mounts, once folded.
pub fn mounts(host: &Object) -> Result<Vec<&Object>, Stop> {
    let mounts = match host.get("Mounts") {
        None | Some(Json::Null) => return Ok(Vec::new()),
        Some(Json::Array(mounts)) => mounts,
        Some(_) => return Err(Refusal::unclear("Mounts is not a list").into()),
    };
    let objects = mounts.iter().map(|mount| match mount {
        Json::Object(mount) => Ok(mount),
        _ => Err(Refusal::unclear("a mount is not an object").into()),
    });
    objects.collect()
}

/// A list of strings; a single string counts as a list of one, as in the API.
pub fn strings<'a>(host: &'a Object, key: &str) -> Result<Vec<&'a str>, Stop> {
    match host.get(key) {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::String(single)) => Ok(vec![single.as_str()]),
        Some(Json::Array(items)) => items.iter().map(|item| text(item, key)).collect(),
        Some(_) => Err(Refusal::unclear(format_args!("{key} is not a list")).into()),
    }
}

fn text<'a>(item: &'a Json, key: &str) -> Result<&'a str, Stop> {
    match item {
        Json::String(text) => Ok(text),
        _ => Err(Refusal::unclear(format_args!("{key} has something that is not a string")).into()),
    }
}

/// The container whose namespace a mode joins: that is as good as what that container has.
pub fn joined(mode: &str) -> Option<&str> {
    mode.strip_prefix("container:").filter(|name| !name.is_empty())
}

fn flags(host: &Object) -> Result<Option<String>, Stop> {
    for key in ["Privileged", "DeviceCgroupRules", "Capabilities"] {
        if host.given(key).is_some() {
            return Ok(Some(key.to_owned()));
        }
    }
    for capability in strings(host, "CapAdd")? {
        let name = capability.to_ascii_uppercase();
        if !HARMLESS_CAPABILITIES.contains(&name.strip_prefix("CAP_").unwrap_or(&name)) {
            return Ok(Some(format!("the capability {name}")));
        }
    }
    for option in strings(host, "SecurityOpt")? {
        if !option.starts_with("no-new-privileges") {
            return Ok(Some("a loosened SecurityOpt".to_owned()));
        }
    }
    for (key, allowed) in
        [("PidMode", &["private"][..]), ("UsernsMode", &[]), ("Runtime", &["runc", "io.containerd.runc.v2"])]
    {
        if host
            .given(key)
            .is_some_and(|value| !matches!(value, Json::String(text) if allowed.contains(&text.as_str()) || (key == "PidMode" && joined(text).is_some())))
        {
            return Ok(Some(format!("its {key}")));
        }
    }
    for (key, must) in [("MaskedPaths", "/proc/kcore"), ("ReadonlyPaths", "/proc/sys")] {
        if !matches!(host.get(key), None | Some(Json::Null)) && !strings(host, key)?.contains(&must) {
            return Ok(Some(format!("loosened {key}")));
        }
    }
    if let Some(Json::Object(annotations)) = host.given("Annotations")
        && annotations.iter().any(|(key, _)| key.starts_with("org.systemd.property"))
    {
        return Ok(Some("a systemd annotation".to_owned()));
    }
    let unknown = host.iter().find(|(key, value)| !value.is_empty() && !HOST_CONFIG.contains(key));
    Ok(unknown.map(|(key, _)| format!("{key:?}, which the guard does not know,")))
}

fn mount_reaches(mount: &Object, facts: &Facts) -> Result<Option<String>, Stop> {
    let source = match mount.get("Source") {
        Some(Json::String(source)) => source.as_str(),
        _ => "",
    };
    let read_only = mount.get("ReadOnly") == Some(&Json::Bool(true));
    match mount.get("Type") {
        Some(Json::String(kind)) if kind == "bind" => paths::reaches(source, read_only, facts),
        _ => match mount.get("VolumeOptions") {
            Some(Json::Object(options)) => match options.get("DriverConfig") {
                Some(Json::Object(driver)) => {
                    volume::reaches(driver.get("Name"), driver.get("Options"), facts)
                }
                _ => Ok(None),
            },
            _ => Ok(None),
        },
    }
}
