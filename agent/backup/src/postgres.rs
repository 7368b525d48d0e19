//! PostgreSQL inside a container, through exec: dumping a database, counting its rows, checking a dump.

mod connection;
mod dump;
mod restore;
mod session;

pub(crate) use dump::{check_dump, prepare};
pub(crate) use restore::{Load, script, sql};
pub(crate) use session::Counting;
