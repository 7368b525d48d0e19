//! Devices of the host that a container may be given.

use super::{Stop, folded};
use crate::facts::{Fact, Facts};
use crate::json::{Json, Object};
use crate::request::Refusal;

/// Devices that reach no disk, no memory and no console: what media servers, home automation and VPNs ask for.
const HARMLESS: [&str; 25] = [
    "/dev/apex_",
    "/dev/dri",
    "/dev/full",
    "/dev/fuse",
    "/dev/gpiochip",
    "/dev/gpiomem",
    "/dev/hidraw",
    "/dev/i2c-",
    "/dev/input",
    "/dev/kfd",
    "/dev/kvm",
    "/dev/net/tun",
    "/dev/null",
    "/dev/nvidia",
    "/dev/ppp",
    "/dev/random",
    "/dev/snd",
    "/dev/spidev",
    "/dev/ttyACM",
    "/dev/ttyAMA",
    "/dev/ttyS",
    "/dev/ttyUSB",
    "/dev/urandom",
    "/dev/video",
    "/dev/zero",
];

/// Why one of the devices reaches too far, if one does.
pub fn reach(host: &Object, facts: &Facts) -> Result<Option<String>, Stop> {
    let devices = match host.given("Devices") {
        None => return Ok(None),
        Some(Json::Array(devices)) => devices,
        Some(_) => return Err(Refusal::unclear("Devices is not a list").into()),
    };
    for device in devices {
        let Json::Object(device) = device else {
            return Err(Refusal::unclear("a device is not an object").into());
        };
        let device = folded(device.clone(), &["PathOnHost", "PathInContainer", "CgroupPermissions"])?;
        let Some(Json::String(path)) = device.get("PathOnHost") else {
            return Ok(Some("a device without a path".to_owned()));
        };
        let real = facts.real_path(path).ok_or_else(|| Fact::RealPath(path.clone()))?.to_string_lossy();
        if !HARMLESS.iter().any(|harmless| real.starts_with(harmless)) {
            return Ok(Some(format!("the device {path:?}")));
        }
    }
    Ok(None)
}
