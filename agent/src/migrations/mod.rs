//! Migrations that are a folder of SQL files, carried out in the database's own container.
//!
//! **Invariants**
//! - What is applied is what the table in the database says, and nothing else: it is asked before a file is run, and after.
//! - Nothing is run while a file that was applied is another one now, or one was left half-way.
//! - What an agent that was killed has left running in the database is ended before the table is asked.

mod deploy;
mod down;
mod place;
mod planned;
mod source;
mod status;
mod task;

pub use deploy::{end_leftovers, run};
pub use planned::{Planned, planned};
pub use status::status;
pub use task::{Before, down, settle, up};

use wharf_migrations::Judged;
use wharf_proto::spec::MigrateSpec;
use wharf_proto::{AppSpec, Failure, FailureKind, RelPath};

/// Checks what a deploy says of its migrations.
///
/// # Errors
/// One that cannot be carried out.
pub fn check_spec(spec: &AppSpec) -> Result<(), Failure> {
    let checked = (0..spec.migrate.len()).try_for_each(|number| wharf_migrations::check(spec, number));
    checked.map_err(|error| {
        Failure::new(FailureKind::Config, format!("a [[migrate]] cannot be carried out: {error}"))
            .hint(error.hint())
    })
}

/// Those that are folders.
fn folders(spec: &AppSpec) -> impl Iterator<Item = (&MigrateSpec, &RelPath)> {
    spec.migrate.iter().filter_map(|one| Some((one, one.folder.as_ref()?)))
}

/// Refuses to go on where what is applied is not what the folder says.
///
/// # Errors
/// A file was edited after it was applied, or one was left half-way.
fn refuse(judged: &Judged, folder: &RelPath, table: &str) -> Result<(), Failure> {
    if let Some(name) = judged.unfinished.first() {
        return Err(Failure::new(
            FailureKind::Refused,
            format!("nobody knows how far the migration {name} came"),
        )
        .cause("it is no transaction, and it was begun and did not end: it failed, or was interrupted")
        .hint(
            "look at the database (wharf db console), and bring it by hand to where the file begins or ends",
        )
        .hint(format!("to have it run again then: DELETE FROM {table} WHERE name = '{name}'"))
        .hint(format!(
            "to count it as applied: UPDATE {table} SET applied_at = now() WHERE name = '{name}'"
        )));
    }
    if judged.edited.is_empty() {
        return Ok(());
    }
    let names = judged.edited.join(", ");
    Err(Failure::new(FailureKind::Refused, format!("applied migrations were edited: {names}"))
        .cause(format!("they are in {table} with another checksum than the files in {folder} have: editing them changes no database"))
        .hint("put the files back as they were applied (git log shows them), and write the change as a new migration"))
}
