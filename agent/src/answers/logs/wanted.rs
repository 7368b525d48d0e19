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
        Ok(Self {
            services: request.services.clone(),
            lines: request.lines,
            since: time("since", &request.since)?,
            until: time("until", &request.until)?,
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
    fn a_pattern_that_is_none_is_told_of() {
        let failure = pattern("a(").unwrap_err();
        assert_eq!(
            (failure.kind, failure.message.as_str()),
            (FailureKind::Config, "--grep \"a(\" is not a pattern")
        );
        assert!(failure.causes[0].contains("unclosed group"), "{failure:?}");
    }
}
