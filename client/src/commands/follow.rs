//! Watching a job on behalf of a person or a script: for `deploy`, `rollback` and `--attach`.

use crate::{
    context::{Context, Exit},
    render::{Console, Story},
    session::{self, Backoff, Session, SessionError, Talk, Watched},
};
use std::collections::BTreeMap;
use wharf_proto::{BackupId, Event, Failure, JobId, Outcome, message::Request};

/// How watching ended.
pub(super) enum Followed {
    /// The job is over.
    Over(Outcome),
    /// The person stopped watching; the job goes on.
    Left,
}

impl Followed {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Over(outcome) => Exit(outcome.exit_code()),
            Self::Left => Exit::INTERRUPTED,
        }
    }
}

/// Shows a job from its first event to its last, or until the person stops.
pub(super) async fn follow(
    context: &mut Context,
    session: &Session,
    job: JobId,
    talk: Option<Talk>,
) -> Result<Followed, Failure> {
    let stopped = context.stopped();
    let story = Story::new(context.console.err_style.clone(), context.console.verbosity);
    let mut teller = Teller { console: &mut context.console, story };
    let ended = {
        let watching = session::watch(session, job, talk, 0, Backoff::default(), &mut teller);
        tokio::select! {
            outcome = watching => Some(outcome?),
            () = stopped => None,
        }
    };
    Ok(match ended {
        Some(outcome) => {
            teller.result(job, &outcome);
            Followed::Over(outcome)
        }
        None => {
            teller.console.say(&goes_on(job));
            Followed::Left
        }
    })
}

/// The flags of jobs that make no release.
#[derive(Debug, clap::Args)]
pub(super) struct WatchArgs {
    /// How long to wait for another job of the app
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub lock_wait: u32,
    /// Leave when the job has started; it goes on on the server
    #[arg(long)]
    pub detach: bool,
}

/// Begins a job that makes no release, and watches it to its end.
pub(super) async fn watch(
    context: &mut Context,
    request: Request,
    args: &WatchArgs,
) -> Result<Exit, Failure> {
    let config = context.config()?;
    let session = context.session(&config);
    let stopped = context.stopped();
    let (job, talk) = tokio::select! {
        begun = session::begin(&session, request, args.lock_wait) => begun?,
        () = stopped => {
            context.console.say("Stopped before the server answered; `wharf jobs` shows whether the job began.");
            return Ok(Exit::INTERRUPTED);
        }
    };
    if args.detach {
        super::rollback::detached(context, job);
        return Ok(Exit::DONE);
    }
    Ok(follow(context, &session, job, Some(talk)).await?.exit())
}

/// What to tell whoever no longer watches.
pub(super) fn goes_on(job: JobId) -> String {
    format!("Job {job} goes on on the server. `wharf deploy --attach {job}` shows it from its beginning.")
}

struct Teller<'a> {
    console: &'a mut Console,
    story: Story,
}

/// The last line of `--json`.
#[derive(serde::Serialize)]
struct Result_<'a> {
    job: JobId,
    exit_code: u8,
    #[serde(flatten)]
    outcome: &'a Outcome,
    versions: &'a BTreeMap<String, String>,
    backup: Option<&'a BackupId>,
}

impl Teller<'_> {
    fn result(&mut self, job: JobId, outcome: &Outcome) {
        if self.console.json {
            let (versions, backup) = (self.story.versions(), self.story.backup());
            let result = Result_ { job, exit_code: outcome.exit_code(), outcome, versions, backup };
            self.console.object("result", &result);
        }
    }
}

impl Watched for Teller<'_> {
    fn event(&mut self, event: &Event) {
        let text = self.story.tell(event);
        if self.console.json {
            self.console.object("event", event);
        } else if !text.is_empty() {
            self.console.say(text.trim_end_matches('\n'));
        }
    }

    fn lost(&mut self, error: &SessionError) {
        self.console.say(&format!("      {error}; the job goes on, trying to reach it again …"));
    }

    fn found(&mut self) {
        self.console.say("      connected again");
    }
}
