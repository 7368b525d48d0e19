//! The data plan: which volume or path backs each place of each container now, and which will.
//!
//! **Invariants**: a container that would start with another volume, an empty one or none at a place that held data is
//! refused, unless that volume was accepted by its name; nothing here, accepted or not, deletes a volume. Ask again once
//! images are built and pulled: what their facts did not tell the first time, they tell then.

mod after;
mod database;
mod detach;
mod owned;

pub use database::keeps_database;

use crate::facts::{ContainerFacts, ImageFacts, MountSource, VolumeFacts};
use crate::model::{Model, Service};
use crate::refusal::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use wharf_proto::plan::DataMount;

/// All that the data plan is made from.
pub struct DataFacts<'a> {
    /// The containers of this app's stack, running or not.
    pub now: &'a [ContainerFacts],
    pub model: &'a Model,
    /// An image by reference or by ID, where the engine has it.
    pub images: &'a dyn Fn(&str) -> Option<ImageFacts>,
    /// Every volume on the engine.
    pub volumes: &'a [VolumeFacts],
    /// The volumes that this app made or was told to take, by name.
    pub owned: &'a BTreeSet<String>,
    /// The PostgreSQL data found in volumes (by name) and folders (by path).
    pub postgres: &'a BTreeMap<String, Vec<PostgresData>>,
    /// Whether a path on the server is what Wharf shipped, unchanged since: such a bind holds no data.
    pub shipped: &'a dyn Fn(&str) -> bool,
    pub accept_detach: &'a [String],
    pub accept_volume: &'a [String],
}

/// A PostgreSQL data directory in a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresData {
    /// Where in the volume: empty for its root, else `18/docker` or the like.
    pub folder: String,
    /// What its `PG_VERSION` says.
    pub major: String,
}

/// What backs each place that holds data, before and after, and what is wrong with that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataPlan {
    pub mounts: Vec<DataMount>,
    pub refusals: Vec<Refusal>,
    pub warnings: Vec<String>,
}

/// Compares what backs every container's data now with what will.
pub fn data_plan(facts: &DataFacts<'_>) -> DataPlan {
    let mut plan = DataPlan::default();
    detach::check(facts, &mut plan);
    database::check(facts, &mut plan);
    owned::check(facts, &mut plan);
    plan.mounts.sort_by(|a, b| (&a.service, &a.target, &a.before).cmp(&(&b.service, &b.target, &b.before)));
    plan.mounts.dedup();
    plan.refusals.sort();
    plan.refusals.dedup();
    plan.warnings.sort();
    plan.warnings.dedup();
    plan
}

/// What a source is called in plans and on the command line: a volume's name or a path.
pub(crate) fn source_name(source: &MountSource) -> Option<&str> {
    match source {
        MountSource::Volume(name) | MountSource::AnonymousVolume(name) | MountSource::Bind(name) => {
            Some(name)
        }
        MountSource::Tmpfs => None,
    }
}

impl DataFacts<'_> {
    fn exists(&self, volume: &str) -> bool {
        self.volumes.iter().any(|v| v.name == volume)
    }

    /// The containers that Compose itself keeps for a service.
    fn containers_of<'b>(&'b self, service: &'b str) -> impl Iterator<Item = &'b ContainerFacts> {
        self.now.iter().filter(move |c| c.service == service && !c.one_off)
    }

    /// The facts of the service's image: of the one that its reference names, else of the one that its container was
    /// made from under the same reference.
    fn image_of(&self, service: &Service) -> Option<ImageFacts> {
        let reference = self.model.image_reference(service);
        (self.images)(&reference).or_else(|| {
            let container = self.containers_of(&service.name).find(|c| c.image == reference)?;
            (self.images)(&container.image_id)
        })
    }
}

#[cfg(test)]
mod tests;
