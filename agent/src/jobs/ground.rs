//! Looks at what the server has for a release; see [`wharf_plan::ground`]. What cannot be seen is not warned of.

use super::survey::Survey;
use crate::agent::Agent;
use std::path::Path;
use wharf_plan::ground::{self, Ground};

/// What a person should know before the release starts.
pub async fn warnings(agent: &Agent, survey: &Survey) -> Vec<String> {
    let paths = ground::outside(&survey.model);
    let root = agent.engine.info().await.ok().map(|info| info.root_dir);
    let looked = tokio::task::spawn_blocking(move || {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let tables = text("/proc/net/tcp") + &text("/proc/net/tcp6");
        let meminfo = text("/proc/meminfo");
        Ground {
            listening: ground::listening(&tables),
            absent: paths.into_iter().filter(|path| !Path::new(path).exists()).collect(),
            free_disk_bytes: root.and_then(|root| free(&root)),
            free_memory_bytes: ground::memory(&meminfo, "MemAvailable"),
            memory_bytes: ground::memory(&meminfo, "MemTotal"),
        }
    });
    let ground = looked.await.unwrap_or_default();
    let now: Vec<_> = survey.stack.containers.iter().filter(|c| !c.one_off).cloned().collect();
    ground::warnings(&survey.model, survey.model_before.as_ref(), &now, &ground)
}

fn free(folder: &Path) -> Option<u64> {
    crate::room::on(folder).map(|space| space.free_bytes)
}
