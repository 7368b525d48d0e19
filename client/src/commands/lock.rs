//! `wharf lock` and `wharf unlock`.

use super::wrong_reply;
use crate::{
    context::{Context, Exit},
    render,
};
use serde::Serialize;
use wharf_proto::{
    AppName, Failure, JobId,
    lock::DeployLock,
    message::{Reply, Request},
};

/// Keep everybody from changing the app: deploys, rollbacks, scaling, restarts, secrets and restores over, until `wharf unlock`
#[derive(Debug, clap::Args)]
pub struct LockArgs {
    /// Why: whoever is refused is told
    #[arg(short, long, value_name = "REASON", conflicts_with = "status")]
    message: Option<String>,
    /// Say whether the app is locked, and change nothing
    #[arg(long)]
    status: bool,
}

/// Lift the lock: the app may be changed again
#[derive(Debug, clap::Args)]
pub struct UnlockArgs {}

/// As `--json` tells it.
#[derive(Serialize)]
struct Told<'a> {
    app: &'a AppName,
    locked: bool,
    /// The lock that holds or, of `unlock`, the one that was lifted.
    lock: Option<&'a DeployLock>,
    /// The job that runs now, and goes on.
    job: Option<JobId>,
}

pub(super) async fn lock(args: LockArgs, context: &mut Context) -> Result<Exit, Failure> {
    let app = context.config()?.spec.app;
    let (lock, job) = if args.status {
        ask(context, Request::LockStatus { app: app.clone() }).await?
    } else {
        ask(context, Request::Lock { app: app.clone(), reason: args.message }).await?
    };
    if context.console.json {
        let told = Told { app: &app, locked: lock.is_some(), lock: lock.as_ref(), job };
        context.console.object("lock", &told);
        return Ok(Exit::DONE);
    }
    let style = &context.console.out_style;
    match (&lock, args.status) {
        (Some(lock), true) => {
            let text = format!("{app} is {}\n", render::locked(lock, style));
            context.console.data(&text);
        }
        (None, _) => context.console.data(&format!("{app} is not locked\n")),
        (Some(_), false) => {
            context.console.say(&format!("{app} is locked; `wharf unlock` lifts it"));
            if let Some(job) = job {
                context.console.say(&format!("job {job} had begun and goes on: wharf deploy --attach {job}"));
            }
        }
    }
    Ok(Exit::DONE)
}

pub(super) async fn unlock(_: UnlockArgs, context: &mut Context) -> Result<Exit, Failure> {
    let app = context.config()?.spec.app;
    let (lifted, job) = ask(context, Request::Unlock { app: app.clone() }).await?;
    if context.console.json {
        context.console.object("lock", &Told { app: &app, locked: false, lock: lifted.as_ref(), job });
        return Ok(Exit::DONE);
    }
    match lifted {
        Some(lock) => {
            let was = render::locked(&lock, &context.console.out_style);
            context.console.say(&format!("{app} may be changed again; it was {was}"));
        }
        None => context.console.say(&format!("{app} was not locked")),
    }
    Ok(Exit::DONE)
}

async fn ask(
    context: &mut Context,
    request: Request,
) -> Result<(Option<DeployLock>, Option<JobId>), Failure> {
    let config = context.config()?;
    match context.session(&config).ask(request).await? {
        Reply::Lock { lock, job } => Ok((lock, job)),
        _ => Err(wrong_reply("whether the app is locked")),
    }
}
