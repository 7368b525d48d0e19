//! `wharfd`: the agent on the server. Everything is in the library; this file knows arguments, signals and exit codes.

use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::Notify;
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
    /// Say whether the agent answers: what it calls itself, then a line for each job that runs
    Hello {
        /// The server's own configuration; defaults apply where there is none
        #[arg(long, value_name = "FILE", default_value = wharfd::config::PATH)]
        config: PathBuf,
    },
    /// Back up an app now, through the agent that runs; says nothing unless it fails
    Backup(Backup),
    /// Let one connection in through the server's own sshd: the command of a key's line in authorized_keys
    Connect {
        /// `--role ROLE`, `--app APP`, `--key-name NAME`, `--socket SOCKET`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "LIMITS")]
        limits: Vec<String>,
    },
    /// Bring an app back on this machine, from a copy of its backups and the recovery key alone
    Recover(Recover),
    /// Put a guard before Docker's socket: everything passes but what deletes volumes
    #[command(subcommand)]
    Guard(Guard),
    /// Delete a volume: at a terminal, as root, after a proven backup of it
    #[command(subcommand)]
    Volume(Volume),
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

#[derive(clap::Args)]
struct Backup {
    /// The app, as wharf.toml names it
    app: wharf_proto::AppName,
    /// The server's own configuration; defaults apply where there is none
    #[arg(long, value_name = "FILE", default_value = "/etc/wharf/wharfd.toml")]
    config: PathBuf,
    /// Where the agent keeps its state
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// How long to wait for another job of the app
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    lock_wait: u32,
    /// Say what was made, too
    #[arg(short, long)]
    verbose: bool,
}

#[derive(clap::Args)]
struct Recover {
    /// Where the copy is: the name of an [[offsite]] in the configuration, or a folder
    #[arg(long, value_name = "PLACE")]
    from: String,
    /// A file of mode 0600 with the recovery key, which `wharf backup key` showed
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// The app, where the copy has several
    #[arg(long, value_name = "NAME")]
    app: Option<wharf_proto::AppName>,
    /// The backup, by its first digits; the newest without it
    #[arg(long, value_name = "ID")]
    backup: Option<String>,
    /// Take a volume that exists already as this app's own; may be repeated
    #[arg(long, value_name = "NAME")]
    accept_volume: Vec<String>,
    /// Only list the backups that are there
    #[arg(long)]
    list: bool,
    /// The server's own configuration; defaults apply where there is none
    #[arg(long, value_name = "FILE", default_value = "/etc/wharf/wharfd.toml")]
    config: PathBuf,
    /// Where the agent is to keep its state
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Docker's socket
    #[arg(long, value_name = "SOCKET")]
    docker: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Guard {
    /// Serve a guarded socket until told to stop; use it with DOCKER_HOST=unix://SOCKET
    Serve {
        /// The socket to make; a stale one is replaced
        #[arg(long, value_name = "SOCKET")]
        listen: PathBuf,
        /// Docker's own socket
        #[arg(long, value_name = "SOCKET", default_value = wharf_engine::connection::DEFAULT_SOCKET)]
        upstream: PathBuf,
        /// Let privileged containers, Docker's socket, `/` and the like through
        #[arg(long)]
        allow_root_equivalent: bool,
    },
    /// Lead a user's docker commands through the guard, by a Docker context of that user's
    Install(wharfd::context::Install),
    /// Put the user's Docker context back as it was before
    Remove(wharfd::context::Remove),
    /// Have Docker itself ask the guard before every request, whoever sends it
    #[command(subcommand)]
    Plugin(Plugin),
}

#[derive(Subcommand)]
enum Plugin {
    /// Be what Docker asks, until told to stop; started before Docker, by a unit of its own
    Serve(wharfd::whole_host::Serve),
    /// Start it for good, and have Docker ask it; the risk is told first
    Install(wharfd::whole_host::Install),
    /// Have Docker ask it no more, and take it away
    Remove(wharfd::whole_host::Remove),
}

#[derive(Subcommand)]
enum Volume {
    /// Delete a volume that nothing uses and that a backup holds, made and proven within the hour; its name is typed
    Delete(wharfd::volume::Chosen),
}

#[derive(Subcommand)]
enum Internal {
    /// Run a command that ends when the agent does
    Run {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Run a hook where it sees nothing that is not its own
    Hook {
        sandbox: String,
        #[arg(last = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// The first process in there
    HookInside {
        sandbox: String,
        #[arg(last = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Work on a backup repository, as told on standard input
    Backup,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(serve) => run_server(serve),
        Command::Hello { config } => run_hello(&config),
        Command::Backup(backup) => run_backup(backup),
        Command::Connect { .. } => run_connect(),
        Command::Recover(recover) => run_recover(recover),
        Command::Guard(guard) => run_guard(guard),
        Command::Volume(Volume::Delete(chosen)) => run_delete(chosen),
        Command::Internal(Internal::Run { command }) => wharf_engine::supervise::child_main(command),
        Command::Internal(Internal::Hook { sandbox, command }) => {
            wharf_engine::sandbox::hook_main(&sandbox, &command)
        }
        Command::Internal(Internal::HookInside { sandbox, command }) => {
            wharf_engine::sandbox::hook_inside_main(&sandbox, &command)
        }
        Command::Internal(Internal::Backup) => wharf_backup::child_main(),
    }
}

/// A job is one deep future; where nothing is optimised, tokio's own 2 MiB are hardly enough for it.
const STACK_BYTES: usize = 8 * 1024 * 1024;

fn new_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build()
}

fn run_server(serve: Serve) -> ExitCode {
    wharfd::log::start();
    let config = match Config::load(&serve.config) {
        Ok(config) => config.overridden(serve.state, serve.listen, serve.authorized_keys, serve.docker),
        Err(error) => return complain(&error, 2),
    };
    let runtime = match new_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, 1),
    };
    let ended = runtime.block_on(async { daemon::run(config, stop_signal(), leave_signal()).await });
    // A job's blocking work is not waited for: its children end with this process, and recovery does the rest.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, 1),
    }
}

/// The words are taken as they stand, since the argument parser would drop a `--` among them.
fn run_connect() -> ExitCode {
    let words: Vec<String> =
        std::env::args_os().skip(2).map(|word| word.to_string_lossy().into_owned()).collect();
    match wharfd::connect::run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, 1),
    }
}

fn run_backup(backup: Backup) -> ExitCode {
    let config = match Config::load(&backup.config) {
        Ok(config) => config.overridden(backup.state, None, None, None),
        Err(error) => return complain(&error, 2),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, 1),
    };
    match runtime.block_on(wharfd::ask::backup(&config.socket(), backup.app, backup.lock_wait)) {
        Ok(summary) => {
            if backup.verbose {
                println!("{summary}");
            }
            ExitCode::SUCCESS
        }
        Err(failure) => tell(&failure),
    }
}

fn run_hello(config: &Path) -> ExitCode {
    let config = match Config::load(config) {
        Ok(config) => config,
        Err(error) => return complain(&error, 2),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, 1),
    };
    match runtime.block_on(wharfd::ask::hello(&config.socket())) {
        Ok(lines) => {
            lines.iter().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        Err(failure) => tell(&failure),
    }
}

fn run_recover(recover: Recover) -> ExitCode {
    let Recover { from, key_file, app, backup, accept_volume, list, config, state, docker } = recover;
    let config = match Config::load(&config) {
        Ok(config) => config.overridden(state, None, None, docker),
        Err(error) => return complain(&error, 2),
    };
    let runtime = match new_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, 1),
    };
    let backup = backup.map(wharf_proto::BackupId);
    let wanted = wharfd::recovery::Wanted { from, key_file, app, backup, accept_volume, list };
    let ended = runtime.block_on(wharfd::recovery::recover(config, wanted, |text| eprintln!("{text}")));
    runtime.shutdown_background();
    match ended {
        Ok(lines) => {
            lines.iter().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        Err(failure) => tell(&failure),
    }
}

fn run_delete(chosen: wharfd::volume::Chosen) -> ExitCode {
    let config = match Config::load(&chosen.config) {
        Ok(config) => config.overridden(chosen.state, None, None, chosen.docker),
        Err(error) => return complain(&error, 2),
    };
    let runtime = match new_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, 1),
    };
    let type_name = |question: &str| {
        eprint!("{question}");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line.trim_end_matches(['\r', '\n']).to_owned())
    };
    match runtime.block_on(wharfd::volume::delete(config, &chosen.name, type_name)) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(failure) => tell(&failure),
    }
}

fn tell(failure: &wharf_proto::Failure) -> ExitCode {
    eprintln!("wharfd: {failure}");
    failure.causes.iter().for_each(|cause| eprintln!("  because: {cause}"));
    failure.hints.iter().for_each(|hint| eprintln!("  hint: {hint}"));
    ExitCode::from(failure.exit_code())
}

fn run_guard(guard: Guard) -> ExitCode {
    let done = match guard {
        Guard::Serve { listen, upstream, allow_root_equivalent } => {
            return serve_guard(&listen, &upstream, wharf_guard::Policy { allow_root_equivalent });
        }
        Guard::Install(install) => match install.socket() {
            Ok(socket) => wharfd::context::install(install.chosen, &socket),
            Err(error) => return complain(&error, 2),
        },
        Guard::Remove(remove) => wharfd::context::remove(remove.chosen),
        Guard::Plugin(plugin) => return run_plugin(plugin),
    };
    tell_done(done.map_err(|error| error.failure()))
}

fn tell_done(done: Result<Vec<String>, wharf_proto::Failure>) -> ExitCode {
    match done {
        Ok(lines) => {
            lines.iter().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        Err(failure) => tell(&failure),
    }
}

fn run_plugin(plugin: Plugin) -> ExitCode {
    let serve = match plugin {
        Plugin::Install(install) => {
            return tell_done(wharfd::whole_host::install(&install).map_err(|error| error.failure()));
        }
        Plugin::Remove(remove) => {
            return tell_done(wharfd::whole_host::remove(&remove).map_err(|error| error.failure()));
        }
        Plugin::Serve(serve) => serve,
    };
    wharfd::log::start();
    // One thread: it has little to do, and Docker waits for nothing else when it starts.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, 1),
    };
    match runtime.block_on(wharfd::whole_host::serve(serve, stop_signal())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, 1),
    }
}

fn serve_guard(listen: &Path, upstream: &Path, policy: wharf_guard::Policy) -> ExitCode {
    wharfd::log::start();
    let runtime = match new_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, 1),
    };
    tracing::info!(listen = %listen.display(), upstream = %upstream.display(), "guarding Docker's socket");
    match runtime.block_on(wharf_guard::run(listen, upstream, policy, stop_signal())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, 1),
    }
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

/// SIGHUP: end as soon as no job runs.
fn leave_signal() -> Arc<Notify> {
    use tokio::signal::unix::{SignalKind, signal};
    let leave = Arc::new(Notify::new());
    if let Ok(mut hang_up) = signal(SignalKind::hangup()) {
        let leave = Arc::clone(&leave);
        tokio::spawn(async move {
            while hang_up.recv().await.is_some() {
                leave.notify_one();
            }
        });
    }
    leave
}

fn complain(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("wharfd: {}", wharfd::failures::told(error));
    ExitCode::from(code)
}
