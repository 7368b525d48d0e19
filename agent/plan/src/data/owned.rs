//! Volumes that are there already: whether they are this app's.

use super::{DataFacts, DataPlan, source_name};
use crate::model::{Backing, Volume};
use crate::refusal::Refusal;

const PROJECT_LABEL: &str = "com.docker.compose.project";

/// A volume of the model's that exists, but that neither this app made nor its containers mount, may be anybody's.
pub(super) fn check(facts: &DataFacts<'_>, plan: &mut DataPlan) {
    for volume in facts.model.volumes().filter(|volume| is_used(facts, volume)) {
        let there = facts.volumes.iter().find(|v| v.name == volume.name);
        match (there, volume.external) {
            (None, true) => plan.refusals.push(Refusal::ExternalVolumeMissing {
                volume: volume.name.clone(),
                key: volume.key.clone(),
            }),
            // `external: true` says in so many words that the volume is to be taken.
            (None, false) | (Some(_), true) => {}
            (Some(there), false) => {
                if !is_ours(facts, &volume.name) {
                    plan.refusals.push(Refusal::VolumeNotOwned {
                        volume: volume.name.clone(),
                        project: facts.model.name().to_owned(),
                        other_project: there.labels.get(PROJECT_LABEL).cloned(),
                    });
                }
            }
        }
    }
}

fn is_used(facts: &DataFacts<'_>, volume: &Volume) -> bool {
    let mounts = facts.model.services().flat_map(|s| &s.mounts);
    mounts.into_iter().any(|m| matches!(&m.backing, Backing::Volume { key, .. } if *key == volume.key))
}

fn is_ours(facts: &DataFacts<'_>, name: &str) -> bool {
    facts.owned.contains(name)
        || facts.accept_volume.iter().any(|accepted| accepted == name)
        || facts.now.iter().flat_map(|c| &c.mounts).any(|m| source_name(&m.source) == Some(name))
}
