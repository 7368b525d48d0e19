//! `wharf keys remove`.

use crate::{
    commands::wrong_reply,
    context::{Context, Exit},
};
use wharf_proto::{
    Failure,
    message::{Reply, Request},
};

/// Let a key in no more; the last one that may do everything stays
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its fingerprint or its whole comment, as `wharf keys list` shows them
    #[arg(value_name = "KEY")]
    key: String,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let request = Request::KeyRemove { key: args.key };
    let Reply::KeyChanged { key } = context.session(&config).ask(request).await? else {
        return Err(wrong_reply("the key"));
    };
    super::tell(context, &key, "it may connect no more");
    Ok(Exit::DONE)
}
