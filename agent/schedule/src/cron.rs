//! Cron's five fields in a time zone.
//!
//! The cron library looks for *local* times alone; which moment a local time is, where the clocks are put forward or back,
//! is decided here.

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use std::str::FromStr;

/// The longest text that is read as a schedule.
const SCHEDULE_BYTES: usize = 256;
/// The longest time that clocks skip at once: the islands that changed sides of the date line lost a day.
const SKIPPED_MINUTES: i64 = 25 * 60;
/// The most local times that one moment can be looked for behind: a doubled hour or day of a schedule for every minute.
const TRIES: usize = 2 * 24 * 60;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("{schedule:?} is not a schedule: {why}")]
    Syntax { schedule: String, why: String },
    #[error("{schedule:?} never comes")]
    Never { schedule: String },
    #[error("{zone:?} is not a time zone")]
    Zone { zone: String },
}

/// A time zone, by its IANA name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(Tz);

impl Zone {
    pub const UTC: Self = Self(Tz::UTC);

    /// The local time of a moment.
    pub(crate) fn local(self, at: Timestamp) -> NaiveDateTime {
        self.0.from_utc_datetime(&utc(at).naive_utc()).naive_local()
    }

    /// The moment of a local time; where the clocks pass it twice, the first one, and where they skip it, the first one
    /// after.
    fn moment(self, local: NaiveDateTime) -> Option<Timestamp> {
        let found = (0..=SKIPPED_MINUTES)
            .map(|minutes| local + TimeDelta::minutes(minutes))
            .find_map(|local| self.0.from_local_datetime(&local).earliest())?;
        Timestamp::from_second(found.timestamp()).ok()
    }
}

impl FromStr for Zone {
    type Err = ScheduleError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        name.parse().map(Self).map_err(|_| ScheduleError::Zone { zone: name.to_owned() })
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

/// A schedule: local times in a zone.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    zone: Zone,
}

impl Schedule {
    /// Reads cron's five fields: minute, hour, day, month, weekday.
    ///
    /// # Errors
    /// Text that is no schedule, or one that never comes, such as 30 February.
    pub fn parse(text: &str, zone: Zone) -> Result<Self, ScheduleError> {
        let syntax = |why: String| ScheduleError::Syntax {
            schedule: text.chars().take(SCHEDULE_BYTES).collect(),
            why,
        };
        if text.len() > SCHEDULE_BYTES {
            return Err(syntax("it is too long".to_owned()));
        }
        if text.split_whitespace().count() != 5 {
            return Err(syntax("it does not have cron's five fields".to_owned()));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let blame = |error: croner::errors::CronError| {
            syntax(wrong_field(&parser, text).unwrap_or_else(|| error.to_string()))
        };
        let cron = parser.parse(text).map_err(blame)?;
        let schedule = Self { cron, zone };
        match schedule.next_after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never { schedule: text.to_owned() }),
        }
    }

    /// The first moment of the schedule after `at`.
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        // Local times are looked for as if they were UTC's, where none is skipped or doubled.
        let mut local = self.zone.local(at).and_utc();
        for _ in 0..TRIES {
            local = self.cron.find_next_occurrence(&local, false).ok()?;
            let moment = self.zone.moment(local.naive_utc())?;
            if moment > at {
                return Some(moment);
            }
        }
        None
    }

    pub fn zone(&self) -> Zone {
        self.zone
    }
}

/// Cron's fields in their order, and what each takes.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31"),
    ("month", "1 to 12 or JAN to DEC"),
    ("weekday", "0 to 7 or SUN to SAT"),
];

/// The first field that cannot be read even where every other one is `*`; the parser does not say which one it is.
fn wrong_field(parser: &CronParser, text: &str) -> Option<String> {
    let fields = text.split_whitespace().zip(FIELDS).enumerate();
    let wrong = |(at, (field, (name, takes))): (usize, (&str, (&str, &str)))| {
        let mut alone = ["*"; FIELDS.len()];
        *alone.get_mut(at)? = field;
        parser.parse(&alone.join(" ")).is_err().then(|| {
            format!("its {name}, {field:?}, is none; that is {takes}, one or more (1,15), a range (1-5), * or */STEP")
        })
    };
    fields.into_iter().find_map(wrong)
}

fn utc(at: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp(at.as_second(), 0).unwrap_or(DateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule(text: &str, zone: &str) -> Schedule {
        Schedule::parse(text, zone.parse().unwrap()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The moments of a schedule in a span of time.
    fn moments(schedule: &Schedule, from: &str, to: &str) -> Vec<String> {
        let (mut now, to) = (at(from), at(to));
        let mut found = Vec::new();
        while let Some(next) = schedule.next_after(now).filter(|next| *next <= to) {
            found.push(next.to_string());
            now = next;
        }
        found
    }

    #[test]
    fn the_next_time_is_the_zones() {
        for (text, zone, after, expected) in [
            ("0 3 * * *", "UTC", "2026-01-31T02:59:59Z", "2026-01-31T03:00:00Z"),
            ("0 3 * * *", "UTC", "2026-01-31T03:00:00Z", "2026-02-01T03:00:00Z"),
            ("0 3 * * *", "Europe/Berlin", "2026-01-31T00:00:00Z", "2026-01-31T02:00:00Z"),
            ("0 3 * * *", "Europe/Berlin", "2026-07-31T00:00:00Z", "2026-07-31T01:00:00Z"),
            ("30 0 * * *", "Asia/Kolkata", "2026-07-31T18:59:59Z", "2026-07-31T19:00:00Z"),
            ("0 0 1 1 *", "America/New_York", "2026-06-01T00:00:00Z", "2027-01-01T05:00:00Z"),
            ("0 0 29 2 *", "UTC", "2026-06-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("*/15 * * * *", "UTC", "2026-06-01T00:01:00Z", "2026-06-01T00:15:00Z"),
            ("0 4 * * mon", "UTC", "2026-11-25T00:00:00Z", "2026-11-30T04:00:00Z"),
            // As ever in cron: a day of the month or of the week.
            ("0 4 13 * 5", "UTC", "2026-11-08T00:00:00Z", "2026-11-13T04:00:00Z"),
            ("0 4 1 * 5", "UTC", "2026-11-02T00:00:00Z", "2026-11-06T04:00:00Z"),
        ] {
            assert_eq!(
                schedule(text, zone).next_after(at(after)),
                Some(at(expected)),
                "{text} {zone} {after}"
            );
        }
    }

    #[test]
    fn a_skipped_hour_runs_once_at_its_end() {
        // On 29 March 2026 clocks in Berlin go from 02:00 to 03:00.
        let night = ("2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z");
        let runs = |text| moments(&schedule(text, "Europe/Berlin"), night.0, night.1);
        assert_eq!(runs("30 2 * * *"), ["2026-03-29T01:00:00Z"]);
        assert_eq!(runs("0,20,40 2 * * *"), ["2026-03-29T01:00:00Z"]);
        assert_eq!(runs("0 2,3 * * *"), ["2026-03-29T01:00:00Z"], "two local times that are one moment");
        assert_eq!(runs("0 * * * *").len(), 24, "an hourly one loses no hour of the night");
    }

    #[test]
    fn a_doubled_hour_runs_once_the_first_time() {
        // On 25 October 2026 clocks in Berlin go from 03:00 back to 02:00.
        let night = ("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z");
        let runs = |text| moments(&schedule(text, "Europe/Berlin"), night.0, night.1);
        assert_eq!(runs("30 2 * * *"), ["2026-10-25T00:30:00Z"]);
        assert_eq!(runs("0,59 2 * * *"), ["2026-10-25T00:00:00Z", "2026-10-25T00:59:00Z"]);
        // From within the second passing nothing of the hour is due again.
        let next = schedule("30 2 * * *", "Europe/Berlin").next_after(at("2026-10-25T01:10:00Z"));
        assert_eq!(next, Some(at("2026-10-26T01:30:00Z")));
    }

    #[test]
    fn a_skipped_day_runs_at_its_end() {
        // Samoa had no 30 December 2011.
        let next = schedule("0 3 30 12 *", "Pacific/Apia").next_after(at("2011-12-29T00:00:00Z"));
        assert_eq!(next, Some(at("2011-12-30T10:00:00Z")), "midnight of the 31st there");
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in ["", "* * * *", "0 0 3 * * *", "61 * * * *", "a b c d e", "0 3 * * * 2026", "@daily"] {
            let error = Schedule::parse(text, Zone::UTC).unwrap_err();
            assert!(matches!(error, ScheduleError::Syntax { .. }), "{text}: {error}");
        }
        for (text, expected) in [
            ("61 * * * *", "its minute, \"61\", is none; that is 0 to 59, one"),
            ("0 25 * * *", "its hour, \"25\", is none; that is 0 to 23, one"),
            ("0 3 0 * *", "its day of the month, \"0\", is none; that is 1 to 31, one"),
            ("0 3 1-40 * *", "its day of the month, \"1-40\", is none"),
            ("0 3 * 13 *", "its month, \"13\", is none; that is 1 to 12 or JAN to DEC, one"),
            ("0 3 * * 9", "its weekday, \"9\", is none; that is 0 to 7 or SUN to SAT, one"),
            ("0 3 * * someday", "its weekday, \"someday\", is none"),
            ("x y * * *", "its minute, \"x\", is none"),
        ] {
            let told = Schedule::parse(text, Zone::UTC).unwrap_err().to_string();
            assert!(told.starts_with(&format!("{text:?} is not a schedule: {expected}")), "{told}");
        }
        let never = Schedule::parse("0 0 30 2 *", Zone::UTC).unwrap_err();
        assert_eq!(never.to_string(), "\"0 0 30 2 *\" never comes");
        let long = Schedule::parse(&"1,".repeat(100_000), Zone::UTC).unwrap_err();
        assert!(long.to_string().len() < 400);
        assert!("Mars/Olympus".parse::<Zone>().is_err() && "".parse::<Zone>().is_err());
    }

    proptest! {
        #[test]
        fn the_next_time_is_later_and_nothing_is_between(
            minute in 0u32..60, hour in 0u32..24, after in 1_500_000_000i64..2_200_000_000, zone in 0usize..4,
        ) {
            let zone = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"][zone];
            let schedule = schedule(&format!("{minute} {hour} * * *"), zone);
            let after = Timestamp::from_second(after).unwrap();
            let next = schedule.next_after(after).unwrap();
            prop_assert!(next > after);
            prop_assert!(next.as_second() - after.as_second() <= 25 * 3600 + 1);
            // Looking from just before finds the same one: no moment is passed over.
            let again = schedule.next_after(Timestamp::from_second(next.as_second() - 1).unwrap());
            prop_assert_eq!(again, Some(next));
        }

        #[test]
        fn text_never_panics(text in "[0-9*/,a-zL#? -]{0,40}") {
            let _ = Schedule::parse(&text, Zone::UTC);
        }
    }
}
