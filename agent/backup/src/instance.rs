//! A database server in a container: where it runs, and what the container's own environment says of it.
//!
//! **Invariant**: a password travels in an exec's environment, never in its arguments, and is struck from every text that
//! comes back.

use crate::BackupError;
use crate::exec::{Program, said};
use bollard::Docker;
use bollard::query_parameters::InspectContainerOptions;
use std::collections::HashMap;
use std::path::Path;

/// For one answer of the engine, in seconds.
const ENGINE_SECONDS: u64 = 60;
/// The longest value read from a file in the container.
const VALUE_BYTES: usize = 4096;
/// A value that is shorter is no secret, and its letters stand in many a word.
const SECRET_BYTES: usize = 4;
/// What names of variables have in them whose values are secret, or may hold a password as URLs do.
const SECRET_WORDS: [&str; 10] =
    ["PASS", "PWD", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "AUTH", "URL", "URI", "DSN"];

/// A server, and the secret that it is asked with.
#[derive(Clone)]
pub(crate) struct Instance {
    pub(crate) label: String,
    pub(crate) container: String,
    /// The image that the container runs, by ID.
    pub(crate) image: String,
    pub(crate) password: Option<String>,
    /// Other secrets of the container's, which a command of the project's may print.
    pub(crate) secrets: Vec<String>,
}

/// What a container was made with.
pub(crate) struct Environment<'a> {
    docker: &'a Docker,
    container: &'a str,
    variables: HashMap<String, String>,
    /// The words that start its program.
    pub(crate) command: Vec<String>,
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

impl Instance {
    /// Looks at a container, which must run. The password is the caller's to find.
    pub(crate) async fn find<'a>(
        docker: &'a Docker,
        label: &str,
        container: &'a str,
    ) -> Result<(Self, Environment<'a>), BackupError> {
        let failed = |cause: String| BackupError::DumpFailed {
            label: label.to_owned(),
            command: format!("the container {container}"),
            exit: None,
            stderr: cause,
        };
        let found = docker
            .inspect_container(container, None::<InspectContainerOptions>)
            .await
            .map_err(|error| failed(said(&error)))?;
        if found.state.as_ref().and_then(|state| state.running) != Some(true) {
            return Err(failed("it is not running".to_owned()));
        }
        let config = found.config.unwrap_or_default();
        let words = config.entrypoint.unwrap_or_default().into_iter().chain(config.cmd.unwrap_or_default());
        let pairs = config.env.unwrap_or_default().into_iter();
        let environment = Environment {
            docker,
            container,
            variables: pairs
                .filter_map(|pair| pair.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())))
                .collect(),
            command: words.collect(),
        };
        let instance = Self {
            label: label.to_owned(),
            container: container.to_owned(),
            image: found.image.unwrap_or_default(),
            password: None,
            secrets: Vec::new(),
        };
        Ok((instance, environment))
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

    /// Strikes the secrets.
    pub(crate) fn redact(&self, text: &str) -> String {
        let secrets = self.password.iter().chain(&self.secrets).filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "…"))
    }
}

impl Environment<'_> {
    /// A variable of the container, or, as the official images have it, what lies in the file that `<name>_FILE` names.
    pub(crate) async fn value(&self, name: &str) -> Option<String> {
        if let Some(value) = self.variables.get(name).filter(|value| !value.is_empty()) {
            return Some(value.clone());
        }
        let file = self.variables.get(&format!("{name}_FILE"))?;
        let arguments = ["cat", "--", file.as_str()];
        let program = Program {
            container: self.container,
            arguments: &arguments,
            environment: Vec::new(),
            input: false,
        };
        let ended = program.run(self.docker, VALUE_BYTES).await.ok()?;
        let text = String::from_utf8(ended.stdout).ok().filter(|_| ended.exit == Some(0))?;
        Some(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// The values of all variables whose names say that they are secret, longest first.
    pub(crate) async fn secrets(&self) -> Vec<String> {
        let mut found = Vec::new();
        for name in self.variables.keys() {
            let name = name.strip_suffix("_FILE").unwrap_or(name);
            if is_secret(name) {
                found.extend(self.value(name).await.filter(|value| value.len() >= SECRET_BYTES));
            }
        }
        // One may be a part of another.
        found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        found.dedup();
        found
    }

    /// The first of several variables that has a value.
    pub(crate) async fn first(&self, names: &[&str]) -> Option<String> {
        for name in names {
            if let Some(value) = self.value(name).await {
                return Some(value);
            }
        }
        None
    }
}

/// Whether a variable of this name has a value that nobody is to read.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_by_their_names_and_struck() {
        for (name, expected) in [
            ("MONGO_INITDB_ROOT_PASSWORD", true),
            ("DOCKER_INFLUXDB_INIT_ADMIN_TOKEN", true),
            ("database_url", true),
            ("MONGO_INITDB_ROOT_USERNAME", false),
            ("PATH", false),
        ] {
            assert_eq!(is_secret(name), expected, "{name}");
        }
        let at = Instance {
            label: "docs".into(),
            container: "c".into(),
            image: String::new(),
            password: Some("one".into()),
            secrets: vec!["two two".into(), "two".into()],
        };
        assert_eq!(at.redact("one, two two, two, three"), "…, …, …, three");
    }
}
