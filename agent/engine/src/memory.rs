//! How much memory containers take.

use crate::connection::within;
use crate::{Engine, EngineError};
use bollard::models::ContainerMemoryStats;
use bollard::query_parameters::{InspectContainerOptions, StatsOptions};
use futures_util::StreamExt;
use std::time::Duration;

/// What one measurement may take.
const MEASURE_LIMIT: Duration = Duration::from_secs(10);

/// What a container takes and may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// `None`: it does not run.
    pub used_bytes: Option<u64>,
    /// `None`: as much as the server has.
    pub limit_bytes: Option<u64>,
}

impl Engine {
    /// Measures once.
    ///
    /// # Errors
    /// There is no such container, or the engine does not answer.
    pub async fn memory(&self, container: &str) -> Result<Memory, EngineError> {
        let action = format!("measure container {container}");
        let options = StatsOptions { stream: false, one_shot: true };
        let mut measured = std::pin::pin!(self.docker.stats(container, Some(options)));
        let look = self.docker.inspect_container(container, None::<InspectContainerOptions>);
        let (stats, inspect) = within(&action, MEASURE_LIMIT, async {
            let inspect = look.await?;
            Ok((measured.next().await.transpose()?, inspect))
        })
        .await?;
        let limit = inspect.host_config.and_then(|host| host.memory);
        Ok(Memory {
            used_bytes: stats.and_then(|stats| stats.memory_stats).as_ref().and_then(used),
            limit_bytes: limit.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0),
        })
    }
}

/// As `docker stats` counts: without the file cache that the kernel takes back first.
fn used(memory: &ContainerMemoryStats) -> Option<u64> {
    let stats = memory.stats.as_ref();
    // Control groups of version 1 have the first one, those of version 2 the second.
    let cache =
        stats.and_then(|stats| stats.get("total_inactive_file").or_else(|| stats.get("inactive_file")));
    Some(memory.usage?.saturating_sub(cache.copied().unwrap_or(0))).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_that_can_go_is_not_counted() {
        let memory = |usage, stats: &[(&str, u64)]| ContainerMemoryStats {
            usage,
            stats: Some(stats.iter().map(|(name, bytes)| ((*name).to_owned(), *bytes)).collect()),
            ..Default::default()
        };
        assert_eq!(used(&memory(Some(100), &[("inactive_file", 30)])), Some(70));
        assert_eq!(used(&memory(Some(100), &[("total_inactive_file", 40), ("inactive_file", 30)])), Some(60));
        assert_eq!(used(&memory(Some(100), &[])), Some(100));
        assert_eq!(used(&memory(Some(0), &[])), None, "a container that does not run");
        assert_eq!(used(&memory(None, &[])), None);
    }
}
