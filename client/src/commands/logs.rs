//! `wharf logs`.

use super::error_lines::{self, Span};
use crate::{
    context::{Context, Exit},
    render::{self, clean},
};
use std::time::Duration;
use wharf_proto::{
    AppName, Failure, FailureKind,
    log::{self, LogsRequest},
    message::{Request, ServerMessage},
};

/// How long the server may take for the next line when it does not follow: with a pattern it may have to read long.
const LINE_WITHIN: Duration = Duration::from_secs(600);

/// Show what the containers write
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these services
    services: Vec<String>,
    /// Go on as new lines come
    #[arg(short, long)]
    follow: bool,
    /// Every app on the server that the key may see
    #[arg(long)]
    all: bool,
    /// Only lines that this regular expression matches
    #[arg(short, long, value_name = "PATTERN")]
    grep: Option<String>,
    /// Count, for each service, the lines that look like errors, of all that there are in the time that is asked for
    #[arg(long, conflicts_with_all = ["follow", "grep", "lines"])]
    errors: bool,
    /// How many lines from the end, of those that match; `all` for all
    #[arg(short = 'n', long, value_name = "COUNT", default_value = "200", value_parser = lines)]
    lines: Lines,
    /// From then on: a duration (10m, 2h) or a time (2026-11-21T10:00:00Z)
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Up to then
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lines(Option<u32>);

fn lines(text: &str) -> Result<Lines, String> {
    match text {
        "all" => Ok(Lines(None)),
        _ => text.parse().map(|count| Lines(Some(count))).map_err(|_| "a number, or `all`".to_owned()),
    }
}

#[derive(serde::Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a AppName>,
    service: &'a str,
    line: &'a str,
}

/// Said before the server is asked, and by the rules that the server has, too.
fn check_pattern(text: &str) -> Result<(), Failure> {
    log::pattern(text).map(drop).map_err(|error| {
        Failure::new(FailureKind::Config, format!("--grep {text:?} is not a pattern"))
            .cause(error.to_string())
            .hint("write a regular expression, for example: wharf logs --grep '(?i)error|panic'")
    })
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    args.grep.as_deref().map(check_pattern).transpose()?;
    if args.errors {
        return count(args, context).await;
    }
    let config = context.config()?;
    let request = LogsRequest {
        app: (!args.all).then(|| config.spec.app.clone()),
        services: args.services,
        follow: args.follow,
        lines: args.lines.0,
        since: args.since,
        until: args.until,
        grep: args.grep,
    };
    let mut talk = context.session(&config).open(Request::Logs(request)).await?;
    let within = (!args.follow).then_some(LINE_WITHIN);
    let bold = context.console.out_style.clone();
    while !context.console.is_closed() {
        match talk.next("a line", within).await? {
            ServerMessage::Line { app, service, line } if context.console.json => {
                let line = Line { app: app.as_ref(), service: &service, line: &line };
                context.console.object("line", &line);
            }
            ServerMessage::Line { app, service, line } => {
                let whose = app.map_or_else(|| service.clone(), |app| format!("{app}/{service}"));
                let text = format!("{} | {}\n", bold.bold(&clean(&whose)), clean(&line));
                context.console.data(&text);
            }
            ServerMessage::End => return Ok(Exit::DONE),
            _ => {
                return Err(Failure::new(
                    FailureKind::Internal,
                    "the server sent something else than log lines",
                ));
            }
        }
    }
    Ok(Exit::DONE)
}

#[derive(serde::Serialize)]
struct Errors<'a> {
    counts: Vec<Count<'a>>,
    pattern: &'a str,
    more: bool,
}

#[derive(serde::Serialize)]
struct Count<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a AppName>,
    service: &'a str,
    lines: u64,
}

/// The command that shows the very lines that were counted.
fn to_read(args: &Args, pattern: &str) -> String {
    let when = [("--since", &args.since), ("--until", &args.until)];
    let when = when.into_iter().filter_map(|(name, when)| Some(format!("{name} {}", when.as_ref()?)));
    let words = std::iter::once("wharf logs".to_owned())
        .chain(args.services.iter().cloned())
        .chain(args.all.then(|| "--all".to_owned()))
        .chain(when)
        .chain([format!("-n all --grep '{pattern}'")]);
    words.collect::<Vec<_>>().join(" ")
}

async fn count(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let to_read = to_read(&args, error_lines::ERRORS);
    let span = Span {
        app: (!args.all).then(|| config.spec.app.clone()),
        services: args.services,
        since: args.since,
        until: args.until,
    };
    let errors = error_lines::count(&context.session(&config), span).await?;
    if context.console.json {
        let each = errors.counts.iter();
        let counts = each.map(|((app, service), lines)| Count { app: app.as_ref(), service, lines: *lines });
        let told = Errors { counts: counts.collect(), pattern: &errors.pattern, more: errors.more };
        context.console.object("errors", &told);
        return Ok(Exit::DONE);
    }
    if errors.counts.values().all(|count| *count == 0) {
        context.console.say("no line looks like an error");
    }
    if !errors.counts.is_empty() {
        let text = render::error_lines(&errors, &context.console.out_style);
        context.console.data(&text);
        context.console.note(&format!("to read them: {to_read}"));
    }
    if errors.more {
        context.console.say("counting ended here: there are more");
    }
    Ok(Exit::DONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Logs {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_lines_that_were_counted_can_be_read() {
        let told = |text: &str| to_read(&Logs::parse_from(text.split(' ')).args, "(?i)error");
        insta::assert_snapshot!(told("logs --errors"), @"wharf logs -n all --grep '(?i)error'");
        insta::assert_snapshot!(told("logs web db --errors --since 1h"), @"wharf logs web db --since 1h -n all --grep '(?i)error'");
        insta::assert_snapshot!(told("logs --errors --all --since 2h --until 1h"), @"wharf logs --all --since 2h --until 1h -n all --grep '(?i)error'");
    }
}
