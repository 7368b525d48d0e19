//! Running a hook from the agent's side.

use super::{Sandbox, SandboxError};
use crate::compose::{ComposeError, Run};
use crate::supervise::{SuperviseSpec, Supervisor};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How a hook ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookEnd {
    /// By itself.
    Code(i32),
    /// It was ended, since its time was over.
    TooLong,
}

/// Runs the program of `spec` in the sandbox to its end, through `executable`, and hands out every line that it writes.
///
/// # Errors
/// It could not be started, or its output could not be read.
pub async fn run_hook(
    sandbox: &Sandbox,
    executable: &Path,
    supervisor: &Arc<Supervisor>,
    spec: SuperviseSpec,
    limit: Duration,
    mut on_line: impl FnMut(&str) + Send,
) -> Result<HookEnd, SandboxError> {
    let spec = sandbox.around(executable, spec)?;
    let run = Run { spec, supervisor: Some(Arc::clone(supervisor)), subcommand: "hook", limit };
    match run.streaming(|_, line| on_line(line)).await {
        Ok(ended) => Ok(HookEnd::Code(ended.code)),
        Err(ComposeError::Timeout { .. }) => Ok(HookEnd::TooLong),
        Err(error) => Err(SandboxError::Run(Box::new(error))),
    }
}
