//! `wharf rollback`.

use super::follow;
use crate::{
    context::{Context, Exit},
    render,
    session::{self, Shipped},
};
use wharf_proto::{
    Failure, ReleaseId,
    message::{JobOptions, RollbackRequest},
};

/// Go back to an earlier release, without a build; the data stays as it is
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The release, as `wharf releases` lists it; without it, the one before the live one
    #[arg(value_name = "vN")]
    to: Option<ReleaseId>,
    #[command(flatten)]
    job: JobArgs,
    /// Leave when the job has started; it goes on on the server
    #[arg(long)]
    detach: bool,
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
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let session = context.session(&config);
    let request = RollbackRequest {
        app: config.spec.app.clone(),
        to: args.to,
        options: JobOptions {
            dry_run: args.job.dry_run,
            accept_detach: args.job.accept_detach,
            lock_wait_seconds: args.job.lock_wait,
            message: args.job.message,
            ..JobOptions::default()
        },
    };
    let stopped = context.stopped();
    let started = tokio::select! {
        started = session::rollback(&session, request) => started?,
        () = stopped => {
            context.console.say("Stopped before the server answered; `wharf jobs` shows whether the rollback began.");
            return Ok(Exit::INTERRUPTED);
        }
    };
    match started {
        Shipped::Plan { plan, .. } => {
            show_plan(context, &plan);
            Ok(Exit::DONE)
        }
        Shipped::Job { job, .. } if args.detach => {
            detached(context, job);
            Ok(Exit::DONE)
        }
        Shipped::Job { job, talk, .. } => {
            Ok(follow::follow(context, &session, job, Some(*talk)).await?.exit())
        }
    }
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
