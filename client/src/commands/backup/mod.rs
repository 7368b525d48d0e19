//! `wharf backup`: what to do with backups, one file each.

mod create;
mod key;
mod list;
mod pin;
mod prune;
mod restore;
mod verify;

use super::follow::{WatchArgs as JobArgs, watch};
use crate::context::{Context, Exit};
use clap::Subcommand;
use wharf_proto::{BackupId, Failure};

/// Make, list, verify and restore backups
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(create::Args),
    List(list::Args),
    Verify(verify::Args),
    Restore(restore::Args),
    Prune(prune::Args),
    Pin(pin::Args),
    Key(key::Args),
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    match args.command {
        Command::Create(args) => create::run(args, context).await,
        Command::List(args) => super::interruptible(context, list::run, args).await,
        Command::Verify(args) => verify::run(args, context).await,
        Command::Restore(args) => restore::run(args, context).await,
        Command::Prune(args) => prune::run(args, context).await,
        Command::Pin(args) => super::interruptible(context, pin::run, args).await,
        Command::Key(args) => super::interruptible(context, key::run, args).await,
    }
}

/// A backup as people name it: the beginning of its identity.
fn backup_id(text: &str) -> Result<BackupId, String> {
    let is_id = text.len() >= 4 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_id {
        Ok(BackupId(text.to_ascii_lowercase()))
    } else {
        Err("a backup is named by the first digits of its ID, at least four, as `wharf backup list` shows them"
            .into())
    }
}
