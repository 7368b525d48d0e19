//! What every part of the agent shares.

use crate::{
    answers::Certificates, clock::Clock, config::Config, data::Turns, guard::Guards, jobs::queue::Queue,
    layout::Layout,
};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Notify;
use wharf_engine::{ComposeCli, Engine};
use wharf_state::{BlobStore, EventLogs, State};

/// One agent: its state, its engine, its running jobs. Cheap to clone.
#[derive(Clone)]
pub struct Agent {
    pub config: Arc<Config>,
    pub layout: Layout,
    pub state: State,
    pub events: EventLogs,
    pub blobs: BlobStore,
    pub engine: Engine,
    pub compose: ComposeCli,
    /// What stands between Docker and the processes that the agent starts.
    pub guards: Guards,
    /// This program's own file, which it starts its children through.
    pub program: Arc<PathBuf>,
    pub queue: Arc<Queue>,
    pub clock: Clock,
    /// Told of each backup that was made: copies of it are due.
    pub new_backup: Arc<Notify>,
    /// What the apps' hosts showed.
    pub certificates: Certificates,
    /// Copies of backups give way to who drops some.
    pub turns: Arc<Turns>,
}
