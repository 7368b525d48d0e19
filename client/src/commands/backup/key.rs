//! `wharf backup key`: the one thing that opens the backups when the server is gone.

use crate::{
    commands::wrong_reply,
    context::{Context, Exit},
};
use wharf_proto::{
    Failure,
    message::{Reply, Request},
};

/// Show the key that opens the backups with restic, anywhere; save it where the server is not
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Say that it is put away: it is not asked for any more
    #[arg(long)]
    saved: bool,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let app = config.spec.app.clone();
    let reply =
        context.session(&config).ask(Request::BackupKey { app: app.clone(), saved: args.saved }).await?;
    let Reply::BackupKey { key, repository, saved } = reply else { return Err(wrong_reply("the key")) };
    if context.console.json {
        #[derive(serde::Serialize)]
        struct Key<'a> {
            app: &'a str,
            key: Option<&'a str>,
            repository: &'a str,
            saved: bool,
        }
        let key = key.as_ref().map(wharf_proto::backup::RecoveryKey::expose);
        let body = Key { app: app.as_str(), key, repository: &repository, saved };
        context.console.object("backup_key", &body);
        return Ok(Exit::DONE);
    }
    match key {
        Some(key) => {
            context.console.data(&format!("{}\n", key.expose()));
            context.console.note(&format!(
                "This opens the backups of {app} ({repository} on the server) with restic, anywhere.\n\
                 Save it in a password manager or on paper, not on the server; then run `wharf backup key --saved`."
            ));
        }
        None => context.console.say(&format!("Noted: the recovery key of {app} is saved.")),
    }
    Ok(Exit::DONE)
}
