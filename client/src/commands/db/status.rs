//! `wharf db status`.

use crate::{
    commands::wrong_reply,
    context::{Context, Exit},
    render,
};
use wharf_proto::{
    Failure,
    message::{Reply, Request},
};

/// Show size, connections, slow queries, blocked locks and the biggest tables
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A query that has run so long is slow
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    slow: u32,
}

pub(in crate::commands) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let request = Request::DbStatus { app: config.spec.app.clone(), slow_seconds: args.slow };
    let Reply::DbStatus { databases } = context.session(&config).ask(request).await? else {
        return Err(wrong_reply("the state of its databases"));
    };
    if context.console.json {
        databases.iter().for_each(|database| context.console.object("database", database));
    } else {
        let text = render::databases(&databases, &context.console.out_style);
        context.console.data(&text);
    }
    let unknown = databases.iter().any(|database| database.problem.is_some());
    Ok(Exit(u8::from(unknown)))
}
