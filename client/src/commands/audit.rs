//! `wharf audit`.

use super::wrong_reply;
use crate::{
    context::{Context, Exit},
    render,
};
use wharf_proto::{
    Failure,
    message::{Reply, Request},
};

/// Show who did what, when, from where, and how it ended
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Every app on the server
    #[arg(long)]
    all: bool,
    /// How many, from the newest
    #[arg(short = 'n', long = "lines", value_name = "COUNT", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let app = (!args.all).then(|| config.spec.app.clone());
    let request = Request::Audit { app, limit: args.limit };
    let Reply::Audit { entries } = context.session(&config).ask(request).await? else {
        return Err(wrong_reply("the audit"));
    };
    context.console.list("audit", &entries, "nothing was done there yet", render::audit);
    Ok(Exit::DONE)
}
