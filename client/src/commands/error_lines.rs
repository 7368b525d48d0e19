//! How many lines of the logs look like errors: for `wharf logs --errors` and `wharf report incident`.

use crate::{
    render::ErrorLines,
    session::{Session, SessionError},
};
use std::time::Duration;
use wharf_proto::{
    AppName,
    log::LogsRequest,
    message::{Request, ServerMessage},
};

/// What a line that tells of an error looks like.
pub(super) const ERRORS: &str = r"(?i)\b(error|exception|traceback|panic|panicked|fatal|critical)\b";
/// Where counting ends.
const COUNTED: u64 = 100_000;
/// How long the server may take for the next line: it may have to read long.
const LINE_WITHIN: Duration = Duration::from_secs(600);

/// Whose lines are counted, and from when to when.
#[derive(Debug, Default)]
pub(super) struct Span {
    /// `None`: every app that the key may see.
    pub app: Option<AppName>,
    /// Empty: all.
    pub services: Vec<String>,
    pub since: Option<String>,
    pub until: Option<String>,
}

/// Counts them as they come. A service that was named is told of even where it has none.
pub(super) async fn count(session: &Session, span: Span) -> Result<ErrorLines, SessionError> {
    let mut errors = ErrorLines { pattern: ERRORS.to_owned(), ..ErrorLines::default() };
    if span.app.is_some() {
        errors.counts.extend(span.services.iter().map(|service| ((None, service.clone()), 0)));
    }
    let request = LogsRequest {
        app: span.app,
        services: span.services,
        follow: false,
        lines: None,
        since: span.since,
        until: span.until,
        grep: Some(ERRORS.to_owned()),
    };
    let mut talk = session.open(Request::Logs(request)).await?;
    let mut counted = 0;
    while let ServerMessage::Line { app, service, .. } = talk.next("a line", Some(LINE_WITHIN)).await? {
        *errors.counts.entry((app, service)).or_default() += 1;
        counted += 1;
        if counted == COUNTED {
            errors.more = true;
            break;
        }
    }
    Ok(errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_an_error() {
        let errors = wharf_proto::log::pattern(ERRORS).unwrap();
        for line in
            ["ERROR: relation does not exist", "Traceback (most recent call last):", "thread panicked at"]
        {
            assert!(errors.is_match(line), "{line}");
        }
        for line in ["GET /terrors 200", "no problem"] {
            assert!(!errors.is_match(line), "{line}");
        }
    }
}
