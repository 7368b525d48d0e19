//! A new container like a service's: same image, environment, mounts, networks and limits; no ports, no restarts, no
//! health check.
//!
//! **Invariant**: it is removed by us, and without its volumes. It bears no name that other containers look for: the
//! service's own aliases stay the service's.

use super::{Program, Size};
use crate::{Engine, EngineError};
use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, NetworkingConfig, RestartPolicy,
    RestartPolicyNameEnum,
};
use bollard::query_parameters::{CreateContainerOptions, InspectContainerOptions};
use std::collections::HashMap;

/// What is to run in it.
#[derive(Debug, Clone)]
pub struct Template {
    /// The container that it is to be like, by ID; it need not run.
    pub like: String,
    pub name: String,
    pub command: Vec<String>,
    /// `KEY=VALUE`, beside the container's own.
    pub env: Vec<String>,
    pub user: Option<String>,
    pub labels: Vec<(String, String)>,
}

/// Labels by which Compose finds a service's containers; a one-off says that it is none of those.
const ONE_OFF: (&str, &str) = ("com.docker.compose.oneoff", "True");

impl Engine {
    /// Makes a container like another one; nothing runs yet.
    ///
    /// # Errors
    /// The other one is gone, or the engine does not answer or could not make it.
    pub async fn prepare_one_off(
        &self,
        template: &Template,
        terminal: Option<Size>,
    ) -> Result<Program, EngineError> {
        let action = format!("make container {}", template.name);
        let inspecting = self.docker.inspect_container(&template.like, None::<InspectContainerOptions>);
        let like = self.call(&action, inspecting).await?;
        let missing =
            |what: &str| EngineError::malformed(&action, format!("it lacks the container's {what}"));
        let config = like.config.ok_or_else(|| missing("configuration"))?;
        let host = like.host_config.ok_or_else(|| missing("host configuration"))?;
        let networks = like.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let mut env = config.env.unwrap_or_default();
        env.extend(template.env.iter().cloned());
        let mut labels = config.labels.unwrap_or_default();
        labels.remove("com.docker.compose.container-number");
        labels.insert(ONE_OFF.0.to_owned(), ONE_OFF.1.to_owned());
        labels.extend(template.labels.iter().cloned());
        let body = ContainerCreateBody {
            user: template.user.clone().or(config.user),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(terminal.is_some()),
            open_stdin: Some(true),
            stdin_once: Some(true),
            env: Some(env),
            cmd: Some(template.command.clone()),
            // It is nobody's to wait for.
            healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..Default::default() }),
            image: like.image.or(config.image),
            volumes: config.volumes,
            working_dir: config.working_dir,
            entrypoint: config.entrypoint,
            labels: Some(labels),
            stop_signal: config.stop_signal,
            networking_config: Some(NetworkingConfig { endpoints_config: Some(endpoints(networks, &host)) }),
            host_config: Some(without_ports(host)),
            ..Default::default()
        };
        let options = CreateContainerOptions { name: Some(template.name.clone()), ..Default::default() };
        let created = self.call(&action, self.docker.create_container(Some(options), body)).await?;
        Ok(Program::Container { id: created.id })
    }
}

/// The same networks, under no name and with no fixed address. A container that uses the host's network, or another
/// container's, has none of its own.
fn endpoints(
    networks: HashMap<String, EndpointSettings>,
    host: &HostConfig,
) -> HashMap<String, EndpointSettings> {
    let mode = host.network_mode.as_deref().unwrap_or_default();
    if mode == "host" || mode == "none" || mode.starts_with("container:") {
        return HashMap::new();
    }
    networks.into_keys().map(|name| (name, EndpointSettings::default())).collect()
}

fn without_ports(host: HostConfig) -> HostConfig {
    HostConfig {
        port_bindings: None,
        publish_all_ports: Some(false),
        auto_remove: Some(false),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        container_id_file: None,
        ..host
    }
}
