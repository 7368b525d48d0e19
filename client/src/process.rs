//! The composition root: the only place that knows the process's arguments, signals and exit code.

use crate::{
    cli::{Cli, Common},
    commands,
    context::{Context, Exit, SshDoor},
    render::{Console, Verbosity},
    sys,
};
use clap::Parser as _;
use std::{process::ExitCode, time::Duration};
use tokio::sync::watch;
use wharf_proto::{Failure, FailureKind};

/// How long ending may take for what still runs in the background, a walk over a project say.
const END_WITHIN: Duration = Duration::from_millis(200);

/// Runs the command of this process's arguments.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let mut console = Console::of_process(cli.common.json, verbosity(&cli.common));
    trace(&cli.common);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            console.failure(&Failure::from_error(FailureKind::Environment, &error));
            return ExitCode::FAILURE;
        }
    };
    let terminal = sys::Terminal::remember();
    let exit = runtime.block_on(run_cli(cli, console, terminal.clone()));
    runtime.shutdown_timeout(END_WITHIN);
    terminal.restore();
    ExitCode::from(exit.0)
}

async fn run_cli(cli: Cli, mut console: Console, terminal: sys::Terminal) -> Exit {
    let folder = match std::env::current_dir() {
        Ok(folder) => folder,
        Err(error) => {
            let failure = Failure::new(FailureKind::Config, "the current folder cannot be told");
            console.failure(&failure.cause(error.to_string()).hint("change to a folder that exists"));
            return Exit(2);
        }
    };
    let (asked_to_stop, stop) = watch::channel(false);
    tokio::spawn(heed_signals(asked_to_stop, terminal));
    let door = Box::new(SshDoor::new(&cli.common));
    let mut context = Context { console, common: cli.common, folder, door, stop, taken: Vec::new() };
    let exit = commands::run(cli.command, &mut context).await;
    context.close().await;
    exit
}

/// The first signal asks the command to stop; the second one ends the process.
async fn heed_signals(asked_to_stop: watch::Sender<bool>, terminal: sys::Terminal) {
    if sys::stop_requested().await.is_ok() {
        // Nobody listens any more when the command is over.
        let _ = asked_to_stop.send(true);
        if sys::stop_requested().await.is_ok() {
            terminal.restore();
            std::process::exit(i32::from(Exit::INTERRUPTED.0));
        }
    }
}

fn verbosity(common: &Common) -> Verbosity {
    match (common.quiet, common.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, true) => Verbosity::Verbose,
        (false, false) => Verbosity::Normal,
    }
}

/// `WHARF_LOG` (`debug`, `wharf_ssh=trace`, …) shows what goes on inside, on stderr.
fn trace(_common: &Common) {
    let Ok(filter) = tracing_subscriber::EnvFilter::try_from_env("WHARF_LOG") else { return };
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
