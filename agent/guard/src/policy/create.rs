//! `POST /containers/create`: what the container may reach, and what it would take with it when it ends.

use super::door::Door;
use super::{Case, Stop, Verdict, folded, names, privilege, texts};
use crate::facts::{Fact, KEEP_LABEL, KEEP_VALUE};
use crate::json::{Json, Object};
use crate::request::{Afterwards, Forward, Refusal};

/// The keys of the outermost object that decide something.
const BODY: [&str; 5] = ["HostConfig", "NetworkingConfig", "Image", "Volumes", "Labels"];

impl Case<'_> {
    pub(super) fn container_create(self) -> Result<Verdict, Stop> {
        let mut body = self.json(&BODY)?;
        refuse_old_form(&body)?;
        let mut host = take_host_config(&body)?;
        if let Some(Json::Object(labels)) = body.get_mut("Labels") {
            labels.remove(KEEP_LABEL);
        }
        if !self.policy.allow_root_equivalent {
            self.refuse_privileges(&host)?;
        }
        let verdict = match host.get("AutoRemove") {
            None | Some(Json::Null | Json::Bool(false)) => Removal::Never,
            Some(Json::Bool(true)) => self.removal(&body, &host)?,
            Some(_) => return Err(Refusal::unclear("AutoRemove is neither true nor false").into()),
        };
        if verdict == Removal::ByGuard {
            host.set("AutoRemove", Json::Bool(false));
            label(&mut body)?;
        }
        if body.get("HostConfig").is_some() {
            body.set("HostConfig", Json::Object(host));
        }
        let afterwards = match verdict {
            Removal::ByEngine => Afterwards::CheckVolumes,
            _ => Afterwards::Nothing,
        };
        let forward = Forward {
            method: self.request.method.clone(),
            target: self.target.to_string(),
            upgrade: self.upgrade(None)?,
            body: Some(Json::Object(body).to_bytes()),
            afterwards,
        };
        Ok(match verdict {
            Removal::ByGuard => Verdict::ForwardKeepingVolumes(forward),
            _ => Verdict::Forward(forward),
        })
    }

    fn refuse_privileges(&self, host: &Object) -> Result<(), Stop> {
        if let Some(reason) = privilege::root_equivalent(host, self.facts)? {
            return Err(texts::root_equivalent(&reason).into());
        }
        let volumes_from = strings(host, "VolumesFrom")?;
        let others = volumes_from.iter().map(|source| source.split(':').next().unwrap_or_default());
        let joined = strings(host, "PidMode")?.into_iter().filter_map(privilege::joined);
        for name in others.chain(joined) {
            let fact = self.container(name)?;
            if let Some(reason) = privilege::root_equivalent(&fact.host_config, self.facts)? {
                return Err(texts::root_equivalent(&format!("what {name:?} has, {reason},")).into());
            }
        }
        Ok(())
    }

    /// Who removes a container that was asked to go when it ends.
    fn removal(&self, body: &Object, host: &Object) -> Result<Removal, Stop> {
        // The engine refuses this combination, but would no longer see it.
        if restarts(host)? {
            return Err(Refusal {
                status: 400,
                message: "can't create 'AutoRemove' container with restart policy".into(),
            }
            .into());
        }
        if body.given("Volumes").is_some() || anonymous(host)? {
            return Ok(Removal::ByGuard);
        }
        let image = match body.get("Image") {
            Some(Json::String(image)) if !image.is_empty() => image,
            None | Some(Json::Null | Json::String(_)) => return Ok(Removal::ByGuard),
            Some(_) => return Err(Refusal::unclear("Image is not a string").into()),
        };
        names::check(image, "image")?;
        match self.facts.image(image) {
            None => Err(Fact::Image(image.clone()).into()),
            Some(Some(fact)) if covered(&fact.volumes, host)? => Ok(Removal::ByEngine),
            // The engine knows no such image either, and says so: the client then pulls it and asks again.
            Some(None) if self.door == Door::Plugin => Ok(Removal::ByEngine),
            Some(_) => Ok(Removal::ByGuard),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Removal {
    Never,
    ByEngine,
    ByGuard,
}

/// Old engines read the host's configuration from the outermost object when there is no inner one.
fn refuse_old_form(body: &Object) -> Result<(), Stop> {
    let mut copy = body.clone();
    copy.fold(&privilege::HOST_CONFIG).map_err(Refusal::unclear)?;
    match copy.iter().find(|(key, value)| {
        privilege::HOST_CONFIG.contains(key) && !value.is_empty() && !HARMLESS.contains(key)
    }) {
        Some((key, _)) => Err(Refusal::unclear(format_args!("{key} belongs into HostConfig")).into()),
        None => Ok(()),
    }
}

/// Keys that old clients do put there and that open nothing.
const HARMLESS: [&str; 6] =
    ["Memory", "MemorySwap", "CpuShares", "CpusetCpus", "VolumeDriver", "NetworkMode"];

fn take_host_config(body: &Object) -> Result<Object, Stop> {
    let mut host = match body.get("HostConfig") {
        None | Some(Json::Null) => Object::default(),
        Some(Json::Object(host)) => folded(host.clone(), &privilege::HOST_CONFIG)?,
        Some(_) => return Err(Refusal::unclear("HostConfig is not an object").into()),
    };
    privilege::fold_mounts(&mut host)?;
    if let Some(Json::Object(policy)) = host.get_mut("RestartPolicy") {
        policy.fold(&["Name"]).map_err(Refusal::unclear)?;
    }
    Ok(host)
}

fn label(body: &mut Object) -> Result<(), Stop> {
    match body.get_mut("Labels") {
        Some(Json::Object(labels)) => labels.set(KEEP_LABEL, Json::String(KEEP_VALUE.into())),
        None | Some(Json::Null) => {
            let mut labels = Object::default();
            labels.set(KEEP_LABEL, Json::String(KEEP_VALUE.into()));
            body.set("Labels", Json::Object(labels));
        }
        Some(_) => return Err(Refusal::unclear("Labels is not an object").into()),
    }
    Ok(())
}

fn restarts(host: &Object) -> Result<bool, Stop> {
    match host.get("RestartPolicy") {
        None | Some(Json::Null) => Ok(false),
        Some(Json::Object(policy)) => Ok(match policy.get("Name") {
            None | Some(Json::Null) => false,
            Some(Json::String(name)) => !matches!(name.as_str(), "" | "no"),
            Some(_) => true,
        }),
        Some(_) => Err(Refusal::unclear("RestartPolicy is not an object").into()),
    }
}

/// Whether the request itself asks for volumes without a name. Inherited ones count: nobody knows whose they are.
fn anonymous(host: &Object) -> Result<bool, Stop> {
    if !strings(host, "VolumesFrom")?.is_empty()
        || strings(host, "Binds")?.iter().any(|bind| !bind.contains(':'))
    {
        return Ok(true);
    }
    let mounts = privilege::mounts(host)?;
    Ok(mounts.iter().any(|mount| {
        mount.get("Type") == Some(&Json::String("volume".into())) && mount.given("Source").is_none()
    }))
}

/// Whether something with a source is mounted wherever the image declares a volume: then the engine makes none of its own.
fn covered(declared: &[String], host: &Object) -> Result<bool, Stop> {
    let plainly = |path: &str| path.trim_end_matches('/').to_owned();
    let mut targets = Vec::new();
    for bind in strings(host, "Binds")? {
        let mut parts = bind.split(':');
        if let (Some(source), Some(target)) = (parts.next(), parts.next())
            && !source.is_empty()
        {
            targets.push(plainly(target));
        }
    }
    for mount in privilege::mounts(host)? {
        let in_memory = mount.get("Type") == Some(&Json::String("tmpfs".into()));
        if let Some(Json::String(target)) = mount.get("Target")
            && (in_memory || mount.given("Source").is_some())
        {
            targets.push(plainly(target));
        }
    }
    Ok(declared.iter().all(|path| targets.contains(&plainly(path))))
}

fn strings<'a>(host: &'a Object, key: &str) -> Result<Vec<&'a str>, Stop> {
    privilege::strings(host, key)
}
