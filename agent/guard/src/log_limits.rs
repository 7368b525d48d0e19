//! Limits for the logs of containers whose makers say nothing of them: Docker's own logs grow without end.
//!
//! They are written into the request here, and not into the Compose files or beside them: the hash by which Compose knows a
//! container's definition stays that of the files alone, so that their owner's own `docker compose up` recreates nothing.
//!
//! **Invariant**: what a request says of logs itself stays as it is, and so does every container of a project that no limit
//! was set for.

use crate::json::{Json, Object};
use crate::request::Forward;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// By it a container is known whose log the guard gave a limit.
pub const LOG_LABEL: &str = "dev.wharf.log-limit";
const PROJECT_LABEL: &str = "com.docker.compose.project";
/// More projects than a server has.
const PROJECTS_MAX: usize = 1024;

/// What one container's log may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLimit {
    /// As Docker's `json-file` reads it: `20m`.
    pub max_size: String,
    pub max_files: u32,
}

/// The limits of Compose projects, by their names. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct LogLimits(Arc<Mutex<BTreeMap<String, LogLimit>>>);

impl LogLimits {
    /// Sets the limit for the containers that a project is given from now on; `None`: what the engine does by itself.
    pub fn set(&self, project: &str, limit: Option<LogLimit>) {
        let mut limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match limit {
            Some(limit) if limits.len() < PROJECTS_MAX || limits.contains_key(project) => {
                limits.insert(project.to_owned(), limit);
            }
            Some(_) => tracing::warn!(project, "too many projects: this one's logs get no limit"),
            None => {
                limits.remove(project);
            }
        }
    }

    fn of(&self, project: &str) -> Option<LogLimit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(project).cloned()
    }

    /// Writes the project's limit into a request that makes a container and says nothing of logs.
    pub(crate) fn write_into(&self, forward: &mut Forward) {
        let path = forward.target.split('?').next().unwrap_or_default();
        if forward.method != "POST" || !path.ends_with("/containers/create") {
            return;
        }
        let limited = forward.body.as_deref().and_then(|body| self.limited(body));
        if limited.is_some() {
            forward.body = limited;
        }
    }

    /// The same container, with a limit; `None` where it gets none.
    fn limited(&self, body: &[u8]) -> Option<Vec<u8>> {
        let Ok(Json::Object(mut body)) = Json::parse(body) else { return None };
        let Some(Json::Object(labels)) = body.get_mut("Labels") else { return None };
        let Some(Json::String(project)) = labels.get(PROJECT_LABEL) else { return None };
        let limit = self.of(project)?;
        labels.set(LOG_LABEL, Json::String("1".to_owned()));
        let mut host = match body.get("HostConfig") {
            None | Some(Json::Null) => Object::default(),
            Some(Json::Object(host)) => host.clone(),
            Some(_) => return None,
        };
        if host.get("LogConfig").is_some_and(says_something) {
            return None;
        }
        host.set("LogConfig", limit.to_json());
        body.set("HostConfig", Json::Object(host));
        Some(Json::Object(body).to_bytes())
    }
}

impl LogLimit {
    fn to_json(&self) -> Json {
        let mut options = Object::default();
        options.set("max-size", Json::String(self.max_size.clone()));
        options.set("max-file", Json::String(self.max_files.to_string()));
        let mut config = Object::default();
        config.set("Type", Json::String("json-file".to_owned()));
        config.set("Config", Json::Object(options));
        Json::Object(config)
    }
}

/// Compose sends a driver without a name and options without any where the files have no `logging:`.
fn says_something(config: &Json) -> bool {
    match config {
        Json::Object(config) => config.iter().any(|(_, value)| !value.is_empty()),
        other => !other.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Afterwards;

    fn forward(target: &str, body: &str) -> Forward {
        Forward {
            method: "POST".to_owned(),
            target: target.to_owned(),
            upgrade: None,
            body: Some(body.as_bytes().to_vec()),
            afterwards: Afterwards::Nothing,
        }
    }

    fn written(target: &str, body: &str) -> String {
        let limits = LogLimits::default();
        limits.set("shop", Some(LogLimit { max_size: "20m".to_owned(), max_files: 5 }));
        limits.set("gone", Some(LogLimit { max_size: "20m".to_owned(), max_files: 5 }));
        limits.set("gone", None);
        let mut forward = forward(target, body);
        limits.write_into(&mut forward);
        String::from_utf8(forward.body.unwrap()).unwrap()
    }

    #[test]
    fn a_container_of_the_project_that_says_nothing_of_logs_gets_the_limit() {
        let limit = r#""LogConfig":{"Type":"json-file","Config":{"max-size":"20m","max-file":"5"}}"#;
        for host in ["", r#","HostConfig":null"#, r#","HostConfig":{"LogConfig":{"Type":"","Config":null}}"#]
        {
            let body = format!(r#"{{"Image":"x","Labels":{{"com.docker.compose.project":"shop"}}{host}}}"#);
            let text = written("/v1.51/containers/create?name=a", &body);
            assert!(text.contains(limit) && text.contains(r#""dev.wharf.log-limit":"1""#), "{text}");
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        let shop = r#""Labels":{"com.docker.compose.project":"shop"}"#;
        let create = "/v1.51/containers/create?name=a";
        for (target, body) in [
            (create, format!(r#"{{{shop},"HostConfig":{{"LogConfig":{{"Type":"local"}}}}}}"#)),
            (create, format!(r#"{{{shop},"HostConfig":{{"LogConfig":{{"Config":{{"max-file":"3"}}}}}}}}"#)),
            (create, r#"{"Labels":{"com.docker.compose.project":"gone"}}"#.to_owned()),
            (create, r#"{"Labels":{"com.docker.compose.project":"other"}}"#.to_owned()),
            (create, r#"{"Image":"x"}"#.to_owned()),
            (create, "not json".to_owned()),
            ("/v1.51/networks/create", format!("{{{shop}}}")),
        ] {
            assert_eq!(written(target, &body), body);
        }
    }
}
