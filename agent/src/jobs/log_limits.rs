//! Limits for the logs of an app's containers: what a plan says of them, and how containers come to have them.
//!
//! **Invariant**: a container's definition stays what the Compose files say. The limit is written by the guard into the
//! request that makes the container, so that the owner's own plain `up` recreates nothing.

use super::compose::Stack;
use super::survey::Survey;
use super::{Source, Work};
use crate::agent::Agent;
use std::collections::BTreeSet;
use wharf_engine::Engine;
use wharf_guard::LogLimits;
use wharf_plan::Model;
use wharf_plan::log_limits::{kept, lacking, make_anew, told};
use wharf_proto::AppSpec;
use wharf_proto::plan::DeployPlan;
use wharf_proto::spec::LogLimit;

/// What a project's logs may take, and who is told so when its containers are made.
pub struct Limit {
    pub limits: LogLimits,
    pub wanted: Option<LogLimit>,
}

/// The limit of an app: its own word, then the server's.
pub fn wanted(agent: &Agent, spec: &AppSpec) -> Option<LogLimit> {
    spec.logs.limit(&agent.config.logs.spec())
}

/// From here on the project's containers are made with the limit that is wanted, unless the engine has one of its own.
pub async fn settle(engine: &Engine, stack: &Stack, model: &Model) {
    let limit = stack.log_limit();
    let wanted = match &limit.wanted {
        Some(wanted) if model.services().any(|service| !service.has_own_logging()) => {
            unlimited(engine, model).await.then(|| wharf_guard::LogLimit {
                max_size: wanted.max_size.clone(),
                max_files: wanted.max_files,
            })
        }
        _ => None,
    };
    limit.limits.set(model.name(), wanted);
}

/// Whether the engine sets no limit by itself. Where that cannot be told, one is better than none.
async fn unlimited(engine: &Engine, model: &Model) -> bool {
    let mut image = None;
    for service in model.services() {
        image = engine.image(&model.image_reference(service)).await.unwrap_or_default();
        if image.is_some() {
            break;
        }
    }
    // A task of its own has a stack of its own: who asks is deep in theirs.
    let (engine, image) = (engine.clone(), image.map(|image| image.id));
    let told = tokio::spawn(async move { engine.leaves_logs_unlimited(image.as_deref()).await });
    match told.await {
        Ok(Ok(unlimited)) => unlimited,
        Ok(Err(error)) => {
            tracing::warn!(%error, "cannot tell whether the engine limits logs by itself");
            true
        }
        Err(error) => {
            tracing::error!(%error, "looking at the engine's logs ended in a bug");
            true
        }
    }
}

/// Adds to the plan what it does about logs, and to `forced` the services that are made anew because of them.
pub async fn plan(
    agent: &Agent,
    work: &Work,
    survey: &Survey,
    plan: &mut DeployPlan,
    forced: &mut BTreeSet<String>,
) {
    let Some(limit) = wanted(agent, &work.spec) else { return };
    let lacking = lacking(&survey.model, &survey.stack.containers, &limit);
    if lacking.is_empty() {
        return;
    }
    let ships = matches!(work.source, Source::Shipped { .. });
    if ships && !plan.adopts {
        forced.extend(make_anew(&mut plan.services, &lacking));
    }
    if unlimited(&agent.engine, &survey.model).await {
        plan.logs.extend(told(&plan.services, &lacking, &limit));
    }
    let kept = kept(&plan.services, &lacking);
    if plan.adopts && !kept.is_empty() {
        plan.warnings.push(format!(
            "the logs of {} have no limit: these containers are kept as they are, and made anew with one by the next deploy",
            kept.join(", ")
        ));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_engine_reads_the_label_that_the_guard_writes() {
        assert_eq!(wharf_engine::container::LABEL_LOG_LIMIT, wharf_guard::LOG_LABEL);
    }
}
