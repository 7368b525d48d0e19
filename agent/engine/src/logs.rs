//! What containers wrote.

use crate::line::LineSplitter;
use crate::{Engine, EngineError, StreamKind};
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use futures_util::{Stream, StreamExt, future, stream};
use jiff::Timestamp;

/// Which part of a container's log is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Goes on with what the container writes from now on, until it ends.
    pub follow: bool,
    /// How many lines from the end; `None`: all.
    pub tail: Option<u32>,
    /// Seconds since 1970.
    pub since: Option<i32>,
    /// Seconds since 1970.
    pub until: Option<i32>,
    /// Only what was written later than this, to the nanosecond, instead of `since`: where reading goes on.
    pub after: Option<Timestamp>,
}

/// One line of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub kind: StreamKind,
    pub text: String,
    /// When it was written; `None`: the engine's log driver does not tell.
    pub at: Option<Timestamp>,
}

/// One of a container's two outputs.
#[derive(Default)]
struct Output {
    splitter: LineSplitter,
    at: Option<Timestamp>,
}

#[derive(Default)]
struct Outputs {
    stdout: Output,
    stderr: Output,
    after: Option<Timestamp>,
}

impl Engine {
    /// The log of a container, line by line. Ends after an error.
    pub fn logs(
        &self,
        container: &str,
        options: &LogOptions,
    ) -> impl Stream<Item = Result<LogLine, EngineError>> + Send + use<> {
        let after = options.after.and_then(|after| i32::try_from(after.as_second()).ok());
        let query = LogsOptions {
            follow: options.follow,
            stdout: true,
            stderr: true,
            since: after.or(options.since).unwrap_or(0),
            until: options.until.unwrap_or(0),
            timestamps: true,
            tail: options.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string()),
        };
        let action = format!("read the log of container {container}");
        let pieces = self.docker.logs(container, Some(query)).map(Some).chain(stream::iter([None]));
        let outputs = Outputs { after: options.after, ..Outputs::default() };
        pieces
            .scan(outputs, move |outputs, piece| {
                future::ready(Some(match piece {
                    Some(Ok(output)) => outputs.push(&output),
                    Some(Err(source)) => vec![Err(EngineError::of(action.as_str(), source))],
                    None => outputs.finish(),
                }))
            })
            .flat_map(stream::iter)
    }
}

type Lines = Vec<Result<LogLine, EngineError>>;

impl Outputs {
    fn push(&mut self, output: &LogOutput) -> Lines {
        let (kind, output, bytes) = match output {
            LogOutput::StdErr { message } => (StreamKind::Stderr, &mut self.stderr, message),
            LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
                (StreamKind::Stdout, &mut self.stdout, message)
            }
        };
        let (at, text) = stamped(bytes);
        // The engine's own bound is in whole seconds.
        if at.is_some() && at <= self.after {
            return Vec::new();
        }
        output.at = at.or(output.at);
        let at = output.at;
        let mut lines = Vec::new();
        output.splitter.push(text, |text| lines.push(Ok(LogLine { kind, text, at })));
        lines
    }

    fn finish(&mut self) -> Lines {
        let last = |kind, output: &mut Output| {
            let at = output.at;
            output.splitter.finish().map(|text| Ok(LogLine { kind, text, at }))
        };
        let stdout = last(StreamKind::Stdout, &mut self.stdout);
        stdout.into_iter().chain(last(StreamKind::Stderr, &mut self.stderr)).collect()
    }
}

/// A piece of a log without the time that the engine wrote before it. A line that is longer than the engine's pieces has
/// one before each of them.
fn stamped(piece: &[u8]) -> (Option<Timestamp>, &[u8]) {
    let Some(end) = piece.iter().take(40).position(|byte| *byte == b' ') else { return (None, piece) };
    let at = piece.get(..end).and_then(|stamp| str::from_utf8(stamp).ok()?.parse::<Timestamp>().ok());
    match at {
        Some(at) => (Some(at), piece.get(end + 1..).unwrap_or_default()),
        None => (None, piece),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(outputs: &mut Outputs, pieces: &[&str]) -> Vec<String> {
        let piece = |text: &&str| LogOutput::StdOut { message: text.as_bytes().to_vec().into() };
        let mut lines: Lines = pieces.iter().flat_map(|text| outputs.push(&piece(text))).collect();
        lines.extend(outputs.finish());
        lines.into_iter().map(|line| line.unwrap().text).collect()
    }

    #[test]
    fn the_engines_times_are_no_part_of_the_lines() {
        let pieces = [
            "2026-01-02T03:04:05.000000001Z one\n",
            // One line in two pieces.
            "2026-01-02T03:04:05.000000002Z two ",
            "2026-01-02T03:04:05.000000003Z and more\n",
            "2026-01-02T04:04:05.000000004+01:00 \n",
            "no time at all\n",
        ];
        let all = ["one", "two and more", "", "no time at all"];
        assert_eq!(lines(&mut Outputs::default(), &pieces), all);
    }

    #[test]
    fn reading_goes_on_where_it_ended() {
        let at = |nanosecond: u32| format!("2026-01-02T03:04:05.{nanosecond:09}Z");
        let pieces = [at(1) + " one\n", at(2) + " two\n", at(3) + " three\n"];
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let mut outputs = Outputs { after: Some(at(2).parse().unwrap()), ..Outputs::default() };
        assert_eq!(lines(&mut outputs, &pieces), ["three"]);
    }
}
