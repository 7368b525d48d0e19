//! Making volumes. The `local` driver can mount anything, so its options are a bind by another name.

use super::{Case, Stop, Verdict, paths, texts};
use crate::facts::{Fact, Facts};
use crate::json::{Json, Object};
use crate::request::{Afterwards, Refusal};

/// File systems that bring their own data.
const FOREIGN: [&str; 4] = ["tmpfs", "nfs", "nfs4", "cifs"];

impl Case<'_> {
    /// `DELETE /volumes/{name}` where the whole host is guarded: with `wharfd volume delete`'s permit for this one volume.
    pub(super) fn volume_delete(self, name: &str) -> Result<Verdict, Stop> {
        let plain = self.target.query().keys().next().is_none()
            && !name.starts_with('.')
            && !name.contains(['@', ':', '+']);
        match self.facts.permit(name) {
            None if plain => Err(Fact::Permit(name.to_owned()).into()),
            Some(true) if plain => self.plain(),
            _ => Err(texts::volumes(self.door, "DELETE", &["volumes", name]).into()),
        }
    }

    /// `POST /volumes/create`.
    pub(super) fn volume_create(self) -> Result<Verdict, Stop> {
        if self.policy.allow_root_equivalent {
            return self.plain();
        }
        let body = self.json(&["Name", "Driver", "DriverOpts", "Labels", "ClusterVolumeSpec"])?;
        if let Some(reason) = reaches(body.get("Driver"), body.get("DriverOpts"), self.facts)? {
            return Err(texts::root_equivalent(&reason).into());
        }
        self.forward(None, Some(Json::Object(body).to_bytes()), Afterwards::Nothing)
    }
}

/// Why a volume with these options would reach too far, if it would.
pub fn reaches(driver: Option<&Json>, options: Option<&Json>, facts: &Facts) -> Result<Option<String>, Stop> {
    match driver {
        None | Some(Json::Null) => {}
        Some(Json::String(name)) if matches!(name.as_str(), "" | "local") => {}
        // Drivers are plugins that the server's owner installed; what they mount is theirs to say.
        Some(Json::String(_)) => return Ok(None),
        Some(_) => return Err(Refusal::unclear("the volume's driver is not a string").into()),
    }
    let options = match options {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Object(options)) => options,
        Some(_) => return Err(Refusal::unclear("the volume's options are not an object").into()),
    };
    let (kind, flags, device) = (text(options, "type")?, text(options, "o")?, text(options, "device")?);
    let binds = flags.split(',').any(|flag| matches!(flag.trim(), "bind" | "rbind"));
    if FOREIGN.contains(&kind) && !binds {
        return Ok(None);
    }
    if kind.is_empty() && flags.is_empty() && device.is_empty() {
        return Ok(None);
    }
    if binds && matches!(kind, "" | "none") && device.starts_with('/') {
        return paths::reaches(device, flags.split(',').any(|flag| flag.trim() == "ro"), facts);
    }
    Ok(Some("a volume that mounts a device or a file system of the host".to_owned()))
}

fn text<'a>(options: &'a Object, key: &str) -> Result<&'a str, Stop> {
    match options.get(key) {
        None | Some(Json::Null) => Ok(""),
        Some(Json::String(text)) => Ok(text),
        Some(_) => Err(Refusal::unclear("an option of the volume is not a string").into()),
    }
}
