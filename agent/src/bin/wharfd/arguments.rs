//! What can be typed.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Wharf's agent: deploys Docker Compose projects on this server, backs them up first, and never deletes a volume.
#[derive(Parser)]
#[command(name = "wharfd", version, about, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
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
pub struct Serve {
    /// The server's own configuration; defaults apply where there is none
    #[arg(long, value_name = "FILE", default_value = "/etc/wharf/wharfd.toml")]
    pub config: PathBuf,
    /// Where the agent keeps its state, content and backups
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Address and port of the SSH server; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Public keys that may connect, as OpenSSH's authorized_keys
    #[arg(long, value_name = "FILE")]
    pub authorized_keys: Option<PathBuf>,
    /// Docker's socket
    #[arg(long, value_name = "SOCKET")]
    pub docker: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct Backup {
    /// The app, as wharf.toml names it
    pub app: wharf_proto::AppName,
    /// The server's own configuration; defaults apply where there is none
    #[arg(long, value_name = "FILE", default_value = "/etc/wharf/wharfd.toml")]
    pub config: PathBuf,
    /// Where the agent keeps its state
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// How long to wait for another job of the app
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub lock_wait: u32,
    /// Say what was made, too
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(clap::Args)]
pub struct Recover {
    /// Where the copy is: the name of an [[offsite]] in the configuration, or a folder
    #[arg(long, value_name = "PLACE")]
    pub from: String,
    /// A file of mode 0600 with the recovery key, which `wharf backup key` showed
    #[arg(long, value_name = "FILE")]
    pub key_file: PathBuf,
    /// The app, where the copy has several
    #[arg(long, value_name = "NAME")]
    pub app: Option<wharf_proto::AppName>,
    /// The backup, by its first digits; the newest without it
    #[arg(long, value_name = "ID")]
    pub backup: Option<String>,
    /// Take a volume that exists already as this app's own; may be repeated
    #[arg(long, value_name = "NAME")]
    pub accept_volume: Vec<String>,
    /// Only list the backups that are there
    #[arg(long)]
    pub list: bool,
    /// The server's own configuration; defaults apply where there is none
    #[arg(long, value_name = "FILE", default_value = "/etc/wharf/wharfd.toml")]
    pub config: PathBuf,
    /// Where the agent is to keep its state
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Docker's socket
    #[arg(long, value_name = "SOCKET")]
    pub docker: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum Guard {
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
pub enum Plugin {
    /// Be what Docker asks, until told to stop; started before Docker, by a unit of its own
    Serve(wharfd::whole_host::Serve),
    /// Start it for good, and have Docker ask it; the risk is told first
    Install(wharfd::whole_host::Install),
    /// Have Docker ask it no more, and take it away
    Remove(wharfd::whole_host::Remove),
}

#[derive(Subcommand)]
pub enum Volume {
    /// Delete a volume that nothing uses and that a backup holds, made and proven within the hour; its name is typed
    Delete(wharfd::volume::Chosen),
}

#[derive(Subcommand)]
pub enum Internal {
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
