//! Giving rustic's threads the moment that they need to end.
//!
//! After a check has walked the trees, rustic takes its index apart; where one of its own reader threads still holds it, as
//! they do when they were told to end only just before, it waits 100 ms (`GlobalIndex::into_index` of 0.13). A backup of a
//! small project takes hardly longer than that. The progress that rustic tells has a place right between the two.

use rustic_core::{Progress, ProgressBars, ProgressType, RusticProgress};
use std::time::Duration;

/// They have nothing left to do but to end.
const MOMENT: Duration = Duration::from_millis(3);
/// What rustic calls the walk.
const WALK: &str = "checking trees";

/// Tells no progress, and waits where the walk has ended.
#[derive(Debug)]
pub(crate) struct Patience;

impl ProgressBars for Patience {
    fn progress(&self, _kind: ProgressType, prefix: &str) -> Progress {
        if prefix.starts_with(WALK) { Progress::new(Walk) } else { Progress::hidden() }
    }
}

#[derive(Debug)]
struct Walk;

impl RusticProgress for Walk {
    fn is_hidden(&self) -> bool {
        true
    }

    fn set_length(&self, _length: u64) {}

    fn set_title(&self, _title: &str) {}

    fn inc(&self, _count: u64) {}

    fn finish(&self) {
        std::thread::sleep(MOMENT);
    }
}
