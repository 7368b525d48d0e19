//! The first half of a backup: every database dumped into the repository. No snapshot names the dumps yet, and they
//! count only once they were read back and checked ([`super::checks`]).

use super::{archive, blocking, cut, open_to_write};
use crate::dump::{Beside, Pending, prepare, tell_what_is_left_out};
use crate::exec::Early;
use crate::instance::Instance;
use crate::ledger::Ledger;
use crate::line::Outbox;
use crate::read_back::Shelf;
use crate::reader::StreamReader;
use crate::repository::{Indexed, Store};
use crate::source::{Entry, Opener, SnapshotSource, sort};
use crate::stream::{Dumped, start_dump};
use crate::{BackupError, BackupRequest, DumpReport, Phase};
use bollard::Docker;
use bytes::Bytes;
use jiff::Timestamp;
use rustic_core::repofile::{Node, SnapshotFile};
use std::sync::{Arc, PoisonError};
use tokio::runtime::Handle;

/// A dump that is in the repository.
pub(super) struct StoredDump {
    /// What there is to tell of it, should it be found good.
    pub(super) report: DumpReport,
    /// Of what lies beside it: its path and its content.
    pub(super) beside: Option<(String, Bytes)>,
    pub(super) instance: Instance,
    /// The program that wrote it, for people.
    pub(super) program: String,
    /// What the program wrote.
    pub(super) dumped: Dumped,
    pub(super) checker: Option<Early>,
    pub(super) node: Node,
}

/// Dumps all databases, and returns the handle that the dumps can be read through.
pub(super) async fn dump_all(
    store: &Arc<Store>,
    request: &BackupRequest,
    docker: &Docker,
    outbox: &Arc<Outbox>,
) -> Result<(Vec<StoredDump>, Arc<Indexed>), BackupError> {
    let mut pending: Vec<Pending> = Vec::new();
    for dump in &request.dumps {
        let found = prepare(docker, dump, &request.repo, &pending, outbox).await?;
        pending.extend(found);
    }
    tell_what_is_left_out(&pending, outbox);
    cut(store, request, pending.iter().map(|dump| dump.size_bytes).sum()).await?;
    let snapshot = stage(store, request.time, docker, &mut pending, outbox).await?;
    let repository = {
        let store = Arc::clone(store);
        Arc::new(blocking(move || open_to_write(&store)).await?)
    };
    let mut dumps = Vec::new();
    for dump in pending {
        dumps.push(stored(docker, &Shelf::new(store, &repository), &repository, &snapshot, dump).await?);
    }
    Ok((dumps, repository))
}

/// Streams the dumps into the repository. The snapshot that rustic makes of them is never written.
async fn stage(
    store: &Arc<Store>,
    time: Timestamp,
    docker: &Docker,
    pending: &mut [Pending],
    outbox: &Arc<Outbox>,
) -> Result<SnapshotFile, BackupError> {
    let ledger = Arc::new(Ledger::new(Arc::clone(outbox), Phase::Dump));
    let mut entries = Vec::new();
    for dump in pending.iter_mut() {
        let start = starter(docker.clone(), dump, Arc::clone(&ledger));
        let open = Opener::Stream { start, ledger: Arc::clone(&ledger) };
        entries.push(Entry::made(&dump.path, 0, time, open)?);
    }
    sort(&mut entries);
    let store = Arc::clone(store);
    blocking(move || {
        let repository =
            store.open_to_write()?.to_indexed_ids().map_err(BackupError::rustic("read its index"))?;
        let source = SnapshotSource::new(entries.into_iter(), Arc::clone(&ledger));
        let snapshot = archive(&store, &repository, source, &ledger, None, SnapshotFile::default())?;
        store.gate.withhold();
        Ok(snapshot)
    })
    .await
}

/// Starts a dump when rustic, from a thread of its own, asks for its first byte.
fn starter(
    docker: Docker,
    dump: &mut Pending,
    ledger: Arc<Ledger>,
) -> Box<dyn FnOnce() -> StreamReader + Send> {
    let runtime = Handle::current();
    let (instance, program) = (dump.instance.clone(), (dump.program.clone(), dump.waiting.take()));
    let (watch, result) = (dump.watch, Arc::clone(&dump.result));
    let on_gone = cut_off(dump);
    let count = dump.held.counter();
    Box::new(move || {
        let _inside = runtime.enter();
        count();
        StreamReader::new(start_dump(docker, instance, program, watch(), result), ledger, on_gone)
    })
}

fn cut_off(dump: &Pending) -> BackupError {
    dump.instance.failed(dump.program.name(), None, "the dump was cut off")
}

/// Finds a dump in the repository, and counts its rows.
async fn stored(
    docker: &Docker,
    shelf: &Shelf,
    repository: &Indexed,
    snapshot: &SnapshotFile,
    dump: Pending,
) -> Result<StoredDump, BackupError> {
    let written = dump.result.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (dumped, seen) = written.ok_or_else(|| cut_off(&dump))?;
    let node = repository
        .node_from_snapshot_and_path(snapshot, &dump.path)
        .map_err(BackupError::rustic("read a dump back"))?;
    let kind = dump.held.kind();
    let tables = dump.held.rows(docker, &dump.instance, seen, || (shelf.clone(), node.clone())).await?;
    let report = DumpReport {
        label: dump.instance.label.clone(),
        kind,
        path: dump.path,
        user: dump.user,
        database: dump.database,
        size_bytes: dumped.size_bytes,
        sha256: hex::encode(dumped.sha256),
        server_version: dump.server_version,
        image: dump.instance.image.clone(),
        tables,
    };
    let beside = match dump.beside {
        Some(Beside { path, content }) => Some((path, content.await?)),
        None => None,
    };
    let program = dump.program.name().to_owned();
    let checker = dump.checker;
    Ok(StoredDump { report, beside, instance: dump.instance, program, dumped, checker, node })
}
