//! `wharf report incident`.

use crate::{
    commands::{
        error_lines::{self, Span},
        wrong_reply,
    },
    context::{Context, Exit},
    render::{self, ErrorLines},
    session::{Session, SessionError},
};
use jiff::{SignedDuration, Timestamp};
use wharf_proto::{
    AppName, Failure, FailureKind,
    message::{Reply, Request},
    release::{AuditEntry, JobInfo},
};

/// An incident: a timeline and what the logs say, with headings for people to fill in
#[derive(Debug, clap::Args)]
pub struct Args {
    /// From then on: how long ago (90m, 2h), or a time with its zone (2026-11-21T10:00:00Z)
    #[arg(long, value_name = "WHEN", default_value = "24h")]
    since: String,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let at = Timestamp::now();
    let since = moment(&args.since, at)?;
    let config = context.config()?;
    let name = &config.spec.app;
    let session = context.session(&config);
    let app = super::status(&session, name).await?;
    let jobs = super::jobs(&session, name).await?;
    let audit = audit(&session, name).await?;
    let errors = errors(&session, name, since).await?;
    let (cut, audit) = match &audit {
        Ok(audit) => (all_within(audit, |entry| entry.at, since), Ok(audit.as_slice())),
        Err(why) => (all_within(&jobs, |job: &JobInfo| job.started, since), Err(why.clone())),
    };
    let facts = render::IncidentFacts { since, at, app: &app, jobs: &jobs, audit, cut, errors };
    let markdown = render::incident_report(&facts, &context.console.out_style);
    Ok(super::write(context, "incident", name, &markdown))
}

/// Whether a list is as long as it may be, and its oldest entry is not from before `since`.
fn all_within<T>(list: &[T], at: impl Fn(&T) -> Timestamp, since: Timestamp) -> bool {
    list.len() >= super::LISTED as usize && list.iter().all(|entry| at(entry) >= since)
}

fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let time = match text.parse::<SignedDuration>() {
        Ok(ago) => now.checked_sub(ago).ok(),
        Err(_) => text.parse::<Timestamp>().ok(),
    };
    time.filter(|time| *time <= now).ok_or_else(|| {
        Failure::new(FailureKind::Config, format!("--since {text:?} is no time that has been"))
            .hint("write how long ago (90m, 2h) or a time with its zone (2026-01-31T08:00:00Z)")
    })
}

/// The audit, or why this key does not get to see it: that is no reason to tell nothing.
async fn audit(session: &Session, app: &AppName) -> Result<Result<Vec<AuditEntry>, String>, Failure> {
    let request = Request::Audit { app: Some(app.clone()), limit: super::LISTED };
    match session.ask(request).await {
        Ok(Reply::Audit { entries }) => Ok(Ok(entries)),
        Ok(_) => Err(wrong_reply("the audit")),
        Err(SessionError::Agent(failure)) if failure.kind == FailureKind::Unauthorized => {
            Ok(Err(failure.message))
        }
        Err(error) => Err(error.into()),
    }
}

/// Counts them as they come. Where the logs cannot be read the report says why.
async fn errors(
    session: &Session,
    app: &AppName,
    since: Timestamp,
) -> Result<Result<ErrorLines, String>, Failure> {
    let span = Span { app: Some(app.clone()), since: Some(since.to_string()), ..Span::default() };
    match error_lines::count(session, span).await {
        Ok(counted) => Ok(Ok(counted)),
        Err(SessionError::Agent(failure)) => Ok(Err(failure.message)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_began_in_the_past() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        assert_eq!(moment("90m", now).unwrap().to_string(), "2026-11-21T08:30:00Z");
        assert_eq!(moment("2026-11-20T10:00:00+01:00", now).unwrap().to_string(), "2026-11-20T09:00:00Z");
        for wrong in ["yesterday", "", "2027-01-01T00:00:00Z", "-2h"] {
            assert_eq!(moment(wrong, now).unwrap_err().kind, FailureKind::Config, "{wrong}");
        }
    }
}
