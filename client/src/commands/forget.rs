//! `wharf forget`.

use super::follow::{WatchArgs, watch};
use crate::{
    context::{Context, Exit},
    session::Asker,
};
use wharf_proto::{AppName, Failure, FailureKind, message::Request};

/// Let the app leave Wharf: what runs, its data, its folder and its backups stay; releases and what was set for it go
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    job: WatchArgs,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let app = config.spec.app.clone();
    let server = config.server.to_string();
    let Some(confirmed) = context.answered(confirmed(&app, &server, context.common.yes)).await else {
        return Ok(Exit::INTERRUPTED);
    };
    let confirmed = confirmed?;
    let lock_wait_seconds = args.job.lock_wait;
    watch(context, Request::Forget { app, confirmed, lock_wait_seconds }, &args.job).await
}

/// The app's name as somebody typed it. With `--yes` nobody is asked: nothing of the app's own is lost.
async fn confirmed(app: &AppName, server: &str, yes: bool) -> Result<String, Failure> {
    if yes {
        return Ok(app.to_string());
    }
    let asked = format!(
        "Wharf on {server} forgets {app}: its releases and their images, its jobs, and what was set and scheduled for it.\n\
         What runs goes on; its data, its folder, its backups and their key stay. Type the app's name to go on"
    );
    let typed = Asker::of_process(yes).type_name(asked).await.map_err(|mut failure| {
        failure.hints.clear();
        failure.hint("run the command on a terminal, or confirm it with --yes")
    })?;
    if typed == app.as_str() {
        return Ok(typed);
    }
    Err(Failure::new(FailureKind::Refused, format!("{typed:?} is not the app's name, which is {app}"))
        .cause("nothing was changed"))
}
