//! How many conversations one guest may hold at once on the agent's own socket.
//!
//! **Invariant**: whoever comes in through sshd, with whatever key, can take no place of the programs on the server itself:
//! a backup of cron's is let in while a `read` key holds all that it may.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use wharf_proto::{Failure, FailureKind};

/// Of one key, or of the server's own programs.
const OF_ONE: usize = 16;
/// Of all keys together.
const OF_KEYS: usize = 128;

/// Whom a place is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A program that a user of the server started, by the user's number.
    Local(u32),
    /// Somebody whom sshd let in as this user, with the key of this name.
    Key(u32, Option<String>),
}

/// The places that are taken.
#[derive(Debug, Clone, Default)]
pub struct Seats {
    taken: Arc<Mutex<BTreeMap<Party, usize>>>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Seat {
    party: Party,
    taken: Arc<Mutex<BTreeMap<Party, usize>>>,
}

impl Seats {
    /// A place for one more conversation.
    ///
    /// # Errors
    /// There is none: it is told so, and may come again.
    pub fn take(&self, party: Party) -> Result<Seat, Failure> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(&party).copied().unwrap_or_default();
        let of_keys: usize =
            taken.iter().filter(|(party, _)| matches!(party, Party::Key(..))).map(|(_, count)| count).sum();
        if own >= OF_ONE || (matches!(party, Party::Key(..)) && of_keys >= OF_KEYS) {
            return Err(Failure::new(FailureKind::Busy, "too many conversations with the agent at once")
                .cause(format!("{own} of this key or user, {of_keys} of all keys"))
                .hint("end some of them (wharf logs -f, exec, deploys that wait), then run it again"));
        }
        taken.insert(party.clone(), own + 1);
        Ok(Seat { party, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let left = taken.get(&self.party).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            taken.remove(&self.party);
        } else {
            taken.insert(self.party.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_takes_no_place_of_another_nor_all_keys_one_of_the_server() {
        let seats = Seats::default();
        let key = |number: usize| Party::Key(0, Some(format!("key {number}")));
        let mut held: Vec<Seat> = (0..OF_ONE).map(|_| seats.take(key(0)).unwrap()).collect();
        let full = seats.take(key(0)).unwrap_err();
        assert_eq!((full.kind, full.causes.len(), full.hints.len()), (FailureKind::Busy, 1, 1));
        for number in 1..OF_KEYS / OF_ONE {
            held.extend((0..OF_ONE).map(|_| seats.take(key(number)).unwrap()));
        }
        assert!(seats.take(key(99)).is_err());
        let local: Vec<Seat> = (0..OF_ONE).map(|_| seats.take(Party::Local(0)).unwrap()).collect();
        assert!(seats.take(Party::Local(0)).is_err());
        drop(held.pop());
        let again = seats.take(key(99)).unwrap();
        drop((held, local, again));
        assert!(seats.taken.lock().unwrap().is_empty());
    }
}
