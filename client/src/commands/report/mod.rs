//! `wharf report`.

mod deploy;
mod health;
mod incident;

use super::wrong_reply;
use crate::{
    context::{Context, Exit},
    session::Session,
};
use clap::Subcommand;
use wharf_proto::{
    AppName, Failure, FailureKind,
    message::{Reply, Request},
    release::{AppStatus, JobInfo, ReleaseInfo},
};

/// The most jobs and audit entries that a server lists.
const LISTED: u32 = 1_000;

/// Write a report in Markdown, with the facts filled in
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    report: Report,
}

#[derive(Debug, Subcommand)]
enum Report {
    Health(health::Args),
    Deploy(deploy::Args),
    Incident(incident::Args),
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    match args.report {
        Report::Health(args) => health::run(args, context).await,
        Report::Deploy(args) => deploy::run(args, context).await,
        Report::Incident(args) => incident::run(args, context).await,
    }
}

#[derive(serde::Serialize)]
struct Written<'a> {
    report: &'a str,
    app: &'a AppName,
    markdown: &'a str,
}

fn write(context: &mut Context, report: &str, app: &AppName, markdown: &str) -> Exit {
    if context.console.json {
        context.console.object("report", &Written { report, app, markdown });
    } else {
        context.console.data(markdown);
    }
    Exit::DONE
}

async fn status(session: &Session, app: &AppName) -> Result<AppStatus, Failure> {
    let Reply::Status { apps } = session.ask(Request::Status { app: Some(app.clone()) }).await? else {
        return Err(wrong_reply("the status"));
    };
    apps.into_iter()
        .find(|status| status.app == *app)
        .ok_or_else(|| Failure::new(FailureKind::NotFound, format!("the server told nothing of {app}")))
}

async fn releases(session: &Session, app: &AppName) -> Result<Vec<ReleaseInfo>, Failure> {
    match session.ask(Request::Releases { app: app.clone() }).await? {
        Reply::Releases { releases } => Ok(releases),
        _ => Err(wrong_reply("the releases")),
    }
}

/// Newest first.
async fn jobs(session: &Session, app: &AppName) -> Result<Vec<JobInfo>, Failure> {
    match session.ask(Request::Jobs { app: Some(app.clone()), limit: LISTED }).await? {
        Reply::Jobs { jobs } => Ok(jobs),
        _ => Err(wrong_reply("the jobs")),
    }
}
