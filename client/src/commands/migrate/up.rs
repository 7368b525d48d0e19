//! `wharf migrate up`.

use crate::{
    commands::follow::{WatchArgs, watch},
    context::{Context, Exit},
};
use wharf_proto::{Failure, message::Request};

/// Apply the pending migrations of the live release, after a backup
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    job: WatchArgs,
}

pub(in crate::commands) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let app = context.config()?.spec.app;
    let lock_wait_seconds = args.job.lock_wait;
    watch(context, Request::MigrateUp { app, lock_wait_seconds }, &args.job).await
}
