//! `wharf migrate`: the live release's folders of migrations, one file a command.

mod down;
mod status;
mod up;

use crate::commands::wrong_reply;
use crate::context::{Context, Exit};
use clap::Subcommand;
use wharf_proto::{
    Failure,
    message::{Reply, Request},
    migration::MigrationFolder,
};

/// See, apply or take back the migrations of the live release
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Status(status::Args),
    Up(up::Args),
    Down(down::Args),
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    match args.command {
        Command::Status(args) => super::interruptible(context, status::run, args).await,
        Command::Up(args) => up::run(args, context).await,
        Command::Down(args) => down::run(args, context).await,
    }
}

/// How the folders stand.
async fn ask(context: &mut Context) -> Result<Vec<MigrationFolder>, Failure> {
    let config = context.config()?;
    let request = Request::Migrations { app: config.spec.app.clone() };
    match context.session(&config).ask(request).await? {
        Reply::Migrations { folders } => Ok(folders),
        _ => Err(wrong_reply("how migrations stand")),
    }
}
