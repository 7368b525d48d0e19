//! `wharf db`: what to do with an app's databases, one file each.

mod password;

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
    Password(password::Args),
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    match args.command {
        Command::Password(args) => password::run(args, context).await,
    }
}
