//! The version in a front end's `app.json`.
//!
//! The command decides *whether* a front end changed; this module decides *which* version is next ([`next`]), where it
//! stands in the file ([`read_version`]), and writes it ([`VersionFile`]).
//!
//! **Invariants**: only the bytes of the version change; a version that was ever started on the server is not used
//! again; a file that someone else changed meanwhile is not overwritten.

mod decide;
mod error;
mod file;
mod locate;
mod version;

pub use decide::{Decision, Kept, next};
pub use error::BumpError;
pub use file::{Bumped, Restored, Restorer, VersionFile};
pub use locate::{Key, Located, read_version, set_version};
pub use version::{Bump, Version};
