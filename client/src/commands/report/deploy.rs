//! `wharf report deploy`.

use crate::{
    context::{Context, Exit},
    render,
    session::{self, Backoff, SessionError, Watched},
};
use jiff::Timestamp;
use std::collections::VecDeque;
use wharf_proto::{
    AppName, Event, EventBody, Failure, FailureKind, JobId, Outcome, event::JobKind, release::JobInfo,
};

/// How many lines of output are kept: the last ones.
const OUTPUT_LINES: usize = 40;
/// How many other events: the first ones, and of a job's steps there are never so many.
const EVENTS: usize = 2_000;

/// One job: who, when, what changed, its steps, and why it failed
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its number; without it: the newest deploy or rollback
    job: Option<JobId>,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let name = &config.spec.app;
    let session = context.session(&config);
    let job = find(super::jobs(&session, name).await?, args.job, name)?;
    let mut events = Events::default();
    session::watch(&session, job.job, None, 0, Backoff::default(), &mut events).await?;
    let releases = super::releases(&session, name).await?;
    // A deploy that failed made none, and a rollback none of its own.
    let made = match (&job.kind, &job.outcome) {
        (JobKind::Deploy { release }, Some(Outcome::Released { .. })) => Some(*release),
        _ => None,
    };
    let facts = render::DeployFacts {
        at: Timestamp::now(),
        job: &job,
        events: &events.in_order(),
        release: releases.iter().find(|release| Some(release.release) == made),
    };
    let markdown = render::deploy_report(&facts, &context.console.out_style);
    Ok(super::write(context, "deploy", name, &markdown))
}

/// The job that is asked for, which must be over.
fn find(jobs: Vec<JobInfo>, wanted: Option<JobId>, app: &AppName) -> Result<JobInfo, Failure> {
    let found = match wanted {
        Some(wanted) => jobs.into_iter().find(|job| job.job == wanted).ok_or_else(|| {
            Failure::new(FailureKind::NotFound, format!("{app} has no job {wanted}"))
                .hint("list them: wharf jobs")
        })?,
        None => jobs.into_iter().find(|job| changes_release(&job.kind)).ok_or_else(|| {
            Failure::new(FailureKind::NotFound, format!("{app} was never deployed"))
                .hint("name a job: wharf jobs lists them")
        })?,
    };
    if found.outcome.is_none() {
        let job = found.job;
        return Err(Failure::new(FailureKind::Busy, format!("job {job} still runs"))
            .hint(format!("watch it to its end: wharf deploy --attach {job}")));
    }
    Ok(found)
}

fn changes_release(kind: &JobKind) -> bool {
    matches!(kind, JobKind::Deploy { .. } | JobKind::Rollback { .. })
}

/// A job's events, within bounds.
#[derive(Default)]
struct Events {
    kept: Vec<Event>,
    output: VecDeque<Event>,
}

impl Events {
    fn in_order(self) -> Vec<Event> {
        let mut all = self.kept;
        all.extend(self.output);
        all.sort_by_key(|event| event.index);
        all
    }
}

impl Watched for Events {
    fn event(&mut self, event: &Event) {
        if matches!(event.body, EventBody::Output { .. }) {
            self.output.push_back(event.clone());
            if self.output.len() > OUTPUT_LINES {
                self.output.pop_front();
            }
        } else if self.kept.len() < EVENTS {
            self.kept.push(event.clone());
        }
    }

    fn lost(&mut self, _error: &SessionError) {}

    fn found(&mut self) {}
}
