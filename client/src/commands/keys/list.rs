//! `wharf keys list`.

use crate::{
    commands::wrong_reply,
    context::{Context, Exit},
    render,
};
use wharf_proto::{
    Failure,
    message::{Reply, Request},
};

/// Show the keys, and what each may do
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) async fn run(_: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let Reply::Keys { file, keys } = context.session(&config).ask(Request::Keys).await? else {
        return Err(wrong_reply("the keys"));
    };
    let none = format!("no key may connect to the agent's own port: {file} has none");
    context.console.list("key", &keys, &none, render::keys);
    Ok(Exit::DONE)
}
