//! Programs in containers whose input and output are somebody's, with or without a terminal.
//!
//! The engine's stream is read by our own code: a terminal's bytes are anything, and must not be taken for the headers that
//! tell standard output from standard error where there is no terminal.

mod one_off;
mod stream;

pub use one_off::Template;
pub use stream::{Input, Output};

use crate::exec::ExecSpec;
use crate::supervise::tree;
use crate::{Engine, EngineError};
use bollard::models::ExecConfig;
use bollard::query_parameters::{ResizeContainerTTYOptions, ResizeExecOptions};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Duration;
use tokio::time::Instant;

/// How long a program may take to end after it was hung up on.
const HANG_UP_GRACE: Duration = Duration::from_secs(2);
/// How long the exit code may come after the end of the output.
const EXIT_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// What runs, as the engine names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// In a container that runs something else.
    Exec { id: String },
    /// A container of its own.
    Container { id: String },
}

/// A terminal's size, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub columns: u16,
    pub rows: u16,
}

impl Engine {
    /// Prepares a command in a running container; nothing runs yet.
    ///
    /// # Errors
    /// The container is gone or does not run, or the engine does not answer.
    pub async fn prepare_exec(
        &self,
        container: &str,
        spec: &ExecSpec,
        terminal: Option<Size>,
    ) -> Result<Program, EngineError> {
        let config = ExecConfig {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(terminal.is_some()),
            console_size: terminal.map(|size| vec![size.rows.into(), size.columns.into()]),
            cmd: Some(spec.cmd.clone()),
            env: Some(spec.env.clone()),
            user: spec.user.clone(),
            ..Default::default()
        };
        let action = format!("prepare a command in container {container}");
        let id = self.call(&action, self.docker.create_exec(container, config)).await?.id;
        Ok(Program::Exec { id })
    }

    /// Starts what was prepared, and joins its input and output.
    ///
    /// # Errors
    /// The engine does not answer, or could not start it.
    pub async fn start_program(
        &self,
        program: &Program,
        terminal: Option<Size>,
    ) -> Result<(Output, Input), EngineError> {
        match program {
            Program::Exec { id } => {
                let mut body = serde_json::json!({ "Detach": false, "Tty": terminal.is_some() });
                if let (Some(size), Some(fields)) = (terminal, body.as_object_mut()) {
                    fields.insert("ConsoleSize".to_owned(), serde_json::json!([size.rows, size.columns]));
                }
                stream::open(&self.socket, &format!("/exec/{id}/start"), &body, terminal.is_some()).await
            }
            Program::Container { id } => {
                // Joined before the start, so that nothing of what it writes is missed.
                let path = format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1");
                let streams =
                    stream::open(&self.socket, &path, &serde_json::json!({}), terminal.is_some()).await?;
                self.start(id).await?;
                if let Some(size) = terminal {
                    self.resize(program, size).await?;
                }
                Ok(streams)
            }
        }
    }

    /// Tells a program how large its terminal is now. One that has ended is fine.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn resize(&self, program: &Program, size: Size) -> Result<(), EngineError> {
        let action = "resize a terminal";
        let resized = match program {
            Program::Exec { id } => {
                let options = ResizeExecOptions { h: size.rows.into(), w: size.columns.into() };
                self.call(action, self.docker.resize_exec(id, options)).await
            }
            Program::Container { id } => {
                let options = ResizeContainerTTYOptions { h: size.rows.into(), w: size.columns.into() };
                self.call(action, self.docker.resize_container_tty(id, options)).await
            }
        };
        match resized {
            // It has just ended, or has not begun.
            Err(EngineError::Refused { .. } | EngineError::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    /// How a program ended, once its output has.
    ///
    /// # Errors
    /// The engine does not answer, or the program still runs (it closed its outputs) after 30 s.
    pub async fn exit_of(&self, program: &Program) -> Result<i64, EngineError> {
        let action = "tell how a program ended";
        let deadline = Instant::now() + EXIT_LIMIT;
        loop {
            let code = match program {
                Program::Exec { id } => {
                    let state = self.call(action, self.docker.inspect_exec(id)).await?;
                    if state.running == Some(true) { None } else { state.exit_code }
                }
                Program::Container { id } => {
                    let state = self.container(id).await?;
                    let ended = state
                        .filter(|container| container.state != wharf_plan::facts::ContainerState::Running);
                    ended.and_then(|container| container.exit_code)
                }
            };
            if let Some(code) = code {
                return Ok(code);
            }
            if Instant::now() >= deadline {
                return Err(EngineError::Timeout { action: action.to_owned(), limit: EXIT_LIMIT });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends a program that nobody looks at any more, with all that it started: SIGHUP first, as when a terminal is closed,
    /// then SIGKILL. One that has ended is fine. A container of its own is removed, its volumes stay.
    ///
    /// # Errors
    /// The engine does not answer, or the processes may not be signalled (the agent does not run as root).
    pub async fn hang_up(&self, program: &Program) -> Result<(), EngineError> {
        let id = match program {
            Program::Container { id } => return self.remove_container(id).await,
            Program::Exec { id } => id,
        };
        let state = match self.call("look at a command", self.docker.inspect_exec(id)).await {
            Ok(state) => state,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
        };
        let pid = state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 1);
        let (Some(true), Some(pid)) = (state.running, pid) else { return Ok(()) };
        // Looked up before the first signal: what loses its parent cannot be found below it any more.
        let mut all = tree::descendants(pid);
        all.extend(i32::try_from(pid).ok().map(Pid::from_raw));
        signal(&all, Signal::SIGHUP)?;
        let deadline = Instant::now() + HANG_UP_GRACE;
        while all.iter().any(|pid| tree::runs(*pid)) && Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
        }
        all.retain(|pid| tree::runs(*pid));
        signal(&all, Signal::SIGKILL)
    }
}

fn signal(processes: &[Pid], signal: Signal) -> Result<(), EngineError> {
    for pid in processes {
        match kill(*pid, signal) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
            Err(errno) => {
                return Err(EngineError::Refused {
                    action: format!("end process {pid} of a command in a container"),
                    source: std::io::Error::from(errno).into(),
                });
            }
        }
    }
    Ok(())
}
