//! The process between the agent and a program: `wharfd internal run -- PROGRAM …`.

use super::{CONTROL_FD, TERM_GRACE, tree};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// The exit code when the program could not be started, as shells have it.
pub const EXIT_CANNOT_START: u8 = 127;

/// Runs the program that `args` name (after an optional `--`) until it ends or the agent does, and ends what it leaves.
/// The exit code is the program's.
///
/// It must be called by a process that has only one thread yet, with the control pipe as descriptor 3.
pub fn child_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter().peekable();
    if args.peek().is_some_and(|first| first == "--") {
        args.next();
    }
    let Some(program) = args.next() else {
        eprintln!("wharfd internal run: no program is named; this command is the agent's own");
        return ExitCode::from(EXIT_CANNOT_START);
    };
    match run(&program, args.collect()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{} could not be started: {error}", program.display());
            ExitCode::from(EXIT_CANNOT_START)
        }
    }
}

fn run(program: &OsString, args: Vec<OsString>) -> std::io::Result<u8> {
    // A duplicate by name; the original is closed so that the program does not inherit it.
    let control = std::fs::File::open(format!("/proc/self/fd/{CONTROL_FD}"))?;
    nix::unistd::close(CONTROL_FD)?;
    nix::unistd::setsid()?;
    set_child_subreaper(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(supervise(program, args, control));
    // A thread may still wait on the pipe; it is not waited for.
    runtime.shutdown_background();
    code
}

async fn supervise(program: &OsString, args: Vec<OsString>, control: std::fs::File) -> std::io::Result<u8> {
    // Signals to the group are for the program. The handlers go before it starts, and it does not inherit them.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut child = Command::new(program).args(args).spawn()?;
    let closed = tokio::task::spawn_blocking(move || wait_for_close(control));
    let status = tokio::select! {
        status = child.wait() => Some(status?),
        _ = closed => None,
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        _ = hangup.recv() => None,
    };
    let ended = end_tree(&mut child).await;
    Ok(exit_code(status.or(ended)))
}

/// Returns when nobody has the other end of the pipe any more.
fn wait_for_close(mut control: std::fs::File) {
    let mut byte = [0];
    while !matches!(control.read(&mut byte), Ok(0)) {}
}

/// Ends every descendant. SIGTERM first, so that `docker compose` can stop what it began; then SIGKILL until none is left.
async fn end_tree(child: &mut Child) -> Option<ExitStatus> {
    let own = std::process::id();
    let deadline = tokio::time::Instant::now() + TERM_GRACE;
    tree::signal_all(own, Signal::SIGTERM);
    loop {
        let status = child.try_wait().ok().flatten();
        tree::reap_adopted(child.id());
        if !tree::any(own) {
            return status;
        }
        if tokio::time::Instant::now() >= deadline {
            tree::signal_all(own, Signal::SIGKILL);
        }
        tokio::time::sleep(tree::POLL).await;
    }
}

fn exit_code(status: Option<ExitStatus>) -> u8 {
    let Some(status) = status else { return 128 + Signal::SIGKILL as u8 };
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(u8::MAX)
}
