//! `wharf registry`.

use super::{secrets::value, wrong_reply};
use crate::{
    context::{Context, Exit},
    render,
    session::Asker,
};
use std::io::IsTerminal as _;
use wharf_proto::{
    Failure, FailureKind,
    message::{Reply, Request},
    registry::{self, RegistryInfo, RegistryLogin},
    secret::SecretValue,
};

/// The server's logins to private registries, for every app's images
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Registry,
}

#[derive(Debug, clap::Subcommand)]
enum Registry {
    /// Log the server in; the password is asked for, or read from standard input
    Login {
        /// As the names of its images begin: registry.example:5000; Docker Hub: docker.io
        #[arg(value_name = "HOST", value_parser = host)]
        host: String,
        #[arg(short, long, value_name = "USER")]
        user: String,
    },
    /// Drop the server's login
    Logout {
        #[arg(value_name = "HOST", value_parser = host)]
        host: String,
    },
    /// List hosts and users; never a password
    List,
}

fn host(text: &str) -> Result<String, String> {
    registry::host(text).ok_or_else(|| "the host that image names begin with: registry.example:5000".into())
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    super::interruptible(context, carry_out, args.command).await
}

async fn carry_out(command: Registry, context: &mut Context) -> Result<Exit, Failure> {
    let (request, done) = match command {
        Registry::Login { host, user } => {
            // First the configuration, so that nobody types a password in vain.
            context.config()?;
            let password = password(&host, &user, context.common.yes).await?;
            (Request::RegistryLogin(RegistryLogin { host, user, password }), "logged in to")
        }
        Registry::Logout { host } => (Request::RegistryLogout { host }, "logged out of"),
        Registry::List => (Request::Registries, ""),
    };
    let is_list = done.is_empty();
    let config = context.config()?;
    let Reply::Registries { registries } = context.session(&config).ask(request).await? else {
        return Err(wrong_reply("the registries"));
    };
    if context.console.json {
        registries.iter().for_each(|registry| context.console.object("registry", registry));
    } else if !is_list {
        let texts = registries.iter().map(|RegistryInfo { host, user }| format!("{done} {host} as {user}"));
        texts.collect::<Vec<_>>().iter().for_each(|text| context.console.say(text));
    } else if registries.is_empty() {
        context
            .console
            .say("the server has no login of Wharf's; give it one: wharf registry login HOST -u USER");
    } else {
        let text = render::registries(&registries, &context.console.out_style);
        context.console.data(&text);
    }
    Ok(Exit::DONE)
}

/// Typed without being shown; without a terminal, standard input is the password.
async fn password(host: &str, user: &str, yes: bool) -> Result<SecretValue, Failure> {
    let none = || Failure::new(FailureKind::Config, "no password was given").hint("pipe it in, or type it");
    if std::io::stdin().is_terminal() {
        let question = format!("Password or token of {user} at {host}");
        let typed = Asker::of_process(yes).password(question).await.ok_or_else(none)?;
        return Ok(SecretValue::new(typed.expose()));
    }
    let read = value::read_stdin()?;
    if read.is_empty() { Err(none()) } else { Ok(SecretValue::new(read)) }
}
