//! The Docker engine, the `docker compose` command and the child processes of the agent.
//!
//! **Invariants**
//! - Nothing here can delete a volume: there is no call for it, and no option that would do it on the side.
//! - Every call has a limit of its own in time; every line and buffer has one in size.
//! - Build arguments, secrets, environments and the output of `docker compose config` are never logged and never part of an error.
//! - This is the only crate that names bollard for engine work.

pub mod archive;
pub mod build;
pub mod compose;
pub mod connection;
mod contained;
pub mod container;
pub mod content;
pub mod error;
pub mod exec;
pub mod house;
pub mod image;
pub mod interactive;
pub mod line;
pub mod lock;
pub mod log_limit;
pub mod logs;
pub mod memory;
pub mod registry;
pub mod sandbox;
pub mod started_by;
pub mod starts;
pub mod supervise;
pub mod throwaway;
pub mod toolbox;
pub mod travel;
pub mod volume;

pub use build::{BuildError, BuildLine, BuildSpec, Dockerfile, Dropped, SecretSource};
pub use compose::{ComposeCli, ComposeError, ComposeProject, OneOff, Recreate, UpSpec};
pub use connection::{Engine, EngineInfo};
pub use error::EngineError;
pub use exec::{Exec, ExecOutput, ExecSpec};
pub use line::StreamKind;
pub use lock::{AppLock, LockError};
pub use logs::{LogLine, LogOptions};
pub use memory::Memory;
pub use sandbox::{Sandbox, SandboxError};
pub use started_by::StartedBy;
pub use starts::Start;
pub use supervise::{SuperviseError, SuperviseSpec, Supervised, Supervisor};
pub use throwaway::{Scratch, Throwaway};
pub use toolbox::{TOOLBOX_FOLDER, Toolbox};
pub use volume::Mounts;
