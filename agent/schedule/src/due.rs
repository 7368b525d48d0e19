//! When the next run is due, from what is remembered of the runs before.

use crate::Schedule;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

/// After a failure, the next try; twice that after the second, and so on.
const FIRST_RETRY: SignedDuration = SignedDuration::from_mins(5);
/// The longest wait between tries.
const LAST_RETRY: SignedDuration = SignedDuration::from_hours(6);
/// The most that apps with the same schedule are spread over.
const SPREAD: SignedDuration = SignedDuration::from_mins(5);
/// Of the time from one run to the next, at most this part.
const SPREAD_PART: i32 = 10;

/// What is remembered of something that is done again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// When it was first asked for: nothing before that was missed.
    pub since: Timestamp,
    /// When the last run began, however it ended.
    pub last_run: Option<Timestamp>,
    /// How many runs have failed since one did not.
    pub failures: u32,
}

/// When the next run is due; at or before `now`: it is due. However many runs were missed, one makes up for them.
///
/// A run that failed is tried again sooner than the schedule says. `spread` comes on top of the schedule's own times.
pub fn next_due(
    schedule: &Schedule,
    spread: SignedDuration,
    memory: &Memory,
    now: Timestamp,
) -> Option<Timestamp> {
    let base = memory.last_run.unwrap_or(memory.since);
    if base > now {
        // The clock was ahead. Waiting until it is there again could take years; one run too many harms nobody.
        return Some(now);
    }
    // What ran at 03:04 for 03:00 has run; without its spread taken off, a short interval would lose a run.
    let counted = if memory.last_run.is_some() { later(base, -spread) } else { base };
    let regular = later(schedule.next_after(counted)?, spread);
    let retry = retry_at(memory);
    Some(retry.map_or(regular, |retry| retry.min(regular)))
}

/// When a run that failed is tried again; `None`: it did not fail.
pub fn retry_at(memory: &Memory) -> Option<Timestamp> {
    let base = memory.last_run.unwrap_or(memory.since);
    (memory.failures > 0).then(|| later(base, back_off(memory.failures)))
}

/// How much later than the schedule says the runs of `name` begin: always the same, and different for each, so that the apps
/// of a server do not all begin at once.
pub fn jitter(name: &str, schedule: &Schedule, now: Timestamp) -> SignedDuration {
    let interval = schedule
        .next_after(now)
        .and_then(|first| Some(schedule.next_after(first)?.duration_since(first)))
        .unwrap_or_default();
    let spread = (interval / SPREAD_PART).min(SPREAD).as_secs().unsigned_abs();
    let digest = Sha256::digest(name.as_bytes());
    let number = digest.iter().take(8).fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
    SignedDuration::from_secs(i64::try_from(number % spread.max(1)).unwrap_or(0))
}

fn back_off(failures: u32) -> SignedDuration {
    let doubled = FIRST_RETRY.checked_mul(1i32.checked_shl(failures.saturating_sub(1).min(16)).unwrap_or(1));
    doubled.unwrap_or(LAST_RETRY).min(LAST_RETRY)
}

/// Time does not go on for ever; at its end it stays.
fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Zone;
    use proptest::prelude::*;

    const NONE: SignedDuration = SignedDuration::ZERO;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn nightly() -> Schedule {
        Schedule::parse("0 3 * * *", Zone::UTC).unwrap()
    }

    fn memory(since: &str, last_run: Option<&str>, failures: u32) -> Memory {
        Memory { since: at(since), last_run: last_run.map(at), failures }
    }

    #[test]
    fn missed_runs_are_made_up_for_once() {
        let fresh = memory("2026-05-01T12:00:00Z", None, 0);
        let due = |memory: &Memory, now: &str| next_due(&nightly(), NONE, memory, at(now)).unwrap();
        assert_eq!(
            due(&fresh, "2026-05-01T12:00:00Z"),
            at("2026-05-02T03:00:00Z"),
            "a new schedule owes nothing"
        );
        // Five nights of downtime: due since the first, and after one run not before the next night.
        let down = memory("2026-01-01T00:00:00Z", Some("2026-05-01T03:00:00Z"), 0);
        assert_eq!(due(&down, "2026-05-06T09:30:00Z"), at("2026-05-02T03:00:00Z"));
        let made_up = Memory { last_run: Some(at("2026-05-06T09:30:00Z")), ..down };
        assert_eq!(due(&made_up, "2026-05-06T09:31:00Z"), at("2026-05-07T03:00:00Z"));
    }

    #[test]
    fn failures_are_tried_again_ever_later_but_never_after_the_next_regular_run() {
        for (failures, expected) in [
            (0, "2026-05-03T03:00:00Z"),
            (1, "2026-05-02T03:05:00Z"),
            (2, "2026-05-02T03:10:00Z"),
            (5, "2026-05-02T04:20:00Z"),
            (7, "2026-05-02T08:20:00Z"),
            (8, "2026-05-02T09:00:00Z"),
            (4_000_000_000, "2026-05-02T09:00:00Z"),
        ] {
            let memory = memory("2026-01-01T00:00:00Z", Some("2026-05-02T03:00:00Z"), failures);
            let due = next_due(&nightly(), NONE, &memory, at("2026-05-02T03:01:00Z"));
            assert_eq!(due, Some(at(expected)), "{failures}");
        }
        let late = memory("2026-01-01T00:00:00Z", Some("2026-05-02T01:00:00Z"), 9);
        assert_eq!(
            next_due(&nightly(), NONE, &late, at("2026-05-02T01:00:00Z")),
            Some(at("2026-05-02T03:00:00Z"))
        );
    }

    #[test]
    fn a_clock_that_was_ahead_does_not_stop_the_backups() {
        let now = at("2026-05-02T12:00:00Z");
        let ahead = memory("2026-01-01T00:00:00Z", Some("2031-01-01T00:00:00Z"), 0);
        assert_eq!(next_due(&nightly(), NONE, &ahead, now), Some(now));
    }

    #[test]
    fn apps_are_spread_and_each_stays_where_it_is() {
        let now = at("2026-05-02T12:00:00Z");
        let of = |name: &str, text: &str| jitter(name, &Schedule::parse(text, Zone::UTC).unwrap(), now);
        let daily: std::collections::BTreeSet<_> =
            (0..50).map(|n| of(&format!("app{n}"), "0 3 * * *")).collect();
        assert!(daily.len() > 20, "{daily:?}");
        assert!(daily.iter().all(|spread| *spread < SPREAD));
        assert_eq!(of("fitnessapp", "0 3 * * *"), of("fitnessapp", "0 3 * * *"));
        for n in 0..50 {
            assert!(of(&format!("app{n}"), "* * * * *").as_secs() < 6, "a tenth of the interval at the most");
        }
    }

    proptest! {
        /// Whoever looks at the clock now and then, and is away for whole days, runs once for each night on which somebody
        /// looked after 03:00, and never twice.
        #[test]
        fn each_night_runs_once(
            steps in proptest::collection::vec(1i64..90_000, 1..80), spread_seconds in 0i64..300,
        ) {
            let spread = SignedDuration::from_secs(spread_seconds);
            let start = at("2026-01-01T12:00:00Z");
            let mut memory = Memory { since: start, last_run: None, failures: 0 };
            let mut now = start;
            let night = |at: Timestamp| (at.as_second() - 3 * 3600 - spread_seconds).div_euclid(86_400);
            let mut done = night(start);
            for step in steps {
                now += SignedDuration::from_secs(step);
                let due = next_due(&nightly(), spread, &memory, now).unwrap() <= now;
                prop_assert_eq!(due, night(now) > done, "at {}", now);
                if due {
                    memory.last_run = Some(now);
                    done = night(now);
                }
            }
        }
    }
}
