//! `wharf backup pin`.

use super::backup_id;
use crate::{
    commands::wrong_reply,
    context::{Context, Exit},
};
use wharf_proto::{
    BackupId, Failure,
    message::{Reply, Request},
};

/// Keep a backup, whatever retention says
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The first digits of the backup's ID
    #[arg(value_name = "ID", value_parser = backup_id)]
    backup: BackupId,
    /// Let retention decide about it again
    #[arg(long)]
    off: bool,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let request =
        Request::BackupPin { app: config.spec.app.clone(), backup: args.backup.clone(), pinned: !args.off };
    let Reply::Backups { backups, .. } = context.session(&config).ask(request).await? else {
        return Err(wrong_reply("the backups"));
    };
    let found = backups.iter().find(|backup| backup.id.0.starts_with(&args.backup.0));
    if let Some(backup) = found.filter(|_| context.console.json) {
        context.console.object("backup", backup);
    } else if args.off {
        context.console.say(&format!("Retention decides about backup {} again.", args.backup.short()));
    } else {
        context.console.say(&format!("Backup {} stays until it is let go: --off.", args.backup.short()));
    }
    Ok(Exit::DONE)
}
