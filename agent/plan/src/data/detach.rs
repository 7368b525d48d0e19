//! Containers that would lose sight of their data.

use super::after::{backing_name, describe, mounts_after};
use super::{DataFacts, DataPlan, source_name};
use crate::facts::{MountFacts, MountSource};
use crate::model::{Backing, Mount, Service, clean, is_within};
use crate::refusal::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use wharf_proto::plan::DataMount;

/// Parts of the system that containers bind; nothing of the app's is in them.
const SYSTEM: [&str; 8] = [
    "/proc",
    "/sys",
    "/dev",
    "/etc/localtime",
    "/etc/timezone",
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/tmp/.X11-unix",
];

pub(super) fn check(facts: &DataFacts<'_>, plan: &mut DataPlan) {
    let after: BTreeMap<&str, Vec<Mount>> =
        facts.model.services().map(|s| (s.name.as_str(), mounts_after(facts, s))).collect();
    for (service, mounts) in mounts_now(facts) {
        match facts.model.service(service) {
            Some(model) => {
                let after = after.get(service).map(Vec::as_slice).unwrap_or_default();
                compare(facts, model, &mounts, after, plan);
            }
            None => vanished(facts, service, &mounts, &after, plan),
        }
    }
    for (service, mounts) in &after {
        list_new(facts, service, mounts, plan);
    }
    for service in facts.model.services() {
        warn_of_fewer_replicas(facts, service, plan);
    }
}

/// What each service's containers mount now and holds data; what replicas share, once.
fn mounts_now<'a>(facts: &'a DataFacts<'_>) -> BTreeMap<&'a str, Vec<MountFacts>> {
    let mut found: BTreeMap<&str, Vec<MountFacts>> = BTreeMap::new();
    for container in facts.now.iter().filter(|c| !c.one_off) {
        let of_service = found.entry(&container.service).or_default();
        for mount in container.mounts.iter().filter(|m| holds_data(facts, m)) {
            let mount =
                MountFacts { target: clean(&mount.target), source: cleaned(&mount.source), ..mount.clone() };
            if !of_service.contains(&mount) {
                of_service.push(mount);
            }
        }
    }
    found
}

fn cleaned(source: &MountSource) -> MountSource {
    match source {
        MountSource::Bind(path) => MountSource::Bind(clean(path)),
        other => other.clone(),
    }
}

fn holds_data(facts: &DataFacts<'_>, mount: &MountFacts) -> bool {
    match &mount.source {
        MountSource::Volume(_) | MountSource::AnonymousVolume(_) => true,
        MountSource::Bind(path) => {
            let path = clean(path);
            mount.writable && !SYSTEM.iter().any(|s| is_within(&path, s)) && !(facts.shipped)(&path)
        }
        MountSource::Tmpfs => false,
    }
}

fn compare(
    facts: &DataFacts<'_>,
    service: &Service,
    now: &[MountFacts],
    after: &[Mount],
    plan: &mut DataPlan,
) {
    for mount in now {
        let there = after.iter().find(|m| m.target == mount.target);
        let kept = there.is_some_and(|m| is_same(&mount.source, &m.backing));
        let before = source_name(&mount.source).map(str::to_owned);
        let backed_by = if kept {
            before.clone()
        } else {
            there.and_then(|m| backing_name(&m.backing)).map(str::to_owned)
        };
        plan.mounts.push(DataMount {
            service: service.name.clone(),
            target: mount.target.clone(),
            before: before.clone(),
            after: backed_by,
        });
        if kept {
            continue;
        }
        let Some(before) = before else { continue };
        if let Some(refusal) = refusal_for(facts, service, mount, &before, there, now, after) {
            accept_or_refuse(facts, &before, &service.name, refusal, plan);
        }
    }
}

/// Compose carries an anonymous volume over to the new container while something anonymous stays at its place.
fn is_same(now: &MountSource, after: &Backing) -> bool {
    match (now, after) {
        (MountSource::AnonymousVolume(_), Backing::Anonymous) => true,
        (MountSource::Volume(now) | MountSource::AnonymousVolume(now), Backing::Volume { name, .. }) => {
            now == name
        }
        (MountSource::Bind(now), Backing::Bind(path)) => now == path,
        _ => false,
    }
}

fn refusal_for(
    facts: &DataFacts<'_>,
    service: &Service,
    mount: &MountFacts,
    before: &str,
    there: Option<&Mount>,
    now: &[MountFacts],
    after: &[Mount],
) -> Option<Refusal> {
    let (service_name, target) = (service.name.clone(), mount.target.clone());
    let before_text = before.to_owned();
    let moved = after.iter().find(|m| {
        backing_name(&m.backing) == Some(before)
            && !now.iter().any(|n| n.target == m.target && n.source == mount.source)
    });
    if let Some(moved) = moved {
        let (from, to) = (target, moved.target.clone());
        return Some(Refusal::TargetMoved { service: service_name, before: before_text, from, to });
    }
    let is_volume = !matches!(mount.source, MountSource::Bind(_));
    match there.map(|m| &m.backing) {
        Some(Backing::Volume { key, name, .. }) if is_volume => Some(Refusal::VolumeReplaced {
            service: service_name,
            target,
            project_before: old_project(before, key, name, facts.model.name()),
            before: before_text,
            after: name.clone(),
            after_exists: facts.exists(name),
            key: key.clone(),
        }),
        Some(Backing::Anonymous) | None => match &mount.source {
            MountSource::AnonymousVolume(volume) => {
                Some(Refusal::AnonymousLeftBehind { service: service_name, target, volume: volume.clone() })
            }
            // Read only here, and still at hand elsewhere: nothing is lost from sight.
            MountSource::Volume(name) if !mount.writable && is_mounted_somewhere(facts, name) => None,
            _ => Some(Refusal::MountGone { service: service_name, target, before: before_text, is_volume }),
        },
        Some(other) => {
            let after = describe(other);
            Some(Refusal::BackingChanged { service: service_name, target, before: before_text, after })
        }
    }
}

/// The project's name that `before` carries in front of the same key.
fn old_project(before: &str, key: &str, after: &str, project: &str) -> Option<String> {
    let old = before.strip_suffix(key)?.strip_suffix('_').filter(|old| !old.is_empty())?;
    (after == format!("{project}_{key}") && old != project).then(|| old.to_owned())
}

fn is_mounted_somewhere(facts: &DataFacts<'_>, volume: &str) -> bool {
    facts.model.services().flat_map(|s| &s.mounts).any(|m| backing_name(&m.backing) == Some(volume))
}

fn accept_or_refuse(
    facts: &DataFacts<'_>,
    before: &str,
    service: &str,
    refusal: Refusal,
    plan: &mut DataPlan,
) {
    if facts.accept_detach.iter().any(|name| name == before) {
        plan.warnings.push(format!("{service} loses sight of {before}, as accepted; {before} itself stays"));
    } else {
        plan.refusals.push(refusal);
    }
}

/// A service that the new model lacks: its volumes stay. Refused only where another one takes its place with nothing.
fn vanished(
    facts: &DataFacts<'_>,
    service: &str,
    now: &[MountFacts],
    after: &BTreeMap<&str, Vec<Mount>>,
    plan: &mut DataPlan,
) {
    let services_now: BTreeSet<&str> =
        facts.now.iter().filter(|c| !c.one_off).map(|c| c.service.as_str()).collect();
    for mount in now {
        let Some(before) = source_name(&mount.source) else { continue };
        let used_by =
            after.iter().find(|(_, mounts)| mounts.iter().any(|m| backing_name(&m.backing) == Some(before)));
        plan.mounts.push(DataMount {
            service: service.to_owned(),
            target: mount.target.clone(),
            before: Some(before.to_owned()),
            after: None,
        });
        if used_by.is_some() {
            continue;
        }
        let named = !matches!(mount.source, MountSource::AnonymousVolume(_));
        let successor =
            after.iter().filter(|(name, _)| !services_now.contains(*name)).find_map(|(name, mounts)| {
                let there = mounts.iter().find(|m| m.target == mount.target)?;
                let empty = match &there.backing {
                    Backing::Volume { name, .. } => !facts.exists(name),
                    Backing::Anonymous => named,
                    Backing::Bind(_) | Backing::Tmpfs | Backing::Other(_) => false,
                };
                empty.then(|| (*name, describe(&there.backing)))
            });
        match successor {
            Some((name, after)) => {
                let refusal = Refusal::DataLeftBehind {
                    old_service: service.to_owned(),
                    service: name.to_owned(),
                    target: mount.target.clone(),
                    before: before.to_owned(),
                    after,
                };
                accept_or_refuse(facts, before, name, refusal, plan);
            }
            None => plan.warnings.push(format!(
                "no service uses {before} any more ({service} had it at {}); it stays",
                mount.target
            )),
        }
    }
}

/// Places that hold data only from now on.
fn list_new(facts: &DataFacts<'_>, service: &str, mounts: &[Mount], plan: &mut DataPlan) {
    for mount in mounts {
        let data = match &mount.backing {
            Backing::Volume { .. } => true,
            Backing::Bind(path) => {
                mount.writable && !SYSTEM.iter().any(|s| is_within(path, s)) && !(facts.shipped)(path)
            }
            Backing::Anonymous | Backing::Tmpfs | Backing::Other(_) => false,
        };
        let known = plan.mounts.iter().any(|m| m.service == service && m.target == mount.target);
        if data && !known {
            plan.mounts.push(DataMount {
                service: service.to_owned(),
                target: mount.target.clone(),
                before: None,
                after: backing_name(&mount.backing).map(str::to_owned),
            });
        }
    }
}

/// Anonymous volumes belong to one replica each; those of replicas that go are left, not deleted.
fn warn_of_fewer_replicas(facts: &DataFacts<'_>, service: &Service, plan: &mut DataPlan) {
    let containers = facts.containers_of(&service.name).count();
    let anonymous = facts
        .containers_of(&service.name)
        .any(|c| c.mounts.iter().any(|m| matches!(m.source, MountSource::AnonymousVolume(_))));
    if anonymous && containers > service.replicas as usize {
        plan.warnings.push(format!(
            "{} goes from {containers} containers to {}: the anonymous volumes of those that go stay behind",
            service.name, service.replicas
        ));
    }
}
