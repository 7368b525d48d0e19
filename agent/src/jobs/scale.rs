//! What was set with `wharf scale`, as containers come to have it.
//!
//! **Invariant**: a container's definition stays what the Compose files say. Numbers are told to `docker compose up` each
//! time, and memory is set on the containers that are there, so that the owner's own plain `up` recreates nothing.

use super::compose::Stack;
use crate::failures;
use std::collections::{BTreeMap, BTreeSet};
use wharf_engine::Engine;
use wharf_plan::facts::ContainerState;
use wharf_proto::Failure;
use wharf_proto::operate::memory_text;

/// The numbers that `docker compose up` of these services must be told. It looks at what they depend on too, and would
/// bring that back to the files' numbers.
///
/// # Errors
/// The state or the Compose files cannot be read.
pub async fn counts(stack: &Stack, services: &BTreeSet<String>) -> Result<BTreeMap<String, u32>, Failure> {
    let scales = stack.scales().await?;
    if scales.iter().all(|scale| scale.replicas.is_none()) {
        return Ok(BTreeMap::new());
    }
    let model = stack.model().await?;
    let seen = model.with_dependencies(services.iter().map(String::as_str));
    let count = |service: &str| scales.iter().find(|scale| scale.service == service)?.replicas;
    Ok(seen.into_iter().filter_map(|service| Some((service.to_owned(), count(service)?))).collect())
}

/// Gives the containers that are there the limits that were set.
///
/// # Errors
/// The engine does not answer, or a container takes more memory already.
pub async fn limit_memory(engine: &Engine, stack: &Stack) -> Result<(), Failure> {
    let scales = stack.scales().await?;
    let limit = |service: &str| scales.iter().find(|scale| scale.service == service)?.memory_bytes;
    if scales.iter().all(|scale| scale.memory_bytes.is_none()) {
        return Ok(());
    }
    for container in stack.containers(engine).await? {
        let lasts = !matches!(container.state, ContainerState::Removing | ContainerState::Dead);
        if let Some(bytes) = limit(&container.service).filter(|_| lasts) {
            let limited = engine.limit_memory(&container.id, bytes).await;
            limited.map_err(|e| {
                failures::of_engine(&e)
                    .cause(format!("{} was to have {} of memory", container.name, memory_text(bytes)))
                    .hint("if it takes more than that already, stop it first, or allow it more")
            })?;
        }
    }
    Ok(())
}
