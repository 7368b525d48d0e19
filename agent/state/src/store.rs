//! The handle on the database, and the one thread that has the connection.
//!
//! **Invariant**: every statement runs on that thread, one call after the other, so a call sees all calls before it. What
//! was sent to the thread is carried out even if the caller goes away meanwhile.

use crate::{StateError, schema};
use rusqlite::Connection;
use std::fmt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use tokio::sync::{mpsc, oneshot};

/// Calls that may wait for the thread; more callers wait for their turn.
const QUEUE_CALLS: usize = 64;

type Call = Box<dyn FnOnce(&mut Connection) + Send>;

/// What the agent remembers. Clones share one connection, which closes with the last of them.
#[derive(Clone)]
pub struct State {
    calls: mpsc::Sender<Call>,
    secret_key: [u8; 32],
}

impl State {
    /// Opens the state in `dir`, which is made where it is missing, for its owner alone. Blocks: it reads the disk.
    ///
    /// # Errors
    /// A folder or database that cannot be written, or a state that a newer wharfd wrote.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        let io = |act| {
            let path = dir.to_owned();
            move |source| StateError::Io { act, path, source }
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io("create"))?;
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).map_err(io("protect"))?;
        let db = schema::open(&dir.join("state.sqlite"), schema::MIGRATIONS)
            .map_err(|e| e.during("open the database"))?;
        Self::with(db, dir)
    }

    fn with(db: Connection, dir: &Path) -> Result<Self, StateError> {
        let secret_key = schema::secret_key(&db)?;
        let (calls, queue) = mpsc::channel(QUEUE_CALLS);
        std::thread::Builder::new()
            .name("state".into())
            .spawn(move || serve(db, queue))
            .map_err(|source| StateError::Io { act: "start a thread for", path: dir.to_owned(), source })?;
        Ok(Self { calls, secret_key })
    }

    /// Opens the state beside an agent that may run: one that is there, and of this program's own schema. Nothing is made and
    /// nothing migrated.
    ///
    /// # Errors
    /// There is none, or another wharfd wrote it.
    pub fn open_beside(dir: &Path) -> Result<Self, StateError> {
        let db = schema::open_beside(&dir.join("state.sqlite"), schema::MIGRATIONS.len())
            .map_err(|e| e.during("open the database"))?;
        Self::with(db, dir)
    }

    /// The key of this server's keyed digests: random, made once, never leaves the server.
    pub fn secret_key(&self) -> [u8; 32] {
        self.secret_key
    }

    /// Runs `call` on the thread, inside one transaction that is committed when it succeeds.
    pub(crate) async fn transaction<T: Send + 'static>(
        &self,
        act: &'static str,
        call: impl FnOnce(&Connection) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let (answer, answered) = oneshot::channel();
        let call: Call = Box::new(move |db| {
            // The caller may be gone; what it asked for holds all the same.
            let _ = answer.send(in_transaction(db, call).map_err(|e| e.during(act)));
        });
        self.calls.send(call).await.map_err(|_| StateError::Closed)?;
        answered.await.map_err(|_| StateError::Closed)?
    }
}

fn serve(mut db: Connection, mut queue: mpsc::Receiver<Call>) {
    while let Some(call) = queue.blocking_recv() {
        call(&mut db);
    }
}

fn in_transaction<T>(
    db: &mut Connection,
    call: impl FnOnce(&Connection) -> Result<T, StateError>,
) -> Result<T, StateError> {
    let transaction = db.transaction()?;
    let value = call(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}
