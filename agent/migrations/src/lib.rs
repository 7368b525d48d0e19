//! Migrations that are a folder of SQL files: which there are, what may stand in one, what is applied and what is pending.
//!
//! The client checks a project's folder by the same code as the agent, before anything is sent.
//!
//! **Invariants**
//! - No I/O: files and answers come in, decisions and statements go out.
//! - A file and its row in the database's own table are committed together, and the commit is asked for only after the
//!   whole file: a file that was cut off is rolled back, and what is applied is what the table says.
//! - A file that could end that transaction by itself is refused before anything runs.

mod back;
mod check;
mod folder;
mod ledger;
mod scan;
mod script;
mod sql;

pub use back::{BackError, Step, Target, back};
pub use check::{DEFAULT_TABLE, SpecError, check, postgres_of, table_of};
pub use folder::{FILE_BYTES, FolderError, Found, scripts};
pub use ledger::{Applied, Judged, Ledger, judge};
pub use scan::ScanError;
pub use script::{NO_TRANSACTION, Script, ScriptError};
pub use sql::{LookError, Move, look, read_look, statements, with_lines_of};
