//! `wharfd`: the agent on the server. Everything is in the library; this file knows arguments, signals and exit codes.

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use wharfd::{config::Config, daemon};

/// Wharf's agent: deploys Docker Compose projects on this server, backs them up first, and never deletes a volume.
#[derive(Parser)]
#[command(name = "wharfd", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve deploys over SSH until told to stop
    Serve(Serve),
    /// What the agent starts for itself
    #[command(subcommand, hide = true)]
    Internal(Internal),
}

#[derive(clap::Args)]
struct Serve {
    /// The server's own configuration; defaults apply where there is none
    #[arg(long, value_name = "FILE", default_value = "/etc/wharf/wharfd.toml")]
    config: PathBuf,
    /// Where the agent keeps its state, content and backups
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Address and port of the SSH server; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Public keys that may connect, as OpenSSH's authorized_keys
    #[arg(long, value_name = "FILE")]
    authorized_keys: Option<PathBuf>,
    /// Docker's socket
    #[arg(long, value_name = "SOCKET")]
    docker: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Internal {
    /// Run a command that ends when the agent does
    Run {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Work on a backup repository, as told on standard input
    Backup,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(serve) => run_server(serve),
        Command::Internal(Internal::Run { command }) => wharf_engine::supervise::child_main(command),
        Command::Internal(Internal::Backup) => wharf_backup::child_main(),
    }
}

fn run_server(serve: Serve) -> ExitCode {
    start_log();
    let config = match Config::load(&serve.config) {
        Ok(config) => config.overridden(serve.state, serve.listen, serve.authorized_keys, serve.docker),
        Err(error) => return complain(&error, 2),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, 1),
    };
    let ended = runtime.block_on(daemon::run(config, stop_signal()));
    // A job's blocking work is not waited for: its children end with this process, and recovery does the rest.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, 1),
    }
}

fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("WHARFD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,russh=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn complain(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("wharfd: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
    ExitCode::from(code)
}
