//! Sending a change of the env file, and telling what came of it.

use crate::{
    commands::rollback::{Begun, JobArgs, begin},
    commands::wrong_reply,
    context::{Context, Exit},
};
use wharf_proto::{
    AppSpec, Failure,
    message::{Reply, Request},
    secret::{SecretChange, SecretsChanged},
};

/// The flags of every change.
#[derive(Debug, clap::Args)]
pub struct ChangeArgs {
    /// Change the file alone; what runs keeps the old values until it is made anew
    #[arg(long)]
    no_restart: bool,
    #[command(flatten)]
    job: JobArgs,
}

/// Sends what `fill` makes of an empty change.
///
/// # Errors
/// What the agent refuses, or the way to it.
pub async fn send(
    context: &mut Context,
    args: &ChangeArgs,
    fill: impl FnOnce(&mut SecretChange),
) -> Result<Exit, Failure> {
    let config = context.config()?;
    let session = context.session(&config);
    let options = args.job.options();
    let mut change = empty(config.spec.clone(), !args.no_restart);
    change.options = options.clone();
    fill(&mut change);
    let request = Request::SecretChange(Box::new(change));
    match begin(context, &session, request, &options, args.job.detach).await? {
        Begun::Exit(exit) => Ok(exit),
        Begun::Reply(Reply::SecretsChanged { change }) => {
            tell(context, &change, options.dry_run);
            Ok(Exit::DONE)
        }
        Begun::Reply(_) => Err(wrong_reply("what became of the change")),
    }
}

fn empty(spec: AppSpec, restart: bool) -> SecretChange {
    SecretChange {
        spec,
        set: [].into(),
        unset: Vec::new(),
        import: None,
        restart,
        options: wharf_proto::message::JobOptions::default(),
    }
}

fn tell(context: &mut Context, change: &SecretsChanged, dry_run: bool) {
    if context.console.json {
        context.console.object("secrets_changed", change);
        return;
    }
    let SecretsChanged { app, file, changed, stale } = change;
    if changed.is_empty() {
        context.console.say(&format!("Nothing to change: {file} has these values already."));
        return;
    }
    let would = if dry_run { "would be " } else { "" };
    context.console.say(&format!("{would}changed in {file}: {}", changed.join(", ")));
    if *stale {
        context
            .console
            .say(&format!("What runs of {app} keeps the old values until it is made anew: wharf deploy"));
    }
}
