//! `wharf releases`.

use super::wrong_reply;
use crate::{
    context::{Context, Exit},
    render,
};
use wharf_proto::{
    Failure,
    message::{Reply, Request},
};

/// List the releases that can be rolled back to
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) async fn run(_args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let app = config.spec.app.clone();
    let Reply::Releases { releases } =
        context.session(&config).ask(Request::Releases { app: app.clone() }).await?
    else {
        return Err(wrong_reply("the releases"));
    };
    let none = format!("{app} has no release yet; `wharf deploy` makes the first");
    context.console.list("release", &releases, &none, render::releases);
    Ok(Exit::DONE)
}
