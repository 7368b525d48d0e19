//! `wharf keys`: who may connect to the agent, one file each.

mod add;
mod list;
mod remove;

use crate::context::{Context, Exit};
use clap::Subcommand;
use wharf_proto::{Failure, key::KeyInfo};

/// List, add and remove the keys that may connect to the agent's own port
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Add(add::Args),
    Remove(remove::Args),
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    match args.command {
        Command::List(args) => super::interruptible(context, list::run, args).await,
        Command::Add(args) => super::interruptible(context, add::run, args).await,
        Command::Remove(args) => super::interruptible(context, remove::run, args).await,
    }
}

/// Tells of the one key that was added or removed.
fn tell(context: &mut Context, key: &KeyInfo, what: &str) {
    if context.console.json {
        context.console.object("key", key);
        return;
    }
    let name = if key.comment.is_empty() { &key.fingerprint } else { &key.comment };
    context.console.say(&format!("{what}: {} ({})", crate::render::clean(name), key.fingerprint));
}
