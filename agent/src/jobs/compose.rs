//! Compose, asked about the stage or the app directory. Its answers hold secrets: they are read and dropped, never stored.

use super::env_change::env_file_of;
use super::log_limits;
use super::queue::Seat;
use super::run::Job;
use crate::agent::Agent;
use crate::failures;
use crate::layout::Beside;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wharf_engine::{ComposeProject, Engine, Supervisor};
use wharf_plan::Model;
use wharf_plan::facts::ContainerFacts;
use wharf_proto::operate::ServiceScale;
use wharf_proto::{AppName, AppSpec, Failure, FailureKind};
use wharf_state::State;

/// The label of what a job runs for itself, so that recovery finds it.
pub const JOB_LABEL: &str = "dev.wharf.job";

/// One Compose project, as its files stand in one folder.
pub struct Stack {
    project: ComposeProject,
    app: AppName,
    state: State,
    /// Where the files are.
    root: PathBuf,
    /// Where they will be.
    app_dir: PathBuf,
    name: Option<String>,
    logs: log_limits::Limit,
}

/// The project in the app directory, by the job's own configuration.
pub fn in_place(job: &Job, project: &str) -> Stack {
    of(&job.agent, &job.spec, project, &job.seat)
}

/// The project in the app directory, by `spec`.
pub fn of(agent: &Agent, spec: &AppSpec, project: &str, seat: &Seat) -> Stack {
    let app_dir = PathBuf::from(&spec.path);
    let env_file = spec.compose.env_file.as_ref().map(|file| file.below(&app_dir));
    Stack::new(agent, spec, &app_dir, env_file, Some(project.to_owned()), Some(&seat.supervisor))
}

/// As [`of`], only to be read, by who has no seat.
pub fn to_read(agent: &Agent, spec: &AppSpec, project: &str) -> Stack {
    let app_dir = PathBuf::from(&spec.path);
    let env_file = spec.compose.env_file.as_ref().map(|file| file.below(&app_dir));
    Stack::new(agent, spec, &app_dir, env_file, Some(project.to_owned()), None)
}

/// The project in the stage. Without a name, Compose chooses one as it would in the app directory.
pub fn staged(agent: &Agent, spec: &AppSpec, beside: &Beside, project: Option<String>, seat: &Seat) -> Stack {
    Stack::new(agent, spec, &beside.stage(), env_file_of(spec, beside), project, Some(&seat.supervisor))
}

/// Docker's configuration with the agent's own logins, where it has any. Without it Compose can still do all but pull what
/// is private, and says so then.
fn docker_config(agent: &Agent) -> Option<PathBuf> {
    agent.engine.logins().docker_config().unwrap_or_else(|error| {
        tracing::warn!(%error, "docker compose goes without the agent's logins to registries");
        None
    })
}

impl Stack {
    fn new(
        agent: &Agent,
        spec: &AppSpec,
        root: &Path,
        env_file: Option<PathBuf>,
        name: Option<String>,
        supervisor: Option<&Arc<Supervisor>>,
    ) -> Self {
        let app_dir = PathBuf::from(&spec.path);
        // Compose's own default, said aloud: the folder of the first file.
        let first = spec.compose.files.first().map(|file| file.below(root));
        let directory = first.as_deref().and_then(Path::parent).unwrap_or(root).to_owned();
        let project = ComposeProject {
            cli: agent.compose.clone(),
            project_directory: directory,
            files: spec.compose.files.iter().map(|file| file.below(root)).collect(),
            // It lives on the server, wherever the rest is staged.
            env_file,
            docker_config: docker_config(agent),
            profiles: spec.compose.profiles.clone(),
            project: name.clone().or_else(|| spec.compose.project.clone()),
            docker_socket: Some(agent.guards.socket(agent.config.allows_root(&spec.app)).to_owned()),
            supervisor: supervisor.cloned(),
        };
        let (app, state) = (spec.app.clone(), agent.state.clone());
        let logs = log_limits::Limit {
            limits: agent.guards.logs().clone(),
            wanted: log_limits::wanted(agent, spec),
        };
        Self { project, app, state, root: root.to_owned(), app_dir, name, logs }
    }

    /// The same for bringing back what ran before: what it may do was settled when it was started, perhaps not by Wharf.
    #[must_use]
    pub fn as_it_ran(mut self, agent: &Agent) -> Self {
        self.project.docker_socket = Some(agent.guards.socket(true).to_owned());
        self
    }

    pub fn project(&self) -> &ComposeProject {
        &self.project
    }

    pub fn log_limit(&self) -> &log_limits::Limit {
        &self.logs
    }

    /// The resolved model, with all paths where they will be, and the numbers of containers that were set.
    ///
    /// # Errors
    /// [`FailureKind::Config`] with what Compose says of the files.
    pub async fn model(&self) -> Result<Model, Failure> {
        let json = self.project.config().await.map_err(|e| {
            Failure::from_error(FailureKind::Config, &e)
                .hint("correct the Compose file or the env file; `docker compose config` shows the same on the laptop")
        })?;
        let (root, app_dir) = (self.root.to_string_lossy(), self.app_dir.to_string_lossy());
        let model =
            Model::parse(&json, &root, &app_dir).map_err(|e| Failure::from_error(FailureKind::Config, &e))?;
        Ok(model.scaled(&self.scales().await?))
    }

    /// What was set for services beside the Compose files.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn scales(&self) -> Result<Vec<ServiceScale>, Failure> {
        self.state.scales(&self.app).await.map_err(|e| failures::of_state(&e))
    }

    /// Compose's own hash of each service's definition, as it labels containers with.
    ///
    /// # Errors
    /// As [`Stack::model`].
    pub async fn config_hashes(&self) -> Result<BTreeMap<String, String>, Failure> {
        self.project.config_hashes().await.map_err(|e| Failure::from_error(FailureKind::Start, &e))
    }

    /// The containers of the project's services, running or not.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn containers(&self, engine: &Engine) -> Result<Vec<ContainerFacts>, Failure> {
        let name = self.name.as_deref().unwrap_or_default();
        let containers = engine.project_containers(name).await.map_err(|e| failures::of_engine(&e))?;
        Ok(containers.into_iter().filter(|c| !c.one_off).collect())
    }
}

/// The name that Compose gives a project whose files do not name it: its folder's, in lower case, without what it does not
/// allow.
/// Source: `NormalizeProjectName` of compose-go.
pub fn default_name(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let allowed: String = name
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
        .collect();
    allowed.trim_start_matches(['-', '_']).to_owned()
}

/// The variables of the env file, as Compose reads them: its own parser is asked, by a model that is nothing but the file.
///
/// # Errors
/// A file that is missing, or that Compose cannot read.
pub async fn env_values(
    agent: &Agent,
    spec: &AppSpec,
    beside: &Beside,
    seat: &Seat,
) -> Result<BTreeMap<String, String>, Failure> {
    let Some(path) = env_file_of(spec, beside) else { return Ok(BTreeMap::new()) };
    if !path.is_file() {
        return Err(Failure::new(
            FailureKind::Refused,
            format!("the env file {} is not on the server", path.display()),
        )
        .cause("it holds the app's secrets, so it is never shipped")
        .hint("make it from an env file of yours, readable by its owner only: wharf secrets import FILE")
        .hint("or remove env_file under [compose] in wharf.toml"));
    }
    read_env(agent, spec, &path, beside.own(), Some(&seat.supervisor)).await
}

/// The variables of any env file, as Compose reads them. The model that asks is written to `folder`.
///
/// # Errors
/// As [`env_values`].
pub async fn read_env(
    agent: &Agent,
    spec: &AppSpec,
    path: &Path,
    folder: &Path,
    supervisor: Option<&Arc<Supervisor>>,
) -> Result<BTreeMap<String, String>, Failure> {
    let only_env = folder.join("env.yml");
    let model =
        serde_json::json!({ "name": "env", "services": { "env": { "image": "env", "env_file": [path] } } });
    std::fs::write(&only_env, model.to_string()).map_err(|e| {
        Failure::from_error(FailureKind::Environment, &e).hint("look at the free space on the server")
    })?;
    let mut stack = Stack::new(agent, spec, folder, None, Some("env".into()), supervisor);
    stack.project.project_directory = folder.to_owned();
    stack.project.files = vec![only_env];
    stack.project.profiles = Vec::new();
    let model = stack.model().await?;
    let Some(service) = model.service("env") else { return Ok(BTreeMap::new()) };
    let value = |name: &str| Some((name.to_owned(), service.variable(name)?.to_owned()));
    Ok(service.variable_names().filter_map(value).collect())
}
