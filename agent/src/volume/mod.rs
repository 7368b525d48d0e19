//! `wharfd volume delete NAME`: the one way by which Wharf removes a volume.
//!
//! **Invariants**
//! - It is a command of this program's own, for root, at a terminal of the server. The agent that serves has no part in it:
//!   no request, no job and no chore leads here.
//! - Nothing is deleted but what a backup holds that was made and proven within the hour, that is still in its repository,
//!   and since which nothing in the volume was changed ([`decide`]). That backup is pinned before, and the deletion is in
//!   the audit before.
//! - The engine is asked by `docker volume rm`, without force: what a container mounts it refuses itself. No crate of
//!   ours has a call that deletes a volume.

mod decide;
mod delete;
mod facts;

pub use delete::{Chosen, delete};
