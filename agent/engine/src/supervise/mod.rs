//! Child processes that do not outlive the agent.
//!
//! Every program that the agent starts runs under `wharfd internal run -- PROGRAM …`: a small process between the two,
//! that leads a session of its own, adopts whatever its descendants leave behind, and holds one end of a pipe whose other
//! end only the agent has. When that closes, by whatever death, it ends the whole tree.
//!
//! **Invariants**
//! - Standard input, output and error are the program's own. The pipe is descriptor 3; descriptor 4, where given, is a
//!   share of the app's lock, which the program and all its descendants inherit: the lock is free when the last is gone.
//! - When a [`Supervised`] ends, well, by a kill or by being dropped, none of its tree goes on.

mod child;
pub(crate) mod tree;

pub use child::{EXIT_CANNOT_START, child_main};

use crate::lock::{AppLock, LockError};
use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::io::PipeWriter;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// The descriptor of the control pipe in the supervising child.
pub(crate) const CONTROL_FD: i32 = 3;
/// The descriptor of the lock's share.
const LOCK_FD: i32 = 4;
/// What a tree is given between SIGTERM and SIGKILL.
pub const TERM_GRACE: Duration = Duration::from_secs(2);
/// What `wharfd` is called with to become the process between.
pub const SUBCOMMAND: [&str; 2] = ["internal", "run"];

/// How processes are started: through which executable, and whose lock they hold.
#[derive(Debug)]
pub struct Supervisor {
    executable: PathBuf,
    lock: Option<OwnedFd>,
}

/// A program to run.
#[derive(Debug, Clone)]
pub struct SuperviseSpec {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub cwd: Option<PathBuf>,
    /// The whole environment: nothing of the agent's own is passed on.
    pub env: Vec<(OsString, OsString)>,
    /// Whether to write to the program's input. It reads nothing otherwise.
    pub stdin: bool,
}

/// A program that runs. Dropping it ends the program and all that it started.
#[derive(Debug)]
pub struct Supervised {
    child: Child,
    group: Option<Pid>,
    control: Option<PipeWriter>,
}

/// Why a program could not be started or waited for.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    #[error("{} could not be started; is it there, and may the agent run it?", program.display())]
    Start {
        program: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("a child process could not be waited for")]
    Wait(#[source] std::io::Error),
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl Supervisor {
    /// Starts children through `executable`, which must answer to `internal run` with [`child_main`]. They hold `lock`.
    ///
    /// # Errors
    /// The process has no file descriptors left.
    pub fn new(executable: impl Into<PathBuf>, lock: Option<&AppLock>) -> Result<Self, SuperviseError> {
        let lock = lock.map(AppLock::share).transpose()?;
        Ok(Self { executable: executable.into(), lock })
    }

    /// Starts a program.
    ///
    /// # Errors
    /// The supervising executable could not be started. A program that cannot be started is seen by its exit code,
    /// [`EXIT_CANNOT_START`], and a line on its standard error.
    pub fn spawn(&self, spec: &SuperviseSpec) -> Result<Supervised, SuperviseError> {
        let failed = |source| SuperviseError::Start { program: self.executable.clone(), source };
        let (reader, writer) = std::io::pipe().map_err(failed)?;
        let mut mappings = vec![FdMapping { parent_fd: reader.into(), child_fd: CONTROL_FD }];
        if let Some(lock) = &self.lock {
            let share = lock.try_clone().map_err(failed)?;
            mappings.push(FdMapping { parent_fd: share, child_fd: LOCK_FD });
        }
        let mut command = Command::new(&self.executable);
        command.args(SUBCOMMAND).arg("--").arg(&spec.program);
        arrange(&mut command, spec);
        command.fd_mappings(mappings).map_err(|error| failed(std::io::Error::other(error)))?;
        let child = command.spawn().map_err(failed)?;
        // The child makes itself the leader of a session, and so of a group, by its own ID.
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Ok(Supervised { child, group, control: Some(writer) })
    }
}

/// Starts a program without supervision: it may outlive the agent. For tools and tests.
///
/// # Errors
/// The program cannot be started.
pub fn spawn_directly(spec: &SuperviseSpec) -> Result<Supervised, SuperviseError> {
    let mut command = Command::new(&spec.program);
    arrange(&mut command, spec);
    command.kill_on_drop(true);
    let child =
        command.spawn().map_err(|source| SuperviseError::Start { program: spec.program.clone(), source })?;
    Ok(Supervised { child, group: None, control: None })
}

fn arrange(command: &mut Command, spec: &SuperviseSpec) {
    command.args(&spec.args).env_clear().envs(spec.env.iter().map(|(key, value)| (key, value)));
    if let Some(cwd) = &spec.cwd {
        command.current_dir(cwd);
    }
    command.stdin(if spec.stdin { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
}

impl SuperviseSpec {
    /// A program with its arguments, in the agent's folder, with an environment of `PATH` and `HOME` alone.
    pub fn new<T: AsRef<OsStr>>(program: impl AsRef<Path>, args: impl IntoIterator<Item = T>) -> Self {
        let kept = ["PATH", "HOME"].into_iter();
        Self {
            program: program.as_ref().to_path_buf(),
            args: args.into_iter().map(|arg| arg.as_ref().to_owned()).collect(),
            cwd: None,
            env: kept.filter_map(|key| std::env::var_os(key).map(|value| (key.into(), value))).collect(),
            stdin: false,
        }
    }
}

impl Supervised {
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// The process ID of the supervising child (of the program itself, without supervision).
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for the end. The program's exit code; 128 and the signal's number where a signal ended it.
    ///
    /// # Errors
    /// The system cannot tell.
    pub async fn wait(&mut self) -> Result<i32, SuperviseError> {
        use std::os::unix::process::ExitStatusExt;
        let status = self.child.wait().await.map_err(SuperviseError::Wait)?;
        if let Some(signal) = status.signal() {
            // The process between was killed itself; its group is all that is known of what it left.
            self.kill_group();
            return Ok(128 + signal);
        }
        Ok(status.code().unwrap_or(-1))
    }

    /// Ends the program and all that it started: SIGTERM, and after [`TERM_GRACE`] SIGKILL. Returns when they are gone.
    ///
    /// # Errors
    /// The system cannot tell.
    pub async fn end(&mut self) -> Result<i32, SuperviseError> {
        match self.control.take() {
            Some(control) => drop(control),
            None => self.child.start_kill().map_err(SuperviseError::Wait)?,
        }
        self.wait().await
    }

    fn kill_group(&self) {
        if let Some(group) = self.group {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}
