//! The first process of the new namespaces, which becomes the program.

use super::{Sandbox, SandboxError, mounts, privilege, refuse};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// `internal hook-inside`: arranges what is seen, gives up privileges, and becomes the program.
pub fn hook_inside_main(spec: &str, command: &[OsString]) -> ExitCode {
    let Some((program, args)) = command.split_first() else {
        eprintln!("wharfd internal hook: no program is named; this command is the agent's own");
        return ExitCode::from(super::EXIT_NO_SANDBOX);
    };
    let sandbox = match arrange(spec) {
        Ok(sandbox) => sandbox,
        Err(error) => return refuse(&error),
    };
    let error = Command::new(program).args(args).current_dir(&sandbox.cwd).exec();
    eprintln!("{} could not be started: {error}", program.display());
    ExitCode::from(crate::supervise::EXIT_CANNOT_START)
}

fn arrange(spec: &str) -> Result<Sandbox, SandboxError> {
    let sandbox: Sandbox = serde_json::from_str(spec)?;
    mounts::arrange(&sandbox)?;
    privilege::give_up()?;
    Ok(sandbox)
}
