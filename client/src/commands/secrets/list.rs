//! `wharf secrets list`.

use crate::{
    commands::wrong_reply,
    context::{Context, Exit},
    render,
};
use wharf_proto::{
    Failure,
    message::{Reply, Request},
};

/// List the keys of the env file, short digests of their values, and who uses them; never a value
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) async fn run(_args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let app = config.spec.app.clone();
    let Reply::Secrets { list } = context.session(&config).ask(Request::SecretList { app }).await? else {
        return Err(wrong_reply("the secrets"));
    };
    if context.console.json {
        context.console.object("secrets", &list);
    } else if list.secrets.is_empty() {
        context.console.say(&format!("{} holds nothing yet; set one: wharf secrets set KEY", list.file));
    } else {
        let text = render::secrets(&list, &context.console.out_style);
        context.console.data(&text);
    }
    Ok(Exit::DONE)
}
