//! When a backup is to be proven without being asked.

use jiff::{SignedDuration, Timestamp};
use wharf_proto::spec::DrillSpec;

/// Dumps from here on are too large to be restored after each release.
const LARGE_BYTES: u64 = 1_000_000_000;
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What decides about a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrillFacts {
    /// When the live release went live, or the schema was migrated since.
    pub released: Option<Timestamp>,
    /// Whether migrations came with that.
    pub migrated: bool,
    /// When the newest backup was made.
    pub made: Timestamp,
    /// Of all dumps of the newest backup.
    pub dump_bytes: u64,
    /// When the last drill began; before there was one, since when they are asked for.
    pub last: Timestamp,
    /// Whether there was one.
    pub held: bool,
}

/// When the newest backup, which is not proven yet, is to be tried. `None`: only when somebody asks.
pub fn drill_due(spec: DrillSpec, facts: &DrillFacts) -> Option<Timestamp> {
    let weekly = facts.last.saturating_add(WEEK).unwrap_or(facts.last);
    let after_release = match spec {
        DrillSpec::Off => return None,
        // One that could not be held is not held again at once.
        DrillSpec::AfterBackup if !facts.held || facts.made > facts.last => return Some(facts.made),
        DrillSpec::AfterBackup => return Some(weekly),
        DrillSpec::AfterRelease | DrillSpec::Unknown => facts.migrated || facts.dump_bytes < LARGE_BYTES,
        DrillSpec::Weekly => facts.migrated,
    };
    let untried = facts.released.filter(|released| !facts.held || *released > facts.last);
    match untried {
        Some(released) if after_release => Some(released.min(weekly)),
        _ => Some(weekly),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_dumps_are_tried_after_each_release_and_large_ones_weekly() {
        let day = |day: i64| Timestamp::from_second(1_790_000_000 + day * 86_400).unwrap();
        let facts = |released: i64, last: i64, dump_bytes: u64, migrated: bool| DrillFacts {
            released: Some(day(released)),
            migrated,
            made: day(5),
            dump_bytes,
            last: day(last),
            held: true,
        };
        let (small, large) = (10, 2_000_000_000);
        use DrillSpec::{AfterBackup, AfterRelease, Off, Weekly};
        for (spec, facts, expected) in [
            (AfterRelease, facts(3, 1, small, false), Some(3)),
            (AfterRelease, facts(3, 4, small, false), Some(11)), // this release has been tried
            (AfterRelease, facts(3, 1, large, false), Some(8)),
            (AfterRelease, facts(3, 1, large, true), Some(3)),
            (Weekly, facts(3, 1, small, false), Some(8)),
            (Weekly, facts(3, 1, small, true), Some(3)),
            (Off, facts(3, 1, small, true), None),
            (AfterBackup, facts(3, 4, large, false), Some(5)),
            (AfterBackup, facts(3, 6, small, false), Some(13)), // this one was tried, and could not be proven
            (AfterBackup, DrillFacts { held: false, ..facts(3, 6, small, false) }, Some(5)),
            (AfterRelease, DrillFacts { held: false, ..facts(3, 4, small, false) }, Some(3)),
            (AfterRelease, DrillFacts { released: None, ..facts(3, 4, small, false) }, Some(11)),
        ] {
            assert_eq!(drill_due(spec, &facts), expected.map(day), "{spec:?} {facts:?}");
        }
    }
}
