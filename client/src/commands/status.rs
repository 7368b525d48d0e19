//! `wharf status`.

use super::wrong_reply;
use crate::{
    context::{Context, Exit},
    render,
};
use wharf_proto::{
    Failure,
    message::{Reply, Request},
};

/// Show what is live, and how its containers are
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Every app on the server
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let app = (!args.all).then(|| config.spec.app.clone());
    let Reply::Status { apps } = context.session(&config).ask(Request::Status { app }).await? else {
        return Err(wrong_reply("the status"));
    };
    if context.console.json {
        apps.iter().for_each(|app| context.console.object("status", app));
    } else if apps.is_empty() {
        context.console.say("nothing was deployed there yet; `wharf deploy` makes the first release");
    } else {
        let text = render::status(&apps, &context.console.out_style);
        context.console.data(&text);
    }
    Ok(Exit::DONE)
}
