//! `wharf db password`.

use crate::{
    commands::rollback::{Begun, JobArgs, begin},
    commands::secrets::value,
    commands::wrong_reply,
    context::{Context, Exit},
};
use wharf_proto::{Failure, message::Request, secret::DatabasePassword};

/// Give a PostgreSQL another password, in the database and in the env file together
///
/// The server makes a new one of letters and digits, which nobody is shown, unless --prompt asks for it. What uses the
/// password is made anew; if the app does not prove healthy, both are put back.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The database's service, where the app has several
    service: Option<String>,
    /// Type the password, or pipe it in
    #[arg(long)]
    prompt: bool,
    #[command(flatten)]
    job: JobArgs,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let password = match args.prompt {
        true => match context.answered(value::ask("the new password", context.common.yes)).await {
            Some(password) => Some(password?),
            None => return Ok(Exit::INTERRUPTED),
        },
        false => None,
    };
    let session = context.session(&config);
    let options = args.job.options();
    let request = Request::DatabasePassword(Box::new(DatabasePassword {
        app: config.spec.app.clone(),
        service: args.service,
        password,
        options: options.clone(),
    }));
    match begin(context, &session, request, &options, args.job.detach).await? {
        Begun::Exit(exit) => Ok(exit),
        Begun::Reply(_) => Err(wrong_reply("a job")),
    }
}
