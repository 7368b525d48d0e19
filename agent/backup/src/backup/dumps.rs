//! The first half of a backup: every database dumped into the repository, read back and checked. No snapshot names
//! the dumps yet.

use super::{archive, blocking};
use crate::dump::{Beside, Held, Pending, prepare, tell_what_is_left_out};
use crate::instance::connect;
use crate::ledger::Ledger;
use crate::line::Outbox;
use crate::read_back::read_back;
use crate::reader::{StoredReader, StreamReader};
use crate::repository::{Indexed, Store};
use crate::source::{Entry, Opener, SnapshotSource, sort};
use crate::stream::start_dump;
use crate::{BackupError, BackupRequest, DumpReport, Phase};
use bollard::Docker;
use jiff::Timestamp;
use rustic_core::repofile::{Node, SnapshotFile};
use std::sync::{Arc, PoisonError};
use tokio::runtime::Handle;
use wharf_proto::database::DatabaseKind;

/// A dump that is in the repository and was checked.
pub(super) struct StoredDump {
    pub(super) report: DumpReport,
    beside: Option<Beside>,
    node: Node,
}

impl StoredDump {
    /// The dump and what lies beside it, as entries of the snapshot.
    pub(super) fn into_entries(
        self,
        time: Timestamp,
        stored: Option<&Arc<Indexed>>,
        ledger: &Arc<Ledger>,
    ) -> Result<Vec<Entry>, BackupError> {
        let Some(repository) = stored.cloned() else {
            return Err(BackupError::Invalid { what: "a dump without a repository".to_owned() });
        };
        let Self { report, beside, node } = self;
        let open = Opener::Stored {
            open: {
                let ledger = Arc::clone(ledger);
                Box::new(move || StoredReader::open(repository, &node, ledger))
            },
            ledger: Arc::clone(ledger),
        };
        let mut entries = vec![Entry::made(&report.path, report.size_bytes, time, open)?];
        if let Some(Beside { path, content }) = beside {
            entries.push(Entry::made(&path, content.len() as u64, time, Opener::Bytes(content))?);
        }
        Ok(entries)
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
        let found = prepare(&docker, dump, &request.repo, &pending, outbox).await?;
        pending.extend(found);
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
        entries.push(Entry::made(&dump.path, 0, time, open)?);
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
    let (instance, program) = (dump.instance.clone(), dump.program.clone());
    let (watch, result) = (dump.watch, Arc::clone(&dump.result));
    let on_gone = cut_off(dump);
    Box::new(move || {
        let _inside = runtime.enter();
        StreamReader::new(start_dump(docker, instance, program, watch(), result), ledger, on_gone)
    })
}

fn cut_off(dump: &Pending) -> BackupError {
    dump.instance.failed(dump.program.name(), None, "the dump was cut off")
}

/// Reads a dump back, which must be what its program wrote, and has it checked and its rows counted.
async fn finish(
    docker: &Docker,
    repository: &Arc<Indexed>,
    snapshot: &SnapshotFile,
    dump: Pending,
    outbox: &Arc<Outbox>,
) -> Result<StoredDump, BackupError> {
    let written = dump.result.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (dumped, seen) = written.ok_or_else(|| cut_off(&dump))?;
    let node = repository
        .node_from_snapshot_and_path(snapshot, &dump.path)
        .map_err(BackupError::rustic("read a dump back"))?;
    let kind = match &dump.held {
        Held::Postgres(_) => DatabaseKind::Postgres,
        Held::Mysql => DatabaseKind::Mysql,
        Held::Redis(_) => DatabaseKind::Redis,
    };
    let (reading, pieces) =
        read_back(Arc::clone(repository), node.clone(), Phase::CheckDumps, Arc::clone(outbox));
    let (read, checked) = tokio::join!(reading, dump.held.check(docker, &dump.instance, seen, pieces));
    let read = read?;
    let tables = checked?;
    if read.as_ref() != Some(&dumped) {
        return Err(BackupError::DumpUnchecked {
            label: dump.instance.label.clone(),
            cause: format!("what was read back is not what {} wrote", dump.program.name()),
        });
    }
    let report = DumpReport {
        label: dump.instance.label,
        kind,
        path: dump.path,
        user: dump.user,
        database: dump.database,
        size_bytes: dumped.size_bytes,
        sha256: hex::encode(dumped.sha256),
        server_version: dump.server_version,
        image: dump.instance.image,
        tables,
    };
    Ok(StoredDump { report, beside: dump.beside, node })
}
