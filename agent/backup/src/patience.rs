//! Giving rustic's threads the moment that they need to end, and telling how far a check has read.
//!
//! After a check has walked the trees, rustic takes its index apart; where one of its own reader threads still holds it, as
//! they do when they were told to end only just before, it waits 100 ms (`GlobalIndex::into_index` of 0.13). A backup of a
//! small project takes hardly longer than that. The progress that rustic tells has a place right between the two.

use crate::Phase;
use crate::line::Outbox;
use rustic_core::{Progress, ProgressBars, ProgressType, RusticProgress};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// They have nothing left to do but to end.
const MOMENT: Duration = Duration::from_millis(3);
/// What rustic calls the walk.
const WALK: &str = "checking trees";
/// What it calls the reading of packs.
const READING: &str = "reading pack data";

/// Where somebody wants to know the progress, waits when the walk has ended, and tells how far packs were read: who is silent
/// for too long is ended.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    pub(crate) outbox: Option<Arc<Outbox>>,
}

impl ProgressBars for Patience {
    fn progress(&self, _kind: ProgressType, prefix: &str) -> Progress {
        match &self.outbox {
            Some(_) if prefix.starts_with(WALK) => Progress::new(Walk),
            Some(outbox) if prefix.starts_with(READING) => {
                Progress::new(Reading { outbox: Arc::clone(outbox), bytes: AtomicU64::new(0) })
            }
            Some(_) | None => Progress::hidden(),
        }
    }
}

#[derive(Debug)]
struct Reading {
    outbox: Arc<Outbox>,
    bytes: AtomicU64,
}

impl RusticProgress for Reading {
    fn is_hidden(&self) -> bool {
        false
    }

    fn set_length(&self, _length: u64) {}

    fn set_title(&self, _title: &str) {}

    fn inc(&self, count: u64) {
        let bytes = self.bytes.fetch_add(count, Ordering::Relaxed).saturating_add(count);
        self.outbox.progress(crate::Progress { phase: Phase::Check, files: 0, bytes });
    }

    fn finish(&self) {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<u8>>>);

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_check_reads_is_told() {
        let told = Told::default();
        let patience = Patience { outbox: Some(Arc::new(Outbox::new(told.clone()))) };
        for (prefix, lines) in [("listing packs...", 0), ("reading pack data...", 1), ("reading index...", 1)]
        {
            patience.progress(ProgressType::Bytes, prefix).inc(1000);
            let text = String::from_utf8(told.0.lock().unwrap().clone()).unwrap();
            assert_eq!(text.lines().count(), lines, "{prefix}: {text}");
        }
        Patience::default().progress(ProgressType::Bytes, READING).inc(1);
    }
}
