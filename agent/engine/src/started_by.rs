//! How a container is started, for another that is to be like it.

use crate::{Engine, EngineError};
use bollard::query_parameters::InspectContainerOptions;

/// What starts a container's program, and what it is given. Not printed: its values may be secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StartedBy {
    /// `None`: the image's own.
    pub entrypoint: Option<Vec<String>>,
    pub command: Vec<String>,
    /// `KEY=VALUE`; may be secret.
    pub env: Vec<String>,
    /// `None`: the image's own.
    pub user: Option<String>,
    /// The command of its health check, where it has one.
    pub health: Option<Vec<String>>,
}

impl Engine {
    /// How a container is started; `None` when there is none.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn started_by(&self, container: &str) -> Result<Option<StartedBy>, EngineError> {
        let action = format!("look at container {container}");
        let inspecting = self.docker.inspect_container(container, None::<InspectContainerOptions>);
        let found = match self.call(&action, inspecting).await {
            Ok(found) => found.config.unwrap_or_default(),
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(StartedBy {
            entrypoint: found.entrypoint.filter(|words| !words.is_empty()),
            command: found.cmd.unwrap_or_default(),
            env: found.env.unwrap_or_default(),
            user: found.user.filter(|user| !user.is_empty()),
            health: found.healthcheck.and_then(|check| check.test).and_then(|test| health(&test)),
        }))
    }
}

/// The words of a health check, as Docker runs them.
fn health(test: &[String]) -> Option<Vec<String>> {
    let (how, words) = test.split_first()?;
    match how.as_str() {
        "CMD" => (!words.is_empty()).then(|| words.to_vec()),
        "CMD-SHELL" => Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), words.first()?.clone()]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_health_check_is_run_as_docker_runs_it() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        for (test, expected) in [
            (words(&["CMD", "pg_isready", "-q"]), Some(words(&["pg_isready", "-q"]))),
            (words(&["CMD-SHELL", "ping | grep 1"]), Some(words(&["/bin/sh", "-c", "ping | grep 1"]))),
            (words(&["NONE"]), None),
            (words(&["CMD"]), None),
            (words(&[]), None),
        ] {
            assert_eq!(health(&test), expected, "{test:?}");
        }
    }
}
