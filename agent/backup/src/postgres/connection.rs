//! Which database it is, and as whom.

use super::exec::{Program, said};
use crate::{BackupError, DumpRequest};
use bollard::Docker;
use bollard::query_parameters::InspectContainerOptions;
use std::collections::HashMap;
use std::path::Path;

/// For one answer of the engine, in seconds.
const ENGINE_SECONDS: u64 = 60;
/// The longest value read from a file in the container.
const VALUE_BYTES: usize = 4096;

/// A database in a container.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) label: String,
    pub(crate) container: String,
    pub(crate) user: String,
    pub(crate) database: String,
    /// The image that the container runs, by ID.
    pub(crate) image: String,
    password: Option<String>,
    /// What the server shows as our name; one for each repository and server, so that leftovers can be told.
    application: String,
}

/// The Docker engine.
pub(crate) async fn connect(socket: &Path) -> Result<Docker, BackupError> {
    let failed = |error: bollard::errors::Error| BackupError::Engine {
        action: "answer".to_owned(),
        cause: said(&error),
    };
    let path = socket
        .to_str()
        .ok_or_else(|| BackupError::Invalid { what: format!("{} is not UTF-8", socket.display()) })?;
    let docker =
        Docker::connect_with_unix(path, ENGINE_SECONDS, bollard::API_DEFAULT_VERSION).map_err(failed)?;
    docker.negotiate_version().await.map_err(failed)
}

impl Database {
    /// Finds out what the request leaves open, from the container's environment.
    pub(crate) async fn find(
        docker: &Docker,
        request: &DumpRequest,
        repo: &Path,
    ) -> Result<Self, BackupError> {
        let failed = |cause: String| BackupError::DumpFailed {
            label: request.label.clone(),
            command: format!("the container {}", request.container),
            exit: None,
            stderr: cause,
        };
        let found = docker
            .inspect_container(&request.container, None::<InspectContainerOptions>)
            .await
            .map_err(|error| failed(said(&error)))?;
        if found.state.as_ref().and_then(|state| state.running) != Some(true) {
            return Err(failed("it is not running".to_owned()));
        }
        let environment: HashMap<String, String> = found
            .config
            .and_then(|config| config.env)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|pair| pair.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())))
            .collect();
        let value = async |name: &str| value(docker, &request.container, &environment, name).await;
        let user = match &request.user {
            Some(user) => user.clone(),
            None => value("POSTGRES_USER").await.unwrap_or_else(|| "postgres".to_owned()),
        };
        let database = match &request.database {
            Some(database) => database.clone(),
            None => value("POSTGRES_DB").await.unwrap_or_else(|| user.clone()),
        };
        let server = crate::service_of(&request.label);
        let digest = wharf_proto::Digest::of(format!("{}\0{server}", repo.display()).as_bytes());
        Ok(Self {
            label: request.label.clone(),
            container: request.container.clone(),
            user,
            database,
            image: found.image.unwrap_or_default(),
            password: value("POSTGRES_PASSWORD").await,
            application: format!("wharf-backup-{:.16}", digest.to_hex()),
        })
    }

    /// libpq's settings. User and database go this way too: as arguments they could be taken for options.
    pub(crate) fn environment(&self) -> Vec<String> {
        let password = self.password.iter().map(|password| format!("PGPASSWORD={password}"));
        [
            format!("PGUSER={}", self.user),
            format!("PGDATABASE={}", self.database),
            format!("PGAPPNAME={}", self.application),
            "PGCONNECT_TIMEOUT=15".to_owned(),
        ]
        .into_iter()
        .chain(password)
        .collect()
    }

    /// The fault of one of the database's programs.
    pub(crate) fn failed(&self, command: &str, exit: Option<i64>, stderr: &str) -> BackupError {
        BackupError::DumpFailed {
            label: self.label.clone(),
            command: command.to_owned(),
            exit,
            stderr: self.redact(stderr),
        }
    }

    /// Strikes the password.
    pub(crate) fn redact(&self, text: &str) -> String {
        match &self.password {
            Some(password) if !password.is_empty() => text.replace(password.as_str(), "…"),
            _ => text.to_owned(),
        }
    }
}

/// A variable of the container, or, as the official image has it, what lies in the file that `<name>_FILE` names.
async fn value(
    docker: &Docker,
    container: &str,
    environment: &HashMap<String, String>,
    name: &str,
) -> Option<String> {
    if let Some(value) = environment.get(name).filter(|value| !value.is_empty()) {
        return Some(value.clone());
    }
    let file = environment.get(&format!("{name}_FILE"))?;
    let arguments = ["cat", "--", file.as_str()];
    let program = Program { container, arguments: &arguments, environment: Vec::new(), input: false };
    let ended = program.run(docker, VALUE_BYTES).await.ok()?;
    let text = String::from_utf8(ended.stdout).ok().filter(|_| ended.exit == Some(0))?;
    Some(text.trim_end_matches(['\r', '\n']).to_owned())
}
