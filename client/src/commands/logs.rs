//! `wharf logs`.

use crate::{
    context::{Context, Exit},
    render::clean,
};
use std::time::Duration;
use wharf_proto::{
    Failure, FailureKind,
    message::{LogsRequest, Request, ServerMessage},
};

/// How long the server may take for the next line when it does not follow.
const LINE_WITHIN: Duration = Duration::from_secs(120);

/// Show what the containers write
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these services
    services: Vec<String>,
    /// Go on as new lines come
    #[arg(short, long)]
    follow: bool,
    /// How many lines from the end; `all` for all
    #[arg(short = 'n', long, value_name = "COUNT", default_value = "200", value_parser = lines)]
    lines: Lines,
    /// From then on: a duration (10m, 2h) or a time (2026-11-21T10:00:00)
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
    service: &'a str,
    line: &'a str,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let request = LogsRequest {
        app: config.spec.app.clone(),
        services: args.services,
        follow: args.follow,
        lines: args.lines.0,
        since: args.since,
        until: args.until,
    };
    let mut talk = context.session(&config).open(Request::Logs(request)).await?;
    let within = (!args.follow).then_some(LINE_WITHIN);
    let bold = context.console.out_style.clone();
    while !context.console.is_closed() {
        match talk.next("a line", within).await? {
            ServerMessage::Line { service, line } if context.console.json => {
                context.console.object("line", &Line { service: &service, line: &line });
            }
            ServerMessage::Line { service, line } => {
                let text = format!("{} | {}\n", bold.bold(&clean(&service)), clean(&line));
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
