//! One job: who, when, what changed, how it went.

use super::as_of;
use super::markdown::{block, facts, list, or_none, table, text};
use crate::render::{Style, duration, plan, tables};
use jiff::Timestamp;
use std::time::Duration;
use wharf_proto::event::{Event, EventBody, Level};
use wharf_proto::release::{JobInfo, ReleaseInfo};
use wharf_proto::{Failure, Outcome, Step};

pub struct DeployFacts<'a> {
    pub at: Timestamp,
    pub job: &'a JobInfo,
    /// From the first one on; of the output as much as its collector kept.
    pub events: &'a [Event],
    /// The release that the job made, where it is still known.
    pub release: Option<&'a ReleaseInfo>,
}

pub fn deploy(facts_: &DeployFacts<'_>, style: &Style) -> String {
    let DeployFacts { at, job, events, release } = facts_;
    let kind = tables::job_kind(&job.kind);
    let mut out = format!(
        "# Job {} of {}: {}\n\nAs of {}.\n\n",
        job.job,
        text(job.app.as_str()),
        text(&kind),
        as_of(*at, style)
    );
    let message = release.and_then(|release| release.message.clone());
    let commit = release.and_then(|release| release.git_commit.clone());
    out += &facts(&[
        ("Outcome", job.outcome.as_ref().map_or("it runs".into(), in_words)),
        ("By", job.by.clone()),
        ("Started", style.time(job.started)),
        ("Took", job.finished.map(|end| between(job.started, end)).unwrap_or_default()),
        ("Message", message.unwrap_or_default()),
        ("Commit", commit.unwrap_or_default()),
        ("Backup before", backup(events)),
    ]);
    if let Some(failure) = job.outcome.as_ref().and_then(failure_of) {
        out += &format!("\n## Failure\n\n{}", failed(failure));
        if let Some(Outcome::NotPutBack { put_back, .. }) = &job.outcome {
            out += &format!("\nAnd what ran before could not be put back:\n\n{}", failed(put_back));
        }
        out += &output(events);
    }
    if let Some(planned) = events.iter().find_map(|event| match &event.body {
        EventBody::Planned { plan } => Some(plan),
        _ => None,
    }) {
        out += &format!(
            "\n## What was to change\n\n{}",
            block(&plan(planned, &Style { colour: false, ..style.clone() }))
        );
    }
    out += &format!("\n## Steps\n\n{}", or_none(table(&["Step", "Result", "Took"], &steps(events))));
    let warnings = events.iter().filter_map(|event| match &event.body {
        EventBody::Note { level: Level::Warning, text } => Some(text.as_str()),
        _ => None,
    });
    let warnings = list(warnings);
    if warnings.is_empty() { out } else { format!("{out}\n## Warnings\n\n{warnings}") }
}

fn in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Released { release } => format!("{release} is live"),
        Outcome::Failed { .. } => "failed before anything was changed".to_owned(),
        Outcome::PutBack { live: Some(live), .. } => {
            format!("failed and put back: {live} serves again as before")
        }
        Outcome::PutBack { live: None, .. } => "failed and put back: nothing ran before".to_owned(),
        Outcome::NotPutBack { .. } => {
            "FAILED, and what ran before could NOT be put back: a person is needed".to_owned()
        }
        Outcome::Done { summary } => summary.clone(),
        Outcome::Postponed { .. } => {
            "postponed: it gave way to another job; the app was not changed".to_owned()
        }
        Outcome::Unknown => tables::outcome(outcome),
    }
}

fn failure_of(outcome: &Outcome) -> Option<&Failure> {
    match outcome {
        Outcome::Failed { failure }
        | Outcome::Postponed { failure }
        | Outcome::PutBack { failure, .. }
        | Outcome::NotPutBack { failure, .. } => Some(failure),
        Outcome::Released { .. } | Outcome::Done { .. } | Outcome::Unknown => None,
    }
}

fn failed(failure: &Failure) -> String {
    let mut out = format!("**{}**\n", text(&failure.message));
    if !failure.causes.is_empty() {
        out += &format!("\nBecause:\n\n{}", list(failure.causes.iter().map(String::as_str)));
    }
    if !failure.hints.is_empty() {
        out += &format!("\nWhat to do:\n\n{}", list(failure.hints.iter().map(String::as_str)));
    }
    out
}

/// What the step that failed wrote last.
fn output(events: &[Event]) -> String {
    let failed = events.iter().find_map(|event| match &event.body {
        EventBody::StepFailed { step, .. } => Some(*step),
        _ => None,
    });
    let line = |event: &Event| match &event.body {
        EventBody::Output { step, service, line } if Some(*step) == failed => Some(match service {
            Some(service) => format!("{service} | {line}\n"),
            None => format!("{line}\n"),
        }),
        _ => None,
    };
    let lines: String = events.iter().filter_map(line).collect();
    match failed {
        Some(step) if !lines.is_empty() => {
            format!("\nWhat was written last in the step '{}':\n\n{}", step.title(), block(&lines))
        }
        _ => String::new(),
    }
}

fn backup(events: &[Event]) -> String {
    let made = events.iter().find_map(|event| match &event.body {
        EventBody::BackedUp { backup, summary } => Some(format!("{}: {summary}", backup.short())),
        _ => None,
    });
    made.unwrap_or_default()
}

/// Each step that was begun or skipped, in the order of the events.
fn steps(events: &[Event]) -> Vec<Vec<String>> {
    let row = |step: Step, result: String, took: String| vec![step.title().to_owned(), result, took];
    let began = |step: Step, before: usize| {
        events
            .iter()
            .take(before)
            .rev()
            .find(|event| matches!(event.body, EventBody::StepStarted { step: s } if s == step))
    };
    let mut rows = Vec::new();
    for (place, event) in events.iter().enumerate() {
        match &event.body {
            EventBody::StepFinished { step, duration_ms } => {
                rows.push(row(*step, "done".into(), duration(Duration::from_millis(*duration_ms))));
            }
            EventBody::StepSkipped { step, why } => {
                rows.push(row(*step, format!("skipped: {why}"), String::new()))
            }
            EventBody::StepFailed { step, failure } => {
                let took = began(*step, place).map(|began| between(began.at, event.at));
                rows.push(row(*step, format!("FAILED: {}", failure.message), took.unwrap_or_default()));
            }
            _ => {}
        }
    }
    rows
}

fn between(from: Timestamp, to: Timestamp) -> String {
    duration(Duration::try_from(to.duration_since(from)).unwrap_or_default())
}
