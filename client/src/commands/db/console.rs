//! `wharf db console`.

use crate::commands::program;
use crate::context::{Context, Exit};
use wharf_proto::{Failure, message::Request, terminal::ConsoleRequest};

/// Open the database's own console: psql, mysql or redis-cli, in its container
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The database; without it, the one that the container was made with
    database: Option<String>,
    /// The database's service, where there are several
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
    /// No terminal, as for a script on standard input
    #[arg(short = 'T', long)]
    no_terminal: bool,
}

pub(in crate::commands) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let terminal = program::here(args.no_terminal);
    let with_terminal = terminal.is_some();
    let request = Request::DbConsole(ConsoleRequest {
        app: config.spec.app.clone(),
        service: args.service,
        database: args.database,
        terminal,
    });
    let session = context.session(&config);
    program::run(context, session, request, with_terminal).await
}
