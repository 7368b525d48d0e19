//! `wharf rollback`.

use super::follow;
use crate::{
    context::{Context, Exit},
    render,
    session::{self, Asker, Session, Started},
};
use wharf_proto::{
    Failure, FailureKind, ReleaseId,
    message::{JobOptions, Reply, Request, RollbackRequest},
};

/// Go back to an earlier release, without a build; the data stays as it is
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The release, as `wharf releases` lists it; without it, the one before the live one
    #[arg(value_name = "vN")]
    to: Option<ReleaseId>,
    #[command(flatten)]
    job: JobArgs,
    /// Go back although the database's schema is another now; --yes says so too
    #[arg(long)]
    accept_schema: bool,
}

/// The flags of jobs that change an app.
#[derive(Debug, clap::Args)]
pub(super) struct JobArgs {
    /// Say what would be done; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Let containers lose sight of this volume; the volume itself stays (repeatable)
    #[arg(long, value_name = "VOLUME")]
    pub accept_detach: Vec<String>,
    /// How long to wait for another job of the app
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub lock_wait: u32,
    /// Why, for the releases' list and the audit
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Leave when the job has started; it goes on on the server
    #[arg(long, conflicts_with = "dry_run")]
    pub detach: bool,
}

impl JobArgs {
    pub fn options(&self) -> JobOptions {
        JobOptions {
            dry_run: self.dry_run,
            accept_detach: self.accept_detach.clone(),
            lock_wait_seconds: self.lock_wait,
            message: self.message.clone(),
            ..JobOptions::default()
        }
    }
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let session = context.session(&config);
    let mut options = args.job.options();
    options.accept_schema = args.accept_schema || context.common.yes;
    let request = |options: JobOptions| {
        Request::Rollback(RollbackRequest { app: config.spec.app.clone(), to: args.to, options })
    };
    let begun = begin(context, &session, request(options.clone()), &options, args.job.detach).await;
    let begun = match begun {
        Err(failure) if failure.kind == FailureKind::Consent => {
            match context.answered(consents(context, &failure)).await {
                Some(true) => {}
                Some(false) => return Err(failure),
                None => return Ok(Exit::INTERRUPTED),
            }
            options.accept_schema = true;
            begin(context, &session, request(options.clone()), &options, args.job.detach).await?
        }
        other => other?,
    };
    match begun {
        Begun::Exit(exit) => Ok(exit),
        Begun::Reply(_) => Err(super::wrong_reply("a job")),
    }
}

/// Whether somebody is there who says that it may be done all the same.
async fn consents(context: &Context, failure: &Failure) -> bool {
    let question = format!("{failure}.\n{}.\nGo on?", failure.causes.join("\n"));
    Asker::of_process(context.common.yes).confirm(question).await
}

/// What came of a request that may become a job.
pub(super) enum Begun {
    /// A job, watched to its end or left alone; or a plan, which was shown.
    Exit(Exit),
    Reply(Reply),
}

/// Sends a request that may become a job, and watches the job.
pub(super) async fn begin(
    context: &mut Context,
    session: &Session,
    request: Request,
    options: &JobOptions,
    detach: bool,
) -> Result<Begun, Failure> {
    let stopped = context.stopped();
    let started = tokio::select! {
        started = session::start(session, request, options) => started?,
        () = stopped => {
            context.console.say("Stopped before the server answered; `wharf jobs` shows whether the job began.");
            return Ok(Begun::Exit(Exit::INTERRUPTED));
        }
    };
    let exit = match started {
        Started::Reply(Reply::Plan { plan }) => {
            show_plan(context, &plan);
            Exit::DONE
        }
        Started::Reply(reply) => return Ok(Begun::Reply(reply)),
        Started::Job { job, .. } if detach => {
            detached(context, job);
            Exit::DONE
        }
        Started::Job { job, talk } => follow::follow(context, session, job, Some(*talk)).await?.exit(),
    };
    Ok(Begun::Exit(exit))
}

pub(super) fn show_plan(context: &mut Context, plan: &wharf_proto::plan::DeployPlan) {
    if context.console.json {
        #[derive(serde::Serialize)]
        struct Plan<'a> {
            plan: &'a wharf_proto::plan::DeployPlan,
        }
        context.console.object("plan", &Plan { plan });
    } else {
        let text = render::plan(plan, &context.console.out_style);
        context.console.data(&text);
    }
}

pub(super) fn detached(context: &mut Context, job: wharf_proto::JobId) {
    if context.console.json {
        #[derive(serde::Serialize)]
        struct Detached {
            job: wharf_proto::JobId,
        }
        context.console.object("detached", &Detached { job });
    } else {
        context.console.say(&follow::goes_on(job));
    }
}
