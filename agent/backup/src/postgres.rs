//! PostgreSQL inside a container, through exec: dumping a database, counting its rows, checking a dump.
//!
//! **Invariants**
//! - Only exit code 0 is success. A program that is missing or killed has written to the dump before it ended.
//! - A password travels in the exec's environment, never in its arguments, and is struck from every text that comes
//!   back.
//! - Every wait has a limit.

mod connection;
mod dump;
mod exec;
mod restore;
mod session;

pub(crate) use connection::{Database, connect};
pub(crate) use dump::{DumpResult, Dumped, Piece, check_dump, dump_globals, start_dump};
pub(crate) use exec::said;
pub(crate) use restore::{restore_dump, run_globals};
pub use restore::{script, sql};
pub(crate) use session::Session;
