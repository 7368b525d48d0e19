//! `wharf secrets`: the env file on the server, one file a command.
//!
//! **Invariant**: a value comes from a prompt, standard input or a file. It is taken from the command line only where
//! `--value` asks for that, since other people on the machine can read command lines.

mod change;
mod import;
mod list;
mod set;
mod unset;
pub(super) mod value;

use crate::context::{Context, Exit};
use clap::Subcommand;
use wharf_proto::Failure;

/// Set, unset, import and list the secrets in the server's env file
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Set(set::Args),
    Unset(unset::Args),
    Import(import::Args),
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    match args.command {
        Command::List(args) => super::interruptible(context, list::run, args).await,
        Command::Set(args) => set::run(args, context).await,
        Command::Unset(args) => unset::run(args, context).await,
        Command::Import(args) => import::run(args, context).await,
    }
}
