//! `wharf backup prune`.

use super::{JobArgs, watch};
use crate::{
    commands::wrong_reply,
    context::{Context, Exit},
    render,
};
use wharf_proto::{
    Failure,
    message::{Reply, Request},
};

/// Forget the backups that [backup] keep lets go, as the agent does after each scheduled backup
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Say which would stay, why, and which would go; change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    job: JobArgs,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    if args.dry_run {
        return super::super::interruptible(context, show, ()).await;
    }
    let app = context.config()?.spec.app;
    let lock_wait_seconds = args.job.lock_wait;
    watch(context, Request::BackupPrune { app, dry_run: false, lock_wait_seconds }, &args.job).await
}

async fn show(_: (), context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let app = config.spec.app.clone();
    let request = Request::BackupPrune { app, dry_run: true, lock_wait_seconds: 0 };
    let Reply::PrunePlan { plan } = context.session(&config).ask(request).await? else {
        return Err(wrong_reply("what retention would do"));
    };
    if context.console.json {
        context.console.object("prune_plan", &plan);
    } else {
        let text = render::prune_plan(&plan, &context.console.out_style);
        context.console.data(&text);
    }
    Ok(Exit::DONE)
}
