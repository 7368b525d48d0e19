//! The records of the database, each noun in its file: the type, and what [`crate::State`] does with it.

mod app;
mod audit;
mod backup;
mod chore;
mod column;
mod job;
mod lock;
mod release;
mod scale;
mod schema;
mod secret;
mod undo;

pub use app::AppRecord;
pub use backup::BackupRecord;
pub use chore::ChoreRecord;
pub use job::{JobRecord, NewJob};
pub use release::{ReleaseImage, ReleaseRecord, ServiceInputs};
pub use undo::UndoEntry;
