//! Containers: what there is, stopping them, removing them.
//!
//! **Invariant**: a container is removed without its volumes, always, the anonymous ones too.

use crate::connection::within;
use crate::{Engine, EngineError};
use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, ContainerUpdateBody, HostConfig, MountPoint,
};
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptions, RemoveContainerOptions, StopContainerOptions,
};
use std::collections::HashMap;
use std::time::Duration;
use wharf_plan::facts::{ContainerFacts, ContainerState, LogFacts, MountFacts, MountSource};

pub(crate) const LABEL_PROJECT: &str = "com.docker.compose.project";
pub(crate) const LABEL_SERVICE: &str = "com.docker.compose.service";
const LABEL_HASH: &str = "com.docker.compose.config-hash";
const LABEL_DIR: &str = "com.docker.compose.project.working_dir";
const LABEL_FILES: &str = "com.docker.compose.project.config_files";
/// The guard's, on containers whose log it gave a limit.
pub const LABEL_LOG_LIMIT: &str = "dev.wharf.log-limit";
pub(crate) const LABEL_ONE_OFF: &str = "com.docker.compose.oneoff";
/// What a restart may take: a database may be given minutes to stop.
const RESTART_LIMIT: Duration = Duration::from_secs(600);
/// What a container is given to stop at most, whatever its definition says.
const STOPS_WITHIN: Duration = Duration::from_secs(3600);
/// What the engine may need beside the time that the container is given to stop.
const STOP_GRACE: Duration = Duration::from_secs(30);

impl Engine {
    /// The containers of one Compose project, stopped ones and one-offs too, by service and name.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn project_containers(&self, project: &str) -> Result<Vec<ContainerFacts>, EngineError> {
        self.containers_labelled(&format!("{LABEL_PROJECT}={project}")).await
    }

    /// Every container that Compose made, whatever its project: to find a stack by its folder.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn compose_containers(&self) -> Result<Vec<ContainerFacts>, EngineError> {
        self.containers_labelled(LABEL_PROJECT).await
    }

    /// The containers that carry a label (`KEY` or `KEY=VALUE`).
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn containers_labelled(&self, label: &str) -> Result<Vec<ContainerFacts>, EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
        let options = ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
        let listed = self.call("list containers", self.docker.list_containers(Some(options))).await?;
        let mut facts = Vec::with_capacity(listed.len());
        for id in listed.into_iter().filter_map(|summary| summary.id) {
            // One that was removed since the list was made is no container any more.
            if let Some(container) = self.container(&id).await? {
                facts.push(container);
            }
        }
        facts.sort_by(|a, b| (&a.service, &a.name).cmp(&(&b.service, &b.name)));
        Ok(facts)
    }

    /// One container, by ID or name; `None` when there is none.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn container(&self, id: &str) -> Result<Option<ContainerFacts>, EngineError> {
        let action = format!("look at container {id}");
        match self.call(&action, self.docker.inspect_container(id, None::<InspectContainerOptions>)).await {
            Ok(inspect) => facts(&action, inspect).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The ID and the first process of a container that runs or is frozen; `None`: it does neither.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn process(&self, id: &str) -> Result<Option<(String, u32)>, EngineError> {
        let inspected = self.docker.inspect_container(id, None::<InspectContainerOptions>);
        match self.call(&format!("look at container {id}"), inspected).await {
            Ok(inspect) => {
                let pid = inspect.state.and_then(|state| state.pid).and_then(|pid| u32::try_from(pid).ok());
                Ok(inspect.id.zip(pid.filter(|pid| *pid != 0)))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stops a container: its signal first, a kill after `patience`. One that is gone or stopped is fine.
    ///
    /// # Errors
    /// The engine does not answer, or could not stop it.
    pub async fn stop(&self, id: &str, patience: Duration) -> Result<(), EngineError> {
        let seconds = i32::try_from(patience.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptions { t: Some(seconds), signal: None };
        let limit = patience + STOP_GRACE;
        let docker = self.docker.clone().with_timeout(limit);
        absent_is_fine(
            within(&format!("stop container {id}"), limit, docker.stop_container(id, Some(options))).await,
        )
    }

    /// How long its definition lets a container take to stop; `None`: it does not say. Without end is [`STOPS_WITHIN`].
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn stop_timeout(&self, id: &str) -> Result<Option<Duration>, EngineError> {
        let action = format!("look at container {id}");
        match self.call(&action, self.docker.inspect_container(id, None::<InspectContainerOptions>)).await {
            Ok(found) => Ok(found.config.and_then(|config| config.stop_timeout).map(stop_timeout)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Starts a container that is there. One that runs is fine.
    ///
    /// # Errors
    /// The engine does not answer, or could not start it.
    pub async fn start(&self, id: &str) -> Result<(), EngineError> {
        let options = None::<bollard::query_parameters::StartContainerOptions>;
        self.call(&format!("start container {id}"), self.docker.start_container(id, options)).await
    }

    /// Stops a container, in the time that it is given for that by its definition, and starts it again. One that does not
    /// run is started.
    ///
    /// # Errors
    /// There is none, or the engine could not.
    pub async fn restart(&self, id: &str) -> Result<(), EngineError> {
        let docker = self.docker.clone().with_timeout(RESTART_LIMIT);
        let options = None::<bollard::query_parameters::RestartContainerOptions>;
        within(&format!("restart container {id}"), RESTART_LIMIT, docker.restart_container(id, options)).await
    }

    /// Limits the memory of a container that is there, and with it its swap, as the engine does for a new one. Its
    /// definition stays. One that is gone is fine.
    ///
    /// # Errors
    /// The engine does not answer, or cannot limit it (it takes more already, say).
    pub async fn limit_memory(&self, id: &str, bytes: u64) -> Result<(), EngineError> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX / 2);
        let update = ContainerUpdateBody {
            memory: Some(bytes),
            memory_swap: Some(bytes.saturating_mul(2)),
            ..ContainerUpdateBody::default()
        };
        let action = format!("limit the memory of container {id}");
        absent_is_fine(self.call(&action, self.docker.update_container(id, update)).await)
    }

    /// Lets a container that is frozen run on. One that is gone or not frozen is fine.
    ///
    /// # Errors
    /// The engine does not answer, or could not.
    pub async fn unpause(&self, id: &str) -> Result<(), EngineError> {
        match self.call(&format!("unpause container {id}"), self.docker.unpause_container(id)).await {
            Err(EngineError::Refused {
                source: bollard::errors::Error::DockerResponseServerError { message, .. },
                ..
            }) if message.contains("not paused") || message.contains("not running") => Ok(()),
            other => absent_is_fine(other),
        }
    }

    /// Removes a container, running or not. Its volumes stay. One that is gone is fine.
    ///
    /// # Errors
    /// The engine does not answer, or could not remove it.
    pub async fn remove_container(&self, id: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptions { force: true, v: false, link: false };
        let result = self
            .call(&format!("remove container {id}"), self.docker.remove_container(id, Some(options)))
            .await;
        match result {
            // Somebody else is removing it already.
            Err(EngineError::Refused {
                source: bollard::errors::Error::DockerResponseServerError { status_code: 409, message },
                ..
            }) if message.contains("already in progress") => Ok(()),
            other => absent_is_fine(other),
        }
    }
}

/// Less than nothing is without end.
fn stop_timeout(seconds: i64) -> Duration {
    u64::try_from(seconds).map_or(STOPS_WITHIN, |seconds| Duration::from_secs(seconds).min(STOPS_WITHIN))
}

fn absent_is_fine(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

fn facts(action: &str, inspect: ContainerInspectResponse) -> Result<ContainerFacts, EngineError> {
    let missing = |what: &str| EngineError::malformed(action, format!("it lacks the container's {what}"));
    let id = inspect.id.ok_or_else(|| missing("ID"))?;
    let config = inspect.config.ok_or_else(|| missing("configuration"))?;
    let state = inspect.state.ok_or_else(|| missing("state"))?;
    let labels = config.labels.unwrap_or_default();
    let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
    let log = log(inspect.host_config.as_ref(), inspect.log_path);
    let restart = inspect.host_config.as_ref().and_then(|host| host.restart_policy.as_ref());
    let mut mounts: Vec<_> = inspect.mounts.unwrap_or_default().into_iter().filter_map(mount).collect();
    let tmpfs = inspect.host_config.as_ref().and_then(|host| host.tmpfs.clone()).unwrap_or_default();
    mounts.extend(tmpfs.into_keys().map(|target| MountFacts {
        source: MountSource::Tmpfs,
        target,
        writable: true,
    }));
    mounts.sort_by(|a, b| a.target.cmp(&b.target));
    mounts.dedup_by(|a, b| a.target == b.target);
    let health = state.health.and_then(|health| health.status).map(|status| status.to_string());
    let kind = container_state(state.status);
    Ok(ContainerFacts {
        name: inspect.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        project: label(LABEL_PROJECT),
        service: label(LABEL_SERVICE),
        config_hash: label(LABEL_HASH),
        working_dir: label(LABEL_DIR),
        config_files: label(LABEL_FILES).split(',').filter(|f| !f.is_empty()).map(str::to_owned).collect(),
        one_off: label(LABEL_ONE_OFF).eq_ignore_ascii_case("true"),
        image_id: inspect.image.ok_or_else(|| missing("image"))?,
        image: config.image.unwrap_or_default(),
        state: kind,
        health: health.filter(|status| !status.is_empty() && status != "none"),
        exit_code: state.exit_code.filter(|_| matches!(kind, ContainerState::Exited | ContainerState::Dead)),
        oom_killed: state.oom_killed.unwrap_or(false),
        restarts: inspect.restart_count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0),
        started_at: state.started_at.filter(|at| !at.starts_with("0001-")),
        restart_policy: restart
            .and_then(|policy| policy.name)
            .map(|name| name.to_string())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "no".to_owned()),
        mounts,
        log: LogFacts { by_wharf: labels.contains_key(LABEL_LOG_LIMIT), ..log },
        id,
    })
}

fn log(host: Option<&HostConfig>, path: Option<String>) -> LogFacts {
    let config = host.and_then(|host| host.log_config.clone()).unwrap_or_default();
    let options = config.config.unwrap_or_default();
    // `-1` is the engine's own word for none.
    let limit = |key: &str| options.get(key).cloned().filter(|limit| !limit.is_empty() && limit != "-1");
    LogFacts {
        max_size: limit("max-size"),
        max_files: limit("max-file"),
        driver: config.typ.unwrap_or_default(),
        by_wharf: false,
        path: path.filter(|path| !path.is_empty()),
    }
}

fn container_state(status: Option<ContainerStateStatusEnum>) -> ContainerState {
    match status {
        Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING) => {
            ContainerState::Running
        }
        Some(ContainerStateStatusEnum::PAUSED) => ContainerState::Paused,
        Some(ContainerStateStatusEnum::RESTARTING) => ContainerState::Restarting,
        Some(ContainerStateStatusEnum::REMOVING) => ContainerState::Removing,
        Some(ContainerStateStatusEnum::EXITED) => ContainerState::Exited,
        Some(ContainerStateStatusEnum::DEAD) => ContainerState::Dead,
        Some(ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::EMPTY) | None => {
            ContainerState::Created
        }
    }
}

/// `None` for what holds no data of a deploy: mounted images and pipes.
fn mount(point: MountPoint) -> Option<MountFacts> {
    let name = point.name.unwrap_or_default();
    let source = match point.typ?.as_str() {
        "volume" if is_anonymous(&name) => MountSource::AnonymousVolume(name),
        "volume" | "cluster" => MountSource::Volume(name),
        "bind" => MountSource::Bind(point.source?),
        "tmpfs" => MountSource::Tmpfs,
        _ => return None,
    };
    Some(MountFacts { source, target: point.destination?, writable: point.rw.unwrap_or(true) })
}

/// Docker names a volume that nobody named with 64 hexadecimal digits.
pub(crate) fn is_anonymous(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}
