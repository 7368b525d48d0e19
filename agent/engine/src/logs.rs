//! What containers wrote.

use crate::line::LineSplitter;
use crate::{Engine, EngineError, StreamKind};
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use futures_util::{Stream, StreamExt, future, stream};

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
}

#[derive(Default)]
struct Splitters {
    stdout: LineSplitter,
    stderr: LineSplitter,
}

impl Engine {
    /// The log of a container, line by line. Ends after an error.
    pub fn logs(
        &self,
        container: &str,
        options: &LogOptions,
    ) -> impl Stream<Item = Result<(StreamKind, String), EngineError>> + Send + use<> {
        let query = LogsOptions {
            follow: options.follow,
            stdout: true,
            stderr: true,
            since: options.since.unwrap_or(0),
            until: options.until.unwrap_or(0),
            timestamps: false,
            tail: options.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string()),
        };
        let action = format!("read the log of container {container}");
        let pieces = self.docker.logs(container, Some(query)).map(Some).chain(stream::iter([None]));
        pieces
            .scan(Splitters::default(), move |splitters, piece| {
                future::ready(Some(match piece {
                    Some(Ok(output)) => splitters.push(&output),
                    Some(Err(source)) => vec![Err(EngineError::of(action.as_str(), source))],
                    None => splitters.finish(),
                }))
            })
            .flat_map(stream::iter)
    }
}

impl Splitters {
    fn push(&mut self, output: &LogOutput) -> Vec<Result<(StreamKind, String), EngineError>> {
        let (kind, splitter, bytes) = match output {
            LogOutput::StdErr { message } => (StreamKind::Stderr, &mut self.stderr, message),
            LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
                (StreamKind::Stdout, &mut self.stdout, message)
            }
        };
        let mut lines = Vec::new();
        splitter.push(bytes, |line| lines.push(Ok((kind, line))));
        lines
    }

    fn finish(&mut self) -> Vec<Result<(StreamKind, String), EngineError>> {
        let stdout = self.stdout.finish().map(|line| Ok((StreamKind::Stdout, line)));
        let stderr = self.stderr.finish().map(|line| Ok((StreamKind::Stderr, line)));
        stdout.into_iter().chain(stderr).collect()
    }
}
