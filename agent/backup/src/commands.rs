//! A database of no kind that Wharf knows, by the project's own commands in its container.

mod count;
mod dump;
mod restore;

pub use count::counts;
pub(crate) use count::{Counting, tell_of_writers};
pub(crate) use dump::{check_dump, prepare};
pub(crate) use restore::Load;
