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
    if context.console.json {
        keys.iter().for_each(|key| context.console.object("key", key));
    } else if keys.is_empty() {
        context.console.say(&format!("no key may connect to the agent's own port: {file} has none"));
    } else {
        let text = render::keys(&keys, &context.console.out_style);
        context.console.data(&text);
    }
    Ok(Exit::DONE)
}
