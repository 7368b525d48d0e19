//! `wharf secrets unset`.

use super::change;
use crate::context::{Context, Exit};
use wharf_proto::Failure;

/// Take secrets out, and make anew what used them
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The keys
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
    #[command(flatten)]
    change: change::ChangeArgs,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    change::send(context, &args.change, |change| change.unset.extend(args.keys)).await
}
