//! `wharf backup create`.

use super::{JobArgs, watch};
use crate::context::{Context, Exit};
use wharf_proto::{Failure, message::Request};

/// Back up now: project files and every database, read back and checked
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Why, for the list
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    #[command(flatten)]
    job: JobArgs,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let app = context.config()?.spec.app;
    let lock_wait_seconds = args.job.lock_wait;
    let request = Request::BackupCreate { app, message: args.message, lock_wait_seconds };
    watch(context, request, &args.job).await
}
