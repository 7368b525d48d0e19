//! `wharf backup verify`.

use super::{JobArgs, backup_id, watch};
use crate::context::{Context, Exit};
use wharf_proto::{BackupId, Failure, message::Request};

/// Prove a backup: read back every byte, restore each dump into a throwaway database and compare
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The first digits of the backup's ID; without them, the newest
    #[arg(value_name = "ID", value_parser = backup_id)]
    backup: Option<BackupId>,
    #[command(flatten)]
    job: JobArgs,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let app = context.config()?.spec.app;
    let lock_wait_seconds = args.job.lock_wait;
    watch(context, Request::BackupVerify { app, backup: args.backup, lock_wait_seconds }, &args.job).await
}
