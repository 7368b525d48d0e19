//! `wharf db`: what to do with an app's databases, one file each.

mod console;
mod password;
mod status;

use crate::context::{Context, Exit};
use clap::Subcommand;
use wharf_proto::Failure;

/// Work with the app's databases
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Console(console::Args),
    Status(status::Args),
    Password(password::Args),
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    match args.command {
        Command::Password(args) => password::run(args, context).await,
        Command::Console(args) => console::run(args, context).await,
        Command::Status(args) => super::interruptible(context, status::run, args).await,
    }
}
