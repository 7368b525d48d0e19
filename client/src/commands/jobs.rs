//! `wharf jobs`.

use super::wrong_reply;
use crate::{
    context::{Context, Exit},
    render,
};
use wharf_proto::{
    Failure,
    message::{Reply, Request},
};

/// List what runs and what ran on the server
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Jobs of every app on the server
    #[arg(long)]
    all: bool,
    /// How many, from the newest
    #[arg(short = 'n', long = "lines", value_name = "COUNT", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let app = (!args.all).then(|| config.spec.app.clone());
    let request = Request::Jobs { app, limit: args.limit };
    let Reply::Jobs { jobs } = context.session(&config).ask(request).await? else {
        return Err(wrong_reply("the jobs"));
    };
    context.console.list("job", &jobs, "no job ran yet", render::jobs);
    Ok(Exit::DONE)
}
