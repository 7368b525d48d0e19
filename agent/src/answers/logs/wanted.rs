//! Which lines are wanted, once the request is understood.

use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use wharf_proto::log::{self, LogsRequest};
use wharf_proto::{Failure, FailureKind};

#[derive(Debug)]
pub(super) struct Wanted {
    /// Empty: all.
    pub services: Vec<String>,
    pub lines: Option<u32>,
    /// Seconds since 1970.
    pub since: Option<i32>,
    pub until: Option<i32>,
    pub grep: Option<Regex>,
}

impl Wanted {
    /// # Errors
    /// A time or a pattern that cannot be read.
    pub fn of(request: &LogsRequest) -> Result<Self, Failure> {
        let time =
            |option, text: &Option<String>| text.as_deref().map(|text| moment(option, text)).transpose();
        let (since, until) = (time("since", &request.since)?, time("until", &request.until)?);
        check_span(since, until, request.follow)?;
        Ok(Self {
            services: request.services.clone(),
            lines: request.lines,
            since,
            until,
            grep: request.grep.as_deref().map(pattern).transpose()?,
        })
    }

    pub fn has(&self, service: &str) -> bool {
        self.services.is_empty() || self.services.iter().any(|wanted| wanted == service)
    }

    pub fn takes(&self, line: &str) -> bool {
        self.grep.as_ref().is_none_or(|pattern| pattern.is_match(line))
    }
}

/// A span that no line can be in would be answered by silence, as if nothing had been written.
fn check_span(since: Option<i32>, until: Option<i32>, follow: bool) -> Result<(), Failure> {
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        return Err(Failure::new(FailureKind::Config, "--until is before --since, so no line is in between")
            .hint("--since 2h --until 1h: from two hours ago to one hour ago"));
    }
    if follow && until.is_some_and(|until| i64::from(until) < Timestamp::now().as_second()) {
        return Err(Failure::new(FailureKind::Config, "what comes is not before --until: that time is over")
            .hint("leave out --follow, or --until"));
    }
    Ok(())
}

fn pattern(text: &str) -> Result<Regex, Failure> {
    log::pattern(text).map_err(|error| {
        Failure::new(FailureKind::Config, format!("--grep {text:?} is not a pattern"))
            .cause(error.to_string())
            .hint("write a regular expression, for example: --grep '(?i)error|panic'")
    })
}

/// A time as people write it: how long ago (`10m`, `1h30m`), or a time of day with its zone.
fn moment(option: &str, text: &str) -> Result<i32, Failure> {
    let time = match text.parse::<SignedDuration>() {
        Ok(ago) => Timestamp::now().checked_sub(ago).ok(),
        Err(_) => text.parse::<Timestamp>().ok(),
    };
    time.and_then(|time| i32::try_from(time.as_second()).ok()).ok_or_else(|| {
        Failure::new(FailureKind::Config, format!("--{option} {text:?} is not a time"))
            .hint("write how long ago (10m, 2h) or a time with its zone (2026-01-31T08:00:00Z)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(moment("since", "1970-01-01T00:01:00Z").unwrap(), 60);
        let now = i32::try_from(Timestamp::now().as_second()).unwrap();
        assert!((moment("since", "10m").unwrap() - (now - 600)).abs() <= 5);
        assert!(moment("since", "yesterday").unwrap_err().message.contains("yesterday"));
    }

    #[test]
    fn a_span_that_holds_nothing_is_told_of() {
        let now = i32::try_from(Timestamp::now().as_second()).unwrap();
        assert!(check_span(Some(now - 60), Some(now - 120), false).is_err());
        assert!(check_span(None, Some(now - 120), true).is_err());
        for (since, until, follow) in [
            (Some(now - 120), Some(now - 60), false),
            (Some(now), Some(now), false),
            (Some(now - 120), Some(now + 60), true),
            (None, None, true),
        ] {
            assert!(check_span(since, until, follow).is_ok(), "{since:?} {until:?} {follow}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_told_of() {
        let failure = pattern("a(").unwrap_err();
        assert_eq!(
            (failure.kind, failure.message.as_str()),
            (FailureKind::Config, "--grep \"a(\" is not a pattern")
        );
        assert!(failure.causes[0].contains("unclosed group"), "{failure:?}");
    }
}
