//! What can be typed.

use crate::commands::Command;
use clap::{Args, Parser};

/// Ship a Docker Compose project to a server of your own, over SSH.
#[derive(Debug, Parser)]
#[command(name = "wharf", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "The project is described by wharf.toml, in this folder or one above it.\n\
    Exit codes: 0 done, 1 failed and put back, 2 usage or configuration, 3 refused,\n\
    4 cannot reach or authenticate, 5 failed and could not put back, 130 stopped with Ctrl-C.")]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// The flags that every command has.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Lay [env.NAME] of wharf.toml over the rest
    #[arg(long, global = true, value_name = "NAME", env = "WHARF_ENV")]
    pub env: Option<String>,
    /// JSON lines on stdout, for scripts
    #[arg(long, global = true)]
    pub json: bool,
    /// Ask nothing; where an answer is needed, fail
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Only warnings, failures and the result
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Tell more
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Trust a server whose host key is not known yet, and remember it
    #[arg(long, global = true)]
    pub accept_new_host_key: bool,
}
