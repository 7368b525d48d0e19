//! How much a connection has received that nobody has taken yet.
//!
//! **Invariant**: received bytes that wait never exceed [`HARD_BYTES`] by more than one packet. Between [`SOFT_BYTES`]
//! and that, bytes are taken in only while somebody waits to *send*: their sending needs the peer's window updates, which
//! travel in the same stream as the data, and a reader that stopped for good would stop them for good.

use futures_util::task::AtomicWaker;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What may wait in memory, as long as nobody is stuck.
pub const SOFT_BYTES: usize = 16 * 1024 * 1024;
/// What may wait in memory at all.
pub const HARD_BYTES: usize = 64 * 1024 * 1024;
/// Pieces that may wait, as long as nobody is stuck: small ones cost more than their bytes.
const SOFT_PIECES: usize = 2_048;
/// Pieces that may wait at all.
pub const HARD_PIECES: usize = 8_192;

/// The load of one connection, shared by its reader and its conversations.
#[derive(Debug)]
pub struct Load {
    bytes: AtomicUsize,
    pieces: AtomicUsize,
    stuck_senders: AtomicUsize,
    cut: AtomicBool,
    reader: AtomicWaker,
    began: Instant,
    /// When conversation bytes last moved, in milliseconds after `began`.
    moved_ms: AtomicU64,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            pieces: AtomicUsize::new(0),
            stuck_senders: AtomicUsize::new(0),
            cut: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            began: Instant::now(),
            moved_ms: AtomicU64::new(0),
        }
    }
}

impl Load {
    /// Whether more may be read from the peer.
    pub fn admits(&self) -> bool {
        let bytes = self.bytes.load(Ordering::Acquire);
        let pieces = self.pieces.load(Ordering::Acquire);
        if bytes < SOFT_BYTES && pieces < SOFT_PIECES {
            return true;
        }
        let stuck = self.stuck_senders.load(Ordering::Acquire) > 0;
        stuck && bytes < HARD_BYTES && pieces < HARD_PIECES - 1
    }

    /// A piece arrived.
    pub fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.pieces.fetch_add(1, Ordering::AcqRel);
        self.touch();
    }

    /// A piece was taken.
    pub fn remove(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.pieces.fetch_sub(1, Ordering::AcqRel);
        self.reader.wake();
    }

    /// Counts a sender that has to wait, until the guard is dropped.
    pub fn stuck_sender(&self) -> StuckSender<'_> {
        self.stuck_senders.fetch_add(1, Ordering::AcqRel);
        self.reader.wake();
        StuckSender(self)
    }

    /// Ends the connection: its stream fails from now on.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.reader.wake();
    }

    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// Has the reader woken at the next change.
    pub fn register(&self, waker: &std::task::Waker) {
        self.reader.register(waker);
    }

    /// Conversation bytes moved.
    pub fn touch(&self) {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.store(now_ms, Ordering::Release);
    }

    /// How long ago conversation bytes last moved.
    pub fn still_for(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.moved_ms.load(Ordering::Acquire)))
    }
}

/// See [`Load::stuck_sender`].
#[derive(Debug)]
pub struct StuckSender<'a>(&'a Load);

impl Drop for StuckSender<'_> {
    fn drop(&mut self) {
        self.0.stuck_senders.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_sender_lets_more_in_up_to_the_hard_limit() {
        let load = Load::default();
        load.add(SOFT_BYTES);
        assert!(!load.admits());
        let stuck = load.stuck_sender();
        assert!(load.admits());
        load.add(HARD_BYTES - SOFT_BYTES);
        assert!(!load.admits());
        load.remove(HARD_BYTES - SOFT_BYTES);
        drop(stuck);
        assert!(!load.admits());
        load.remove(SOFT_BYTES);
        assert!(load.admits());
    }

    #[test]
    fn many_small_pieces_count_too() {
        let load = Load::default();
        for _ in 0..SOFT_PIECES {
            load.add(1);
        }
        assert!(!load.admits());
        load.remove(1);
        assert!(load.admits());
    }
}
