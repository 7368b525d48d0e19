//! Whether the engine lets the log of a container grow without end of which nobody says how it logs.
//!
//! The engine tells its logging driver, and not the driver's options; but it writes them into every container that it
//! makes. So one is made that never starts, looked at, and removed.

use crate::contained::Contained;
use crate::{Engine, EngineError};
use bollard::models::{HostConfig, HostConfigLogConfig};
use bollard::query_parameters::ListContainersOptions;
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wharf_plan::facts::UNLIMITED_LOGS;

const LABEL_PROBE: &str = "dev.wharf.log-probe";
/// A container that is made to be looked at is there for less than a second.
const LEFT_OVER_AFTER: Duration = Duration::from_secs(600);
const MEMORY_BYTES: u64 = 16 * 1024 * 1024;

impl Engine {
    /// Whether logs have no limit unless a container's maker sets one. `image` is any that the engine has; without one the
    /// driver alone is looked at.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn leaves_logs_unlimited(&self, image: Option<&str>) -> Result<bool, EngineError> {
        let info = self.call("tell about itself", self.docker.info()).await?;
        if info.logging_driver.as_deref() != Some(UNLIMITED_LOGS) {
            return Ok(false);
        }
        let Some(image) = image else { return Ok(true) };
        self.remove_left_over().await?;
        let id = self.make_contained(probe(image)).await?;
        let looked = self.container(&id).await;
        self.remove_container(&id).await?;
        Ok(looked?.is_none_or(|container| container.log.is_unlimited()))
    }

    /// Those of agents that were killed meanwhile.
    async fn remove_left_over(&self) -> Result<(), EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![LABEL_PROBE.to_owned()])]);
        let options = ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
        let listed = self.call("list containers", self.docker.list_containers(Some(options))).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        for container in listed {
            let made = Duration::from_secs(container.created.and_then(|at| at.try_into().ok()).unwrap_or(0));
            if let Some(id) = container.id.filter(|_| now.saturating_sub(made) > LEFT_OVER_AFTER) {
                self.remove_container(&id).await?;
            }
        }
        Ok(())
    }
}

/// Nothing is said of its log.
fn probe(image: &str) -> Contained<'_> {
    Contained {
        image,
        name: None,
        entrypoint: None,
        command: vec!["true".to_owned()],
        env: &[],
        user: None,
        labels: vec![(LABEL_PROBE.to_owned(), "1".to_owned())],
        network: "none",
        mounts: Vec::new(),
        memory_bytes: MEMORY_BYTES,
        processes: 1,
        more: HostConfig { log_config: Some(HostConfigLogConfig::default()), ..Default::default() },
    }
}
