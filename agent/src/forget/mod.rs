//! `wharf forget`: an app leaves Wharf. What runs, its data, its folder and its env file are not touched.
//!
//! **Invariants**
//! - What is to go is written down with the job, before anything goes. Then the app is forgotten in one transaction, together
//!   with the job being committed: until there it is as before, from there on the rest goes, also after a crash.
//! - No container, volume or file of the app's folder is touched. An image goes only with its last name, where no container
//!   of anybody's was made from it.
//! - Backups stay, with their keys and what is known of them, and so do files that were saved aside. The audit stays, and so
//!   do the numbers and versions that were used up.

mod job;
mod leaving;
mod request;

pub use job::finish;
pub use request::requested;
