//! What `wharf` and `wharfd` say to each other: identities, frames, requests, events, manifests, failures, limits.
//!
//! **Invariant**: this crate does no I/O. Both ends, the tests and the fuzzers use the same types from here, and
//! nothing that crosses the wire is defined anywhere else.
//!
//! The order of a conversation is described in [`message`]; the shape of a deploy in [`event`].

pub mod access;
pub mod backup;
pub mod certificate;
pub mod database;
pub mod doctor;
pub mod event;
pub mod failure;
pub mod frame;
pub mod id;
pub mod key;
pub mod limits;
pub mod lock;
pub mod log;
pub mod manifest;
pub mod message;
pub mod migration;
pub mod operate;
pub mod path;
pub mod plan;
pub mod preamble;
pub mod registry;
pub mod release;
pub mod secret;
pub mod spec;
pub mod terminal;
pub mod version;

pub use access::{Apps, Role};
pub use event::{Event, EventBody, Outcome, Step};
pub use failure::{Failure, FailureKind};
pub use id::{AppName, BackupId, Digest, JobId, ReleaseId};
pub use manifest::{Entry, EntryKind, Manifest};
pub use path::RelPath;
pub use spec::AppSpec;
