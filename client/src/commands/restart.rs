//! `wharf restart`.

use super::follow::{WatchArgs, watch};
use crate::context::{Context, Exit};
use wharf_proto::{Failure, message::Request};

/// Stop and start containers again, and check that they are healthy
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these services
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    #[command(flatten)]
    job: WatchArgs,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let app = context.config()?.spec.app;
    let lock_wait_seconds = args.job.lock_wait;
    let request = Request::Restart { app, services: args.services, lock_wait_seconds };
    watch(context, request, &args.job).await
}
