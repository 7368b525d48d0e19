//! Programs that run as root and cannot reach what is not theirs: hooks.
//!
//! `wharfd internal hook SPEC -- PROGRAM …` makes namespaces of its own for mounts, processes and System V IPC, and starts
//! itself anew in them (`internal hook-inside`). That one arranges what the program is going to see, gives up what could
//! undo it, and becomes the program.
//!
//! **Invariants**
//! - Inside, the guard's socket stands where the engine's own does. The engine's data, its runtime's sockets, the agent's
//!   state, the devices and the sockets of the server's services are not there.
//! - The server is read-only, but for the folders that the [`Sandbox`] names. Other processes cannot be seen.
//! - If any of that cannot be arranged, the program is not started.
//!
//! **Where it ends**: the network is the server's. An engine or another service that listens on TCP can be reached.

mod inside;
mod mounts;
mod privilege;
mod run;

pub use inside::hook_inside_main;
pub use run::{HookEnd, run_hook};

use crate::supervise::SuperviseSpec;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Uid;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The exit code when the program was not started, because what it may not reach could not be taken away.
pub const EXIT_NO_SANDBOX: u8 = 125;
const HOOK: &str = "hook";
const INSIDE: &str = "hook-inside";

/// What a program gets to see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// The guarded socket.
    pub guard: PathBuf,
    /// Where engines listen on this server: the guard stands there instead.
    pub sockets: Vec<PathBuf>,
    /// Folders that are empty inside.
    pub hidden: Vec<PathBuf>,
    /// Folders that can be written, beside `/tmp` and `/var/tmp`.
    pub writable: Vec<PathBuf>,
    /// Folders that cannot be written though they lie in one that can.
    pub read_only: Vec<PathBuf>,
    pub cwd: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("only root can keep a hook from what is not its own; run wharfd as root")]
    NotRoot,
    #[error("the description of the sandbox cannot be read")]
    Spec(#[from] serde_json::Error),
    #[error("namespaces cannot be made here")]
    Namespaces(#[source] nix::Error),
    #[error("{} could not be {what}", path.display())]
    Mount { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("capabilities could not be given up")]
    Capabilities(#[from] caps::errors::CapsError),
    #[error("the privileges of other programs could not be given up")]
    NoNewPrivileges(#[source] nix::Error),
    #[error("the hook could not be run")]
    Run(#[source] Box<crate::ComposeError>),
    #[error("this program could not be started anew")]
    Again(#[source] std::io::Error),
}

impl Sandbox {
    /// The program of `spec` as it is to be started: by `executable`, in this sandbox.
    ///
    /// # Errors
    /// A path that is not Unicode.
    pub fn around(&self, executable: &Path, spec: SuperviseSpec) -> Result<SuperviseSpec, SandboxError> {
        let mut args: Vec<OsString> =
            vec!["internal".into(), HOOK.into(), serde_json::to_string(self)?.into()];
        args.extend(["--".into(), spec.program.into()]);
        args.extend(spec.args);
        Ok(SuperviseSpec { program: executable.to_owned(), args, ..spec })
    }
}

/// `internal hook`: makes the namespaces and waits for the program. The exit code is the program's.
pub fn hook_main(spec: &str, command: &[OsString]) -> ExitCode {
    match outside(spec, command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => refuse(&error),
    }
}

fn outside(spec: &str, command: &[OsString]) -> Result<u8, SandboxError> {
    if !Uid::effective().is_root() {
        return Err(SandboxError::NotRoot);
    }
    let executable = std::env::current_exe().map_err(SandboxError::Again)?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC)
        .map_err(SandboxError::Namespaces)?;
    let mut inside = Command::new(executable);
    inside.args(["internal", INSIDE, spec, "--"]).args(command);
    let status = inside.status().map_err(SandboxError::Again)?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

fn refuse(error: &SandboxError) -> ExitCode {
    eprintln!("the hook was not started: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        eprintln!("because: {cause}");
        source = cause.source();
    }
    ExitCode::from(EXIT_NO_SANDBOX)
}
