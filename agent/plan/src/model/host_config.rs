//! What a service asks of the host, as Docker's API spells it: for the guard's judgement, before any container is made.

use super::read::{fields_at, flag_at, list_at, text_at, texts_at};
use super::{Backing, Model, Service};
use serde_json::{Value, json};

impl Model {
    /// The part of the service's container that decides whether it is as good as root. It holds no value of the
    /// environment.
    pub fn host_config(&self, service: &Service) -> Value {
        let value = &service.value;
        let binds: Vec<String> = self
            .mounts(service)
            .into_iter()
            .filter_map(|mount| match &mount.backing {
                Backing::Bind(source) => {
                    let mode = if mount.writable { "rw" } else { "ro" };
                    Some(format!("{source}:{}:{mode}", mount.target))
                }
                _ => None,
            })
            .collect();
        let devices: Vec<Value> =
            service.devices.iter().map(|device| json!({ "PathOnHost": device.source })).collect();
        let annotations: serde_json::Map<String, Value> =
            fields_at(value, "annotations").map(|(key, _)| (key.clone(), json!(""))).collect();
        json!({
            "Privileged": flag_at(value, "privileged"),
            // `service:x` and `container:x` are judged when the container is there.
            "PidMode": service.pid.as_deref().filter(|pid| !pid.contains(':')).unwrap_or_default(),
            "UsernsMode": text_at(value, "userns_mode").unwrap_or_default(),
            "Runtime": text_at(value, "runtime").unwrap_or_default(),
            "CapAdd": service.cap_add,
            "SecurityOpt": texts_at(value, "security_opt"),
            "Devices": devices,
            "DeviceCgroupRules": texts_at(value, "device_cgroup_rules"),
            "Binds": binds,
            "Mounts": self.driven_volumes(service),
            "Annotations": annotations,
        })
    }

    /// Volumes with a driver's options: those can mount anything.
    fn driven_volumes(&self, service: &Service) -> Vec<Value> {
        let driven = |mount: &Value| {
            let key = text_at(mount, "source")?;
            let volume = self.value.get("volumes")?.get(&key)?;
            let options = volume.get("driver_opts").filter(|options| options.is_object())?;
            let driver = text_at(volume, "driver").unwrap_or_default();
            Some(json!({
                "Type": "volume", "Target": "/x",
                "VolumeOptions": { "DriverConfig": { "Name": driver, "Options": options } },
            }))
        };
        list_at(&service.value, "volumes").into_iter().filter_map(driven).collect()
    }
}
