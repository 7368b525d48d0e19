//! When something is due, and which backups stay: decisions alone, with no clock and no disk of their own.
//!
//! **Invariants**
//! - No I/O, and no look at the clock: the time comes in.
//! - Every local time of a schedule is due exactly once: one that the clocks skip, at the first moment after it; one that
//!   they pass twice, the first time.
//! - Retention never gives up the newest good backup, the restore point of a listed release, what an owner pinned, what
//!   the server's floor keeps, or what the agent does not know.

mod cron;
mod drill;
mod due;
mod retention;

pub use cron::{Schedule, ScheduleError, Zone};
pub use drill::{DrillFacts, drill_due};
pub use due::{Memory, jitter, next_due, retry_at};
pub use retention::{Candidate, Floor, Kept, Plan, Why, plan};
