//! Whether the server's clock is right, as far as this computer's is.

use super::Finding;
use jiff::{SignedDuration, Timestamp};

const WARN_ABOVE: SignedDuration = SignedDuration::from_secs(5);
const FAIL_ABOVE: SignedDuration = SignedDuration::from_mins(5);

/// One question and its answer, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    /// By this computer's.
    pub sent: Timestamp,
    pub received: Timestamp,
    /// By the server's.
    pub asked: Timestamp,
    pub answered: Timestamp,
}

impl Clocks {
    /// By how much the server is ahead, and how wrong that may be at most: half of the time that was spent on the way.
    fn ahead(&self) -> (SignedDuration, SignedDuration) {
        let there = self.asked.duration_since(self.sent);
        let back = self.answered.duration_since(self.received);
        let on_the_way = self.received.duration_since(self.sent) - self.answered.duration_since(self.asked);
        ((there + back) / 2, on_the_way.abs() / 2)
    }
}

/// Compares the clocks.
pub fn clock(clocks: &Clocks) -> Finding {
    const CHECK: &str = "clock";
    let (ahead, doubt) = clocks.ahead();
    // What may as well be the line's fault is not called the clock's.
    let sure = (ahead.abs() - doubt).max(SignedDuration::ZERO);
    if sure <= WARN_ABOVE {
        return Finding::ok(CHECK, "the server's agrees with this computer's");
    }
    let far = crate::render::duration(ahead.unsigned_abs());
    let direction = if ahead.is_negative() { "behind" } else { "ahead of" };
    let text = format!(
        "the server's is {far} {direction} this computer's: schedules, logs and keys that expire go by it"
    );
    let remedy = "see which of both is wrong, and let it be set by the network: timedatectl set-ntp true";
    if sure > FAIL_ABOVE {
        Finding::failed(CHECK, text, remedy)
    } else {
        Finding::warning(CHECK, text, remedy)
    }
}
