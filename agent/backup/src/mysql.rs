//! MySQL and MariaDB inside a container, through exec: dumping databases, restoring dumps, running statements.

mod dump;
mod restore;
mod server;
mod tally;

pub(crate) use dump::prepare;
pub(crate) use restore::{Load, sql};
pub use server::{identifier, literal};
