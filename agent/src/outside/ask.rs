//! Who wants to ask a database outside the stack, and the toolbox that is opened for that.

use super::{check, find, probe};
use crate::agent::Agent;
use crate::failures;
use crate::jobs::compose::JOB_LABEL;
use crate::jobs::run::Job;
use crate::secrets;
use std::sync::Arc;
use std::time::Duration;
use wharf_engine::exec::ExecSpec;
use wharf_engine::{EngineError, Supervisor, Toolbox};
use wharf_plan::InputKey;
use wharf_plan::database_url::DatabaseUrl;
use wharf_plan::facts::{ContainerFacts, ContainerState};
use wharf_proto::spec::OutsideSpec;
use wharf_proto::{AppSpec, Failure, FailureKind};

/// For `pg_dump` and `pg_restore` of a database with very many objects.
const MEMORY_BYTES: u64 = 1024 * 1024 * 1024;
/// The label that says which database a toolbox connects to.
const HOME_LABEL: &str = "dev.wharf.home";
/// The label that says what a toolbox was made of: a digest that this agent alone can make, since there is a password in it.
const MADE_OF_LABEL: &str = "dev.wharf.made-of";
const DOCKER_HOST: &str = "host.docker.internal";

/// Who asks, and so how long a toolbox stays.
pub struct Asker<'a> {
    pub(super) agent: &'a Agent,
    pub(super) spec: &'a AppSpec,
    supervisor: Option<&'a Arc<Supervisor>>,
    name: String,
    label: (String, String),
    lenient: bool,
}

/// A toolbox that reaches its server.
#[derive(Debug, Clone)]
pub struct Opened {
    pub container: ContainerFacts,
    /// The database that it connects to where nobody names another.
    pub home: String,
}

impl<'a> Asker<'a> {
    /// A job, whose toolboxes go when it is over.
    pub fn of_job(job: &'a Job) -> Self {
        Self {
            agent: &job.agent,
            spec: &job.spec,
            supervisor: Some(&job.seat.supervisor),
            name: format!("wharf-{}-{}-job{}", job.app(), tag(&job.agent), job.id),
            label: (JOB_LABEL.to_owned(), job.label()),
            lenient: false,
        }
    }

    pub(super) fn of_question(agent: &'a Agent, spec: &'a AppSpec, label: (String, String)) -> Self {
        let name = format!("wharf-{}-ask{:016x}", spec.app, rand::random::<u64>());
        Self { agent, spec, supervisor: None, name, label, lenient: false }
    }

    /// One who can do without the database that the URL names, since it is going to make it.
    #[must_use]
    pub fn lenient(self) -> Self {
        Self { lenient: true, ..self }
    }

    /// How the names of its toolboxes begin.
    pub(super) fn prefix(&self) -> String {
        format!("{}-at-", self.name)
    }

    /// Opens the server that is called so; one that this asker has opened before is the same.
    ///
    /// # Errors
    /// The key, its URL, the image or the server is not as it must be.
    pub async fn open(&self, server: &str) -> Result<Opened, Failure> {
        let outside = find(self.spec, server).ok_or_else(|| {
            Failure::new(FailureKind::Config, format!("{server} is no database outside the stack"))
                .hint("name it in wharf.toml: [[postgres]] with url_env and image, and deploy")
        })?;
        // One that connects to another database than its URL's is nobody else's: that one would be dumped.
        let name = format!("{}{server}{}", self.prefix(), if self.lenient { "-any" } else { "" });
        let url = self.url(outside).await?;
        let image = self.agent.engine.image(&outside.image).await.map_err(|e| failures::of_engine(&e))?;
        let toolbox = self.toolbox(outside, &url, image.ok_or_else(|| no_image(outside))?.id, name);
        let made_of = self.made_of(&toolbox, &url);
        match self.again(&toolbox.name, &made_of, url.password.is_some()).await? {
            Some(opened) => Ok(opened),
            None => self.start(outside, &url, toolbox, &made_of).await,
        }
    }

    /// The toolbox of that name, where this agent made it of the very same and it runs. One of this asker's that is not as it
    /// would be made now is removed.
    async fn again(&self, name: &str, made_of: &str, has_password: bool) -> Result<Option<Opened>, Failure> {
        let engine = &self.agent.engine;
        let found = engine.container(name).await.map_err(|e| failures::of_engine(&e))?;
        let Some(container) = found else { return Ok(None) };
        let labels = engine.labels(&container.id).await.map_err(|e| failures::of_engine(&e))?;
        let says = |label: &str| labels.get(label).map(String::as_str);
        if says(&self.label.0) != Some(&self.label.1) {
            return Err(not_ours(name));
        }
        // What one that ended had in memory is gone.
        let runs = container.state == ContainerState::Running && says(MADE_OF_LABEL) == Some(made_of);
        if let Some(home) = says(HOME_LABEL).filter(|_| runs).map(str::to_owned)
            && (!has_password || self.knows_password(&container.id).await)
        {
            return Ok(Some(Opened { container, home }));
        }
        engine.remove_container(&container.id).await.map_err(|e| failures::of_engine(&e))?;
        Ok(None)
    }

    /// Whoever died after the start has not given it the password.
    async fn knows_password(&self, container: &str) -> bool {
        let look = ExecSpec::new(["test", "-s", &password_path()]);
        let looked = self.agent.engine.exec_to_end(container, &look, &[], LOOK_LIMIT, ANSWER_BYTES).await;
        looked.is_ok_and(|looked| looked.code == Some(0))
    }

    fn made_of(&self, toolbox: &Toolbox, url: &DatabaseUrl) -> String {
        let Toolbox { image, env, network, hosts, .. } = toolbox;
        let all = format!("{:?}", (image, env, network, hosts, &url.password, &url.database));
        InputKey::new(self.agent.state.secret_key()).digest(all.as_bytes()).to_hex()
    }

    /// The URL, which must lead somewhere outside the stack.
    async fn url(&self, outside: &OutsideSpec) -> Result<DatabaseUrl, Failure> {
        let values = secrets::values(self.agent, self.spec, self.supervisor).await?;
        let known = self.agent.state.app(&self.spec.app).await.map_err(|e| failures::of_state(&e))?;
        let containers = match &known {
            Some(known) => self.agent.engine.project_containers(&known.project).await,
            None => Ok(Vec::new()),
        };
        let containers = containers.map_err(|e| failures::of_engine(&e))?;
        let services: Vec<&str> =
            containers.iter().flat_map(|one| [one.service.as_str(), one.name.as_str()]).collect();
        check::url_of(outside, &values, &services)
    }

    async fn start(
        &self,
        outside: &OutsideSpec,
        url: &DatabaseUrl,
        toolbox: Toolbox,
        made_of: &str,
    ) -> Result<Opened, Failure> {
        let engine = &self.agent.engine;
        let homes = self.homes(outside, url)?;
        let mut answer = Err(probe::never_asked(outside));
        for (number, home) in homes.iter().enumerate() {
            let mut spec = toolbox.clone();
            // As the official image's containers say of themselves, so that nobody has to ask in another way.
            spec.env.push(format!("POSTGRES_DB={home}"));
            spec.labels.push((HOME_LABEL.to_owned(), home.to_owned()));
            spec.labels.push((MADE_OF_LABEL.to_owned(), made_of.to_owned()));
            let container =
                engine.start_toolbox(&spec).await.map_err(|error| not_started(outside, &error))?;
            answer = self.fill(outside, url, &container, home).await;
            match &answer {
                Ok(_) => break,
                Err(problem) => {
                    engine.remove_container(&container).await.map_err(|e| failures::of_engine(&e))?;
                    if !problem.no_database || number + 1 == homes.len() {
                        break;
                    }
                }
            }
        }
        answer.map_err(|problem| problem.failure)
    }

    /// The databases to connect to, the best one first.
    fn homes(&self, outside: &OutsideSpec, url: &DatabaseUrl) -> Result<Vec<String>, Failure> {
        let named = self.spec.postgres.iter().filter(|one| one.server() == outside.url_env);
        let mut homes: Vec<String> =
            url.database.iter().cloned().chain(named.filter_map(|one| one.database.clone())).collect();
        homes.truncate(1);
        if homes.is_empty() {
            return Err(check::no_database(outside));
        }
        if self.lenient {
            homes.extend(["postgres", "template1"].map(str::to_owned));
        }
        Ok(homes)
    }

    /// What is made, without the database to connect to.
    fn toolbox(&self, outside: &OutsideSpec, url: &DatabaseUrl, image: String, name: String) -> Toolbox {
        let mut env = vec![
            format!("PGHOST={}", url.host),
            format!("PGPORT={}", url.port),
            "PGCONNECT_TIMEOUT=15".to_owned(),
            "PSQL_HISTORY=/dev/null".to_owned(),
            "HOME=/tmp".to_owned(),
            format!("POSTGRES_USER={}", url.user),
        ];
        if url.password.is_some() {
            env.push(format!("POSTGRES_PASSWORD_FILE={}", password_path()));
        }
        env.extend(url.parameters.ssl_mode.map(|mode| format!("PGSSLMODE={mode}")));
        env.extend(url.parameters.environment.iter().map(|(key, value)| format!("{key}={value}")));
        // The name that Docker gives the machine itself; elsewhere only those have it whose Compose file says so.
        let hosts =
            if url.host == DOCKER_HOST { vec![format!("{DOCKER_HOST}:host-gateway")] } else { vec![] };
        Toolbox {
            image,
            name,
            env,
            labels: vec![self.label.clone()],
            network: outside.network.clone(),
            hosts,
            memory_bytes: MEMORY_BYTES,
        }
    }

    /// Gives the toolbox the password, and has it ask the server once.
    async fn fill(
        &self,
        outside: &OutsideSpec,
        url: &DatabaseUrl,
        container: &str,
        home: &str,
    ) -> Result<Opened, probe::Problem> {
        let engine = &self.agent.engine;
        if let Some(password) = &url.password {
            let put = engine.put_in_memory(container, PASSWORD_FILE, password.as_bytes()).await;
            put.map_err(|error| probe::Problem::of(failures::of_engine(&error)))?;
        }
        probe::ask(engine, container, outside, url, home).await?;
        let found = engine.container(container).await;
        match found.map_err(|error| probe::Problem::of(failures::of_engine(&error)))? {
            Some(container) => Ok(Opened { container, home: home.to_owned() }),
            None => Err(probe::never_asked(outside)),
        }
    }
}

const PASSWORD_FILE: &str = "password";
const LOOK_LIMIT: Duration = Duration::from_secs(30);
const ANSWER_BYTES: usize = 4096;

fn password_path() -> String {
    format!("{}/{PASSWORD_FILE}", wharf_engine::TOOLBOX_FOLDER)
}

/// What tells agents on one engine apart that have an app of the same name and count their jobs from 1.
fn tag(agent: &Agent) -> String {
    let tag = InputKey::new(agent.state.secret_key()).digest(b"the agent's toolboxes").to_hex();
    format!("{tag:.8}")
}

fn not_ours(name: &str) -> Failure {
    Failure::new(FailureKind::Environment, format!("there is a container {name}, and Wharf has not made it"))
        .cause("a toolbox of that name is needed to reach a database outside the stack")
        .hint(format!("look at it, then remove it: docker rm -f {name}"))
}

fn no_image(outside: &OutsideSpec) -> Failure {
    let text = format!("the image {} is not on the server", outside.image);
    Failure::new(FailureKind::Config, text)
        .cause(format!("its programs dump and restore the database of {}", outside.url_env))
        .hint(format!("bring it there: docker pull {}", outside.image))
}

fn not_started(outside: &OutsideSpec, error: &EngineError) -> Failure {
    let failure = failures::of_engine(error);
    match &outside.network {
        Some(network) if failure.to_string().contains("network") => failure.hint(format!(
            "is there a network {network}? docker network ls; else change `network` under [[postgres]]"
        )),
        _ => failure.hint(format!("{} must be an image with `sleep` and `sh` in it", outside.image)),
    }
}
