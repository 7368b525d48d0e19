//! The first half of a backup: every database dumped into the repository, read back and checked. No snapshot names
//! the dumps yet.

use super::{archive, blocking};
use crate::ledger::Ledger;
use crate::line::Outbox;
use crate::postgres::{Database, DumpResult, Dumped, Session, check_dump, connect, dump_globals, start_dump};
use crate::read_back::read_back;
use crate::reader::{StoredReader, StreamReader};
use crate::repository::{Indexed, Store};
use crate::source::{Entry, Opener, SnapshotSource, sort};
use crate::{BackupError, BackupRequest, DumpReport, Phase};
use bollard::Docker;
use bytes::Bytes;
use jiff::Timestamp;
use rustic_core::repofile::{Node, SnapshotFile};
use std::sync::{Arc, PoisonError};
use tokio::runtime::Handle;

/// A dump that is in the repository and was checked.
pub(super) struct StoredDump {
    pub(super) report: DumpReport,
    globals: Bytes,
    node: Node,
}

/// A database that is about to be dumped.
struct Pending {
    database: Database,
    session: Session,
    globals: Bytes,
    result: DumpResult,
}

impl Pending {
    fn path(&self) -> String {
        format!("/dumps/{}.pgdump", self.database.label)
    }
}

impl StoredDump {
    /// The dump and its globals, as entries of the snapshot.
    pub(super) fn into_entries(
        self,
        time: Timestamp,
        stored: Option<&Arc<Indexed>>,
        ledger: &Arc<Ledger>,
    ) -> Result<[Entry; 2], BackupError> {
        let Some(repository) = stored.cloned() else {
            return Err(BackupError::Invalid { what: "a dump without a repository".to_owned() });
        };
        let Self { report, globals, node } = self;
        let open = Opener::Stored {
            open: {
                let ledger = Arc::clone(ledger);
                Box::new(move || StoredReader::open(repository, &node, ledger))
            },
            ledger: Arc::clone(ledger),
        };
        let path = format!("/dumps/{}.globals.sql", report.label);
        Ok([
            Entry::made(&report.path, report.size_bytes, time, open)?,
            Entry::made(&path, globals.len() as u64, time, Opener::Bytes(globals))?,
        ])
    }
}

/// Dumps all databases, and returns the handle that the dumps can be read through.
pub(super) async fn dump_all(
    store: &Arc<Store>,
    request: &BackupRequest,
    outbox: &Arc<Outbox>,
) -> Result<(Vec<StoredDump>, Option<Arc<Indexed>>), BackupError> {
    if request.dumps.is_empty() {
        return Ok((Vec::new(), None));
    }
    let docker = connect(&request.docker_socket).await?;
    let mut pending: Vec<Pending> = Vec::new();
    for dump in &request.dumps {
        let database = Database::find(&docker, dump, &request.repo).await?;
        let session = Session::open(&docker, database.clone()).await?;
        if !session.superuser {
            outbox.note(format!(
                "{} is no superuser: the dump of {} has roles without their passwords",
                database.user, database.label
            ));
        }
        // Roles are the server's: one that has several databases is asked once, but by whoever may read most.
        let same = |other: &&Pending| {
            other.database.container == database.container && other.session.superuser == session.superuser
        };
        let globals = match pending.iter().find(same) {
            Some(other) => other.globals.clone(),
            None => dump_globals(&docker, &database, session.superuser).await?,
        };
        pending.push(Pending { database, session, globals, result: DumpResult::default() });
    }
    tell_what_is_left_out(&pending, outbox);
    let snapshot = stage(store, request.time, &docker, &pending, outbox).await?;
    let repository = {
        let store = Arc::clone(store);
        Arc::new(blocking(move || store.open_indexed()).await?)
    };
    let mut stored = Vec::new();
    for dump in pending {
        stored.push(finish(&docker, &repository, &snapshot, dump, outbox).await?);
    }
    Ok((stored, Some(repository)))
}

/// Databases of a server that nobody named are told, so that nobody counts on them.
fn tell_what_is_left_out(pending: &[Pending], outbox: &Outbox) {
    let dumped = |container: &str, name: &str| {
        pending.iter().any(|dump| dump.database.container == container && dump.database.database == name)
    };
    let mut told: Vec<&str> = Vec::new();
    for Pending { database, session, .. } in pending {
        let container = database.container.as_str();
        let left_out: Vec<&str> =
            session.databases.iter().map(String::as_str).filter(|name| !dumped(container, name)).collect();
        if left_out.is_empty() || told.contains(&container) {
            continue;
        }
        told.push(container);
        outbox.note(format!(
            "not in the backup: {} of {}; `databases` under [[postgres]] in wharf.toml takes databases in",
            left_out.join(", "),
            crate::service_of(&database.label)
        ));
    }
}

/// Streams the dumps into the repository. The snapshot that rustic makes of them is never written.
async fn stage(
    store: &Arc<Store>,
    time: Timestamp,
    docker: &Docker,
    pending: &[Pending],
    outbox: &Arc<Outbox>,
) -> Result<SnapshotFile, BackupError> {
    let ledger = Arc::new(Ledger::new(Arc::clone(outbox), Phase::Dump));
    let mut entries = Vec::new();
    for dump in pending {
        let start = starter(docker.clone(), dump, Arc::clone(&ledger));
        let open = Opener::Stream { start, ledger: Arc::clone(&ledger) };
        entries.push(Entry::made(&dump.path(), 0, time, open)?);
    }
    sort(&mut entries);
    let store = Arc::clone(store);
    blocking(move || {
        let repository = store.open()?.to_indexed_ids().map_err(BackupError::rustic("read its index"))?;
        let source = SnapshotSource::new(entries.into_iter(), Arc::clone(&ledger));
        let snapshot = archive(&store, &repository, source, &ledger, None, SnapshotFile::default())?;
        store.gate.withhold();
        Ok(snapshot)
    })
    .await
}

/// Starts a dump when rustic, from a thread of its own, asks for its first byte.
fn starter(docker: Docker, dump: &Pending, ledger: Arc<Ledger>) -> Box<dyn FnOnce() -> StreamReader + Send> {
    let runtime = Handle::current();
    let (database, result) = (dump.database.clone(), Arc::clone(&dump.result));
    let snapshot = dump.session.snapshot.clone();
    let on_gone = database.failed("pg_dump", None, "the dump was cut off");
    Box::new(move || {
        let _inside = runtime.enter();
        StreamReader::new(start_dump(docker, database, snapshot, result), ledger, on_gone)
    })
}

/// Counts the rows, ends the transaction and checks what was written.
async fn finish(
    docker: &Docker,
    repository: &Arc<Indexed>,
    snapshot: &SnapshotFile,
    dump: Pending,
    outbox: &Arc<Outbox>,
) -> Result<StoredDump, BackupError> {
    let path = dump.path();
    let Pending { database, session, globals, result } = dump;
    let dumped = result.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let dumped = dumped.ok_or_else(|| database.failed("pg_dump", None, "the dump was cut off"))?;
    let server_version = session.server_version.clone();
    let tables = session.count().await?;
    let node = repository
        .node_from_snapshot_and_path(snapshot, &path)
        .map_err(BackupError::rustic("read a dump back"))?;
    check(docker, &database, Arc::clone(repository), node.clone(), &dumped, outbox).await?;
    let report = DumpReport {
        label: database.label.clone(),
        path,
        user: database.user.clone(),
        database: database.database.clone(),
        size_bytes: dumped.size_bytes,
        sha256: hex::encode(dumped.sha256),
        server_version,
        image: database.image.clone(),
        tables,
    };
    Ok(StoredDump { report, globals, node })
}

/// Reads a dump back: its hash must be that of what `pg_dump` wrote, and `pg_restore` must take it.
async fn check(
    docker: &Docker,
    database: &Database,
    repository: Arc<Indexed>,
    node: Node,
    expected: &Dumped,
    outbox: &Arc<Outbox>,
) -> Result<(), BackupError> {
    let (reading, mut pieces) = read_back(repository, node, Phase::CheckDumps, Arc::clone(outbox));
    let restoring = async {
        let checked = check_dump(docker, database, &mut pieces).await;
        drop(pieces);
        checked
    };
    let (read, checked) = tokio::join!(reading, restoring);
    let read = read?;
    checked?;
    if read.as_ref() == Some(expected) {
        return Ok(());
    }
    Err(BackupError::DumpUnchecked {
        label: database.label.clone(),
        cause: "what was read back is not what pg_dump wrote".to_owned(),
    })
}
