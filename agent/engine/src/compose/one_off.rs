//! One-off containers: a command in a service's image, with what it depends on started.
//!
//! **Invariant**: they are removed by us and without their volumes. `run --rm` would delete the anonymous ones.

use super::{ComposeError, ComposeProject};
use crate::{Engine, StreamKind};
use std::ffi::OsString;
use std::time::Duration;

/// A command to run once, such as a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOff {
    pub service: String,
    /// Nothing secret: it is visible in the process list.
    pub command: Vec<String>,
    /// The name of its container, by which recovery finds it. Nothing else may have it.
    pub container_name: String,
    /// Labels for recovery to find it by, beside Compose's own.
    pub labels: Vec<(String, String)>,
    /// The most that it may take, the start of what it depends on included.
    pub limit: Duration,
}

impl ComposeProject {
    /// Runs a command in a new container of a service, its dependencies started, and removes the container afterwards,
    /// whatever happened. The command's exit code.
    ///
    /// # Errors
    /// It took too long (and was ended), or the container could not be removed. That the container could not be made
    /// also shows as an exit code, with Compose's reason among the lines.
    pub async fn run_one_off(
        &self,
        engine: &Engine,
        spec: &OneOff,
        on_line: impl FnMut(StreamKind, &str) + Send,
    ) -> Result<i32, ComposeError> {
        let mut args: Vec<OsString> = ["run", "-T", "--name"].map(OsString::from).into();
        args.push((&spec.container_name).into());
        for (key, value) in &spec.labels {
            args.extend(["--label".into(), format!("{key}={value}").into()]);
        }
        args.push((&spec.service).into());
        args.extend(spec.command.iter().map(OsString::from));
        let ended = self.command("run", args, spec.limit).streaming(on_line).await;
        let removed = engine.remove_container(&spec.container_name).await;
        let ended = ended?;
        removed?;
        Ok(ended.code)
    }
}
