//! Databases: whether their data directory lies on something that stays, and fits the image.

mod kind;

use super::after::{backing_name, covering, mounts_after};
use super::{DataFacts, DataPlan, PostgresData};
use crate::facts::{ImageFacts, MountSource};
use crate::model::{Backing, Model, Mount, Service, clean, is_within};
use crate::refusal::Refusal;
use kind::{Database, Kind};

/// Whether the service is a database with data that outlives its container.
pub fn keeps_database(model: &Model, service: &Service, image: Option<&ImageFacts>) -> bool {
    let Some(database) = kind::of(service, &model.image_reference(service), image) else { return false };
    let mounts = model.mounts(service);
    let under = covering(&mounts, &database.data_dir);
    under.is_some_and(|mount| matches!(mount.backing, Backing::Volume { .. } | Backing::Bind(_)))
}

pub(super) fn check(facts: &DataFacts<'_>, plan: &mut DataPlan) {
    for service in facts.model.services() {
        let image = facts.image_of(service);
        let reference = facts.model.image_reference(service);
        if let Some(database) = kind::of(service, &reference, image.as_ref()) {
            check_one(facts, service, &reference, &database, plan);
        }
    }
}

fn check_one(
    facts: &DataFacts<'_>,
    service: &Service,
    image: &str,
    database: &Database,
    plan: &mut DataPlan,
) {
    let mounts = mounts_after(facts, service);
    let under = covering(&mounts, &database.data_dir);
    match under.map(|m| (m, &m.backing)) {
        Some((mount, Backing::Volume { .. } | Backing::Bind(_))) => {
            if database.kind == Kind::Postgres {
                check_postgres(facts, service, image, database, mount, plan);
            }
        }
        Some((_, Backing::Tmpfs | Backing::Other(_))) => plan.warnings.push(format!(
            "{} keeps {} in memory: its data is gone whenever its container stops",
            service.name, database.data_dir
        )),
        Some((_, Backing::Anonymous)) | None => {
            without_volume(facts, service, image, database, &mounts, plan)
        }
    }
}

fn without_volume(
    facts: &DataFacts<'_>,
    service: &Service,
    image: &str,
    database: &Database,
    mounts: &[Mount],
    plan: &mut DataPlan,
) {
    let elsewhere = mounts.iter().find_map(|m| {
        let name = backing_name(&m.backing)?;
        let is_its = is_within(&m.target, database.kind.home()) || facts.postgres.contains_key(name);
        is_its.then_some((m, name))
    });
    let anonymous = anonymous_now(facts, service, &database.data_dir);
    let refusal = if let Some((mount, name)) = elsewhere {
        Refusal::DataDirectoryMoved {
            service: service.name.clone(),
            image: image.to_owned(),
            data_dir: database.data_dir.clone(),
            backing: name.to_owned(),
            found_at: mount.target.clone(),
        }
    } else {
        Refusal::DatabaseWithoutVolume {
            service: service.name.clone(),
            image: image.to_owned(),
            data_dir: database.data_dir.clone(),
            anonymous: anonymous.clone(),
        }
    };
    // An image that only descends from a database's may be a client of it; a cache may be meant to forget.
    let has_data = anonymous.is_some_and(|volume| facts.postgres.contains_key(&volume));
    if (database.certain && database.kind != Kind::Redis) || has_data {
        plan.refusals.push(refusal);
    } else {
        plan.warnings.push(format!("{refusal}: {} is not on a named volume", database.data_dir));
    }
}

/// The anonymous volume that has the service's data now.
fn anonymous_now(facts: &DataFacts<'_>, service: &Service, data_dir: &str) -> Option<String> {
    let mounts = facts.containers_of(&service.name).flat_map(|c| &c.mounts);
    let under = mounts.filter(|m| is_within(data_dir, &clean(&m.target))).max_by_key(|m| m.target.len())?;
    match &under.source {
        MountSource::AnonymousVolume(name) => Some(name.clone()),
        MountSource::Volume(_) | MountSource::Bind(_) | MountSource::Tmpfs => None,
    }
}

fn check_postgres(
    facts: &DataFacts<'_>,
    service: &Service,
    image: &str,
    database: &Database,
    mount: &Mount,
    plan: &mut DataPlan,
) {
    let Some(name) = backing_name(&mount.backing) else { return };
    let found = facts.postgres.get(name).map(Vec::as_slice).unwrap_or_default();
    let Some(data) = best_match(found, folder_in(mount, &database.data_dir)) else { return };
    match &database.major {
        Some(major) if *major != data.major => plan.refusals.push(Refusal::PostgresMajor {
            service: service.name.clone(),
            image: image.to_owned(),
            image_major: major.clone(),
            volume: name.to_owned(),
            volume_major: data.major.clone(),
        }),
        None => plan.warnings.push(format!(
            "it cannot be told which PostgreSQL {image} is; {name} has data of PostgreSQL {}",
            data.major
        )),
        Some(_) => {}
    }
    let same_major = database.major.as_ref().is_none_or(|major| *major == data.major);
    if same_major && data.folder != folder_in(mount, &database.data_dir) && database.data_dir_known {
        let found_at = format!("{}/{}", mount.target, data.folder);
        plan.refusals.push(Refusal::DataDirectoryMoved {
            service: service.name.clone(),
            image: image.to_owned(),
            data_dir: database.data_dir.clone(),
            backing: name.to_owned(),
            found_at: found_at.trim_end_matches('/').to_owned(),
        });
    }
}

/// The data directory as the volume sees it.
fn folder_in<'a>(mount: &Mount, data_dir: &'a str) -> &'a str {
    data_dir.strip_prefix(mount.target.as_str()).unwrap_or_default().trim_start_matches('/')
}

/// The data where the database will look, else the first that there is.
fn best_match<'a>(found: &'a [PostgresData], folder: &str) -> Option<&'a PostgresData> {
    found.iter().find(|data| data.folder == folder).or_else(|| found.first())
}
