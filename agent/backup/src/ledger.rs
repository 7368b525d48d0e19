//! What one backup has seen so far: its first fault, and what it should have stored.
//!
//! **Invariant**: once a fault is noted the run can only fail. rustic logs and ignores most errors of its sources, so
//! that its own result says nothing about completeness; this does.

use crate::line::Outbox;
use crate::{BackupError, Phase, Progress};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) struct Ledger {
    outbox: Arc<Outbox>,
    phase: Phase,
    fault: Mutex<Option<BackupError>>,
    /// Entries that are not folders and were handed to rustic.
    offered: AtomicU64,
    /// Of these, the ones that were gone when they should have been opened.
    vanished: AtomicU64,
    opened: AtomicU64,
    bytes: AtomicU64,
}

impl Ledger {
    pub(crate) fn new(outbox: Arc<Outbox>, phase: Phase) -> Self {
        Self {
            outbox,
            phase,
            fault: Mutex::new(None),
            offered: AtomicU64::new(0),
            vanished: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Notes a fault; the first one counts, since later ones follow from it.
    pub(crate) fn fail(&self, fault: BackupError) {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
    }

    pub(crate) fn fault(&self) -> Option<BackupError> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn note(&self, text: impl Into<String>) {
        self.outbox.note(text);
    }

    /// Tells that something begins whose progress is not told of.
    pub(crate) fn begin(&self, phase: Phase) {
        self.outbox.progress(Progress { phase, files: 0, bytes: 0 });
    }

    pub(crate) fn offered(&self) {
        self.offered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn vanished(&self) {
        self.vanished.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, bytes: usize) {
        let bytes = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        let files = self.opened.load(Ordering::Relaxed);
        self.outbox.progress(Progress { phase: self.phase, files, bytes });
    }

    /// How many entries that are not folders the snapshot must hold.
    pub(crate) fn expected(&self) -> u64 {
        self.offered.load(Ordering::Relaxed) - self.vanished.load(Ordering::Relaxed)
    }
}
