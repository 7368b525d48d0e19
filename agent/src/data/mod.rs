//! Jobs about an app's data: backups on demand, drills, restores.
//!
//! **Invariants**
//! - None of these jobs makes a release, and none deletes a volume or a database that it did not make itself.
//! - What a job makes for itself (a folder, a database, a container) is written down before it is made, and gone when
//!   the job has ended, also after a crash ([`recover`]).
//! - Restoring over what is live leaves it wholly the old or wholly the new ([`over`], [`volumes_over`],
//!   [`swap`]).

mod afresh;
mod beside;
mod commands;
mod compare;
mod database;
mod drill;
mod exchange;
mod exchangeable;
mod folder;
mod folder_copy;
mod key;
mod known;
mod like;
mod mysql;
mod mysql_fill;
mod mysql_over;
mod mysql_settings;
mod offsite;
mod over;
mod place;
mod prune;
mod recipe;
pub mod recover;
mod redis_over;
mod request;
pub mod schema;
mod server_folder;
mod stand_in;
mod swap;
mod task;
mod thin;
mod throwaway;
mod turns;
mod undo;
mod volumes_over;

pub use afresh::restore as restore_afresh;
pub use commands::{check_plan as check_commands, check_spec as check_dumps};
pub use database::Address;
pub use key::{is_saved as key_is_saved, reminder as key_reminder, warning as key_warning};
pub use offsite::{keep_up as keep_copies, warnings as copy_warnings};
pub use recipe::probe;
pub use request::requested;
pub use task::{Task, note_undo, sources, start};
pub use throwaway::answers;
pub use turns::Turns;
pub use undo::Undo;
