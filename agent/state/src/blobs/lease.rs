//! Which blobs must stay because somebody is about to need them.

use super::BlobStore;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use wharf_proto::Digest;

/// Holds blobs against removal while it lives.
#[derive(Debug)]
pub struct BlobLease {
    store: BlobStore,
    digests: Vec<Digest>,
}

impl BlobLease {
    pub(super) fn new(store: BlobStore, digests: impl IntoIterator<Item = Digest>) -> Self {
        let digests: Vec<_> = digests.into_iter().collect();
        store.shared.leases.hold(&digests);
        Self { store, digests }
    }
}

impl Drop for BlobLease {
    fn drop(&mut self) {
        self.store.shared.leases.release(&self.digests);
    }
}

/// How many leases hold each blob.
#[derive(Debug, Default)]
pub(super) struct Leases {
    held: Mutex<HashMap<Digest, usize>>,
}

impl Leases {
    fn hold(&self, digests: &[Digest]) {
        let mut held = self.lock();
        for digest in digests {
            *held.entry(*digest).or_default() += 1;
        }
    }

    fn release(&self, digests: &[Digest]) {
        let mut held = self.lock();
        for digest in digests {
            if let Some(count) = held.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    held.remove(digest);
                }
            }
        }
    }

    pub(super) fn all(&self) -> HashSet<Digest> {
        self.lock().keys().copied().collect()
    }

    /// Does `act` unless `digest` is held; nobody can begin to hold it meanwhile.
    pub(super) fn unless_held<E>(
        &self,
        digest: Digest,
        act: impl FnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        let held = self.lock();
        if held.contains_key(&digest) { Ok(false) } else { act() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, usize>> {
        // Counts are whole between any two statements that could panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
