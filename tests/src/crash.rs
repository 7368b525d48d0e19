//! The agent dies at a crash point while a client watches, and starts again.

use crate::{Laptop, Server, long};

/// Where the agent is killed while databases of PostgreSQL are restored over what is live.
pub const RESTORE_OVER: &[&str] = &[
    "back_up.before",
    "back_up.after",
    "restore.before",
    "restore.made",
    "restore.inside",
    "restore.after",
    "check.before",
    "check.after",
    "swap.before",
    "swap.stopped",
    "swap.inside",
    "swap.started",
    "swap.after",
];

/// All of them with `scripts/test --long`; what runs in CI otherwise.
pub fn points<T>(all: &'static [T], sample: &'static [T]) -> &'static [T] {
    if long() { all } else { sample }
}

impl Server {
    /// The agent dies at `point` of what `wharf ARGUMENTS…` on the laptop asks for, and none runs afterwards. The client would
    /// wait for it to come back, and is ended: it is not what is tested.
    #[track_caller]
    pub fn dies_at(&mut self, point: &str, laptop: &Laptop, arguments: &[&str]) {
        self.restart(&[("WHARFD_CRASH_AT", point)]);
        let client = laptop.wharf_json(arguments);
        self.wait_for_death();
        client.kill();
    }

    /// The same, and the agent is started again: what it left is brought to its end when this returns. Where `again` is a
    /// point, the agent dies there first, while it does that.
    #[track_caller]
    pub fn is_killed_at(&mut self, point: &str, again: Option<&str>, laptop: &Laptop, arguments: &[&str]) {
        self.dies_at(point, laptop, arguments);
        if let Some(again) = again {
            self.dies_again(again);
        }
        self.restart(&[]);
    }
}
