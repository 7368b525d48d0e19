//! `wharf backup list`.

use crate::{
    commands::wrong_reply,
    context::{Context, Exit},
    render,
};
use wharf_proto::{
    Failure,
    message::{Reply, Request},
};

/// List the backups, newest first, and which of them are proven
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) async fn run(_args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let app = config.spec.app.clone();
    let reply = context.session(&config).ask(Request::BackupList { app: app.clone() }).await?;
    let Reply::Backups { backups, key_saved } = reply else { return Err(wrong_reply("the backups")) };
    if context.console.json {
        backups.iter().for_each(|backup| context.console.object("backup", backup));
    } else if backups.is_empty() {
        context.console.say(&format!(
            "{app} has no backup yet; every deploy makes one, and so does `wharf backup create`"
        ));
    } else {
        let text = render::backups(&backups, &context.console.out_style);
        context.console.data(&text);
        if context.common.verbose {
            context.console.data(&render::backup_contents(&backups));
        }
    }
    if !key_saved && !backups.is_empty() {
        context.console.warn(
            "nobody has saved the recovery key: without it the backups cannot be opened on another server; run `wharf backup key`",
        );
    }
    Ok(Exit::DONE)
}
