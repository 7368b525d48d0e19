//! What the agent remembers: its database, the undo journal in it, the event logs of its jobs, the content of releases.
//!
//! **Invariants**
//! - What a call of [`State`] wrote is on disk when the call returns (WAL with `synchronous=FULL`).
//! - An undo entry is recorded before the act that it undoes, and only while the job may still be put back.
//! - A job's phase changes by [`Phase::transition`] alone; the release that is live changes together with the phase.
//! - The audit is only ever appended to, whoever opens the database.
//! - A numbered release, once handed out, is never handed out again.
//! - An event is in its job's file before anybody is shown it; see [`events`].
//! - A blob in the store has the digest that it is named by, and is never seen half-written; see [`blobs`].

pub mod blobs;
pub mod error;
pub mod events;
pub mod phase;
pub mod records;
mod schema;
mod store;

pub use blobs::{BlobError, BlobLease, BlobPack, BlobStore, FileMeta};
pub use error::StateError;
pub use events::{EventError, EventLogs, EventWriter, Follow};
pub use phase::{Phase, PhaseError, PhaseEvent};
pub use records::{
    AppRecord, BackupRecord, ChoreRecord, JobRecord, NewJob, ReleaseImage, ReleaseRecord, ServiceInputs,
    UndoEntry,
};
pub use store::State;
