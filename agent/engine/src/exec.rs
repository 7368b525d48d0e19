//! Commands inside running containers.
//!
//! An exit code that is not `Some(0)` is a failure to whoever runs the command: with 126 the error text is on stdout, in
//! the middle of what looks like a dump.

use crate::{Engine, EngineError};
use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Read at once; measured to be a quarter faster on dumps than the default of 8 KiB.
const OUTPUT_CAPACITY_BYTES: usize = 1024 * 1024;
/// How long the exit code may come after the end of the output.
const EXIT_LIMIT: Duration = Duration::from_secs(30);
/// Between asking for it: the engine knows it a few milliseconds after the output ended.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// The longest of these pauses, of which each is twice the one before.
const LAST_PAUSE: Duration = Duration::from_millis(50);

/// A command to run in a container.
#[derive(Clone, Default)]
pub struct ExecSpec {
    pub cmd: Vec<String>,
    /// `KEY=VALUE`; may be secret.
    pub env: Vec<String>,
    pub user: Option<String>,
    /// Whether the command reads from [`Exec::take_stdin`].
    pub stdin: bool,
}

/// A command that runs.
pub struct Exec {
    engine: Engine,
    id: String,
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>,
    stdin: Option<Pin<Box<dyn AsyncWrite + Send>>>,
}

/// A piece of what a command wrote. Bytes, not lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecOutput {
    Stdout(Bytes),
    Stderr(Bytes),
}

/// A command that ended, with all it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecResult {
    /// `None` where the engine did not learn it, which is no success either.
    pub code: Option<i64>,
    pub stdout: Vec<u8>,
    /// The end of it, where it was longer than the limit.
    pub stderr: Vec<u8>,
}

impl ExecSpec {
    pub fn new<T: Into<String>>(cmd: impl IntoIterator<Item = T>) -> Self {
        Self { cmd: cmd.into_iter().map(Into::into).collect(), ..Default::default() }
    }
}

impl Engine {
    /// Starts a command.
    ///
    /// # Errors
    /// The container is gone or does not run, or the engine does not answer.
    pub async fn exec(&self, container: &str, spec: &ExecSpec) -> Result<Exec, EngineError> {
        let program = spec.cmd.first().map_or("nothing", String::as_str);
        let action = format!("run {program} in container {container}");
        let config = ExecConfig {
            attach_stdin: Some(spec.stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(spec.cmd.clone()),
            env: Some(spec.env.clone()),
            user: spec.user.clone(),
            ..Default::default()
        };
        let id = self.call(&action, self.docker.create_exec(container, config)).await?.id;
        let options = StartExecOptions { output_capacity: Some(OUTPUT_CAPACITY_BYTES), ..Default::default() };
        match self.call(&action, self.docker.start_exec(&id, Some(options))).await? {
            StartExecResults::Attached { output, input } => {
                let stdin = spec.stdin.then_some(input);
                Ok(Exec { engine: self.clone(), id, output, stdin })
            }
            StartExecResults::Detached => Err(EngineError::malformed(&action, "the command was detached")),
        }
    }

    /// Runs a command to its end, gives it `stdin`, and keeps what it writes: at most `max_bytes` of each stream.
    ///
    /// # Errors
    /// As [`Engine::exec`]; it took longer than `limit`; it wrote more than `max_bytes` to stdout.
    pub async fn exec_to_end(
        &self,
        container: &str,
        spec: &ExecSpec,
        stdin: &[u8],
        limit: Duration,
        max_bytes: usize,
    ) -> Result<ExecResult, EngineError> {
        let program = spec.cmd.first().cloned().unwrap_or_default();
        let action = format!("run {program} in container {container}");
        let mut exec = self.exec(container, spec).await?;
        let id = exec.id().to_owned();
        let run = async {
            let input = exec.take_stdin();
            // Writing and reading go side by side: a command may answer before it has read everything, and may end
            // without reading anything, which is its right.
            let feed = async {
                if let Some(mut input) = input
                    && input.write_all(stdin).await.is_ok()
                {
                    let _ = input.shutdown().await;
                }
                std::future::pending::<std::convert::Infallible>().await
            };
            tokio::select! {
                never = feed => match never {},
                result = exec.collect(&action, max_bytes) => result,
            }
        };
        match tokio::time::timeout(limit, run).await {
            Ok(result) => result,
            Err(_) => {
                self.end_exec(&id).await?;
                Err(EngineError::Timeout { action, limit })
            }
        }
    }

    /// Ends a command that may still run, by its process. Dropping an [`Exec`] does not: the engine lets it run on.
    ///
    /// # Errors
    /// The engine does not answer, or the process may not be signalled (the agent does not run as root).
    pub async fn end_exec(&self, id: &str) -> Result<(), EngineError> {
        let action = format!("look at command {id}");
        let state = match self.call(&action, self.docker.inspect_exec(id)).await {
            Ok(state) => state,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
        };
        let pid = state.pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 1);
        let (Some(true), Some(pid)) = (state.running, pid) else { return Ok(()) };
        match nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
            Err(errno) => Err(EngineError::Refused {
                action: format!("end process {pid} of a command in a container"),
                source: std::io::Error::from(errno).into(),
            }),
        }
    }
}

impl Exec {
    /// The engine's name of it, by which [`Engine::end_exec`] ends it after a crash.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the command reads from; `shutdown()` ends it. Abort the writer when the output ends: a command that died
    /// leaves it hanging.
    pub fn take_stdin(&mut self) -> Option<Pin<Box<dyn AsyncWrite + Send>>> {
        self.stdin.take()
    }

    /// The next piece of output; `None` at its end.
    pub async fn next(&mut self) -> Option<Result<ExecOutput, EngineError>> {
        Some(match self.output.next().await? {
            Ok(LogOutput::StdErr { message }) => Ok(ExecOutput::Stderr(message)),
            Ok(
                LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message },
            ) => Ok(ExecOutput::Stdout(message)),
            Err(source) => Err(EngineError::of("read what a command in a container writes", source)),
        })
    }

    /// The exit code, once the output has ended. `None` where the engine did not learn it.
    ///
    /// # Errors
    /// The engine does not answer, or the command still runs (it closed its outputs) after 30 s.
    pub async fn exit_code(&mut self) -> Result<Option<i64>, EngineError> {
        let action = "tell how a command in a container ended";
        let deadline = tokio::time::Instant::now() + EXIT_LIMIT;
        let mut pause = FIRST_PAUSE;
        loop {
            let state = self.engine.call(action, self.engine.docker.inspect_exec(&self.id)).await?;
            if state.running != Some(true) {
                return Ok(state.exit_code);
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(EngineError::Timeout { action: action.to_owned(), limit: EXIT_LIMIT });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    async fn collect(&mut self, action: &str, max_bytes: usize) -> Result<ExecResult, EngineError> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(piece) = self.next().await {
            match piece? {
                ExecOutput::Stdout(bytes) if stdout.len() + bytes.len() > max_bytes => {
                    self.engine.end_exec(&self.id).await?;
                    return Err(EngineError::malformed(action, format!("more than {max_bytes} bytes came")));
                }
                ExecOutput::Stdout(bytes) => stdout.extend_from_slice(&bytes),
                ExecOutput::Stderr(bytes) => {
                    stderr.extend_from_slice(&bytes);
                    stderr.drain(..stderr.len().saturating_sub(max_bytes));
                }
            }
        }
        Ok(ExecResult { code: self.exit_code().await?, stdout, stderr })
    }
}
