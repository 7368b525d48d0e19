//! `wharf exec` and `wharf run`.

use super::program::{self, Args};
use crate::context::{Context, Exit};
use wharf_proto::{Failure, message::Request, terminal::ExecRequest};

pub(super) async fn exec(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    start(args, context, Request::Exec).await
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    start(args, context, Request::Run).await
}

async fn start(
    args: Args,
    context: &mut Context,
    request: impl FnOnce(ExecRequest) -> Request,
) -> Result<Exit, Failure> {
    let config = context.config()?;
    let terminal = args.terminal();
    let with_terminal = terminal.is_some();
    let asked = ExecRequest {
        app: config.spec.app.clone(),
        service: args.service,
        command: args.command,
        user: args.user,
        terminal,
    };
    let session = context.session(&config);
    program::run(context, session, request(asked), with_terminal).await
}
