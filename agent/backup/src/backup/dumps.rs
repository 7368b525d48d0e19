//! The first half of a backup: every database dumped into the repository. No snapshot names the dumps yet, and they
//! count only once they were read back and checked ([`super::checks`]).

use super::known::{known, node_of};
use super::{archive, blocking, cut, open_to_write};
use crate::dump::{Beside, Pending, prepare, tell_what_is_left_out};
use crate::exec::Running;
use crate::instance::Instance;
use crate::ledger::Ledger;
use crate::line::Outbox;
use crate::read_back::Shelf;
use crate::reader::StreamReader;
use crate::repository::{Indexed, Store};
use crate::source::{Entry, Opener, SnapshotSource, sort};
use crate::stream::{Dumped, Written, start_dump};
use crate::{BackupError, BackupRequest, DumpReport, Phase, commands};
use bollard::Docker;
use bytes::Bytes;
use jiff::Timestamp;
use rustic_core::Id;
use rustic_core::repofile::{Node, SnapshotFile};
use std::path::PathBuf;
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
    /// What waits for it.
    pub(super) checker: Option<Running>,
    /// As the repository has it, with the content and the size.
    pub(super) node: Node,
}

/// What the first half leaves to the second.
pub(super) struct Stored {
    pub(super) docker: Docker,
    pub(super) dumps: Vec<StoredDump>,
    /// The dumps can be read through it.
    pub(super) repository: Arc<Indexed>,
    /// The snapshot by which rustic knows them.
    pub(super) known: Id,
}

/// Dumps all databases.
pub(super) async fn dump_all(
    store: &Arc<Store>,
    request: &BackupRequest,
    docker: &Docker,
    outbox: &Arc<Outbox>,
) -> Result<Stored, BackupError> {
    let mut pending: Vec<Pending> = Vec::new();
    for dump in &request.dumps {
        let found = prepare(docker, dump, &request.repo, &pending, outbox).await?;
        pending.extend(found);
    }
    tell_what_is_left_out(&pending, outbox);
    cut(store, request, pending.iter().map(|dump| dump.size_bytes).sum()).await?;
    let snapshot = stage(store, request.time, docker, &mut pending, outbox).await?;
    let sizes = pending.iter().map(|dump| Ok((dump.path.clone(), size_of(dump)?)));
    let sizes = sizes.collect::<Result<Vec<_>, BackupError>>()?;
    let (nodes, repository, known) = {
        let (store, time) = (Arc::clone(store), request.time);
        blocking(move || show(&store, &snapshot, sizes, time)).await?
    };
    let repository = Arc::new(repository);
    let mut dumps = Vec::new();
    for (dump, node) in pending.into_iter().zip(nodes) {
        let stored = stored(docker, &Shelf::new(store, &repository), dump, node).await?;
        commands::tell_of_writers(&stored.report, outbox);
        dumps.push(stored);
    }
    Ok(Stored { docker: docker.clone(), dumps, repository, known })
}

/// Has rustic know what was stored, by the sizes that it came to have. Returns the files, a handle that knows them, and the
/// snapshot that they are said to be of.
fn show(
    store: &Store,
    snapshot: &SnapshotFile,
    sizes: Vec<(String, u64)>,
    time: Timestamp,
) -> Result<(Vec<Node>, Indexed, Id), BackupError> {
    let repository = store.open()?;
    let mut files = Vec::new();
    for (path, size_bytes) in sizes {
        let content = node_of(store, &repository, snapshot.tree, &path)?.content;
        files.push((PathBuf::from(&path), Node { content, ..Entry::node(&path, size_bytes, time)? }));
    }
    let (id, shown) = known(files.iter().cloned(), &repository.key())?;
    store.gate.show(shown);
    let nodes = files.into_iter().map(|(_, node)| node).collect();
    Ok((nodes, open_to_write(store)?, id))
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
        let snapshot = archive(&store, &repository, source, &ledger, Vec::new(), SnapshotFile::default())?;
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

/// How much a dump's program wrote.
fn size_of(dump: &Pending) -> Result<u64, BackupError> {
    let written = dump.result.lock().unwrap_or_else(PoisonError::into_inner);
    written.as_ref().map(|written| written.dumped.size_bytes).ok_or_else(|| cut_off(dump))
}

/// What there is to tell of a dump that is in the repository, with its rows.
async fn stored(
    docker: &Docker,
    shelf: &Shelf,
    dump: Pending,
    node: Node,
) -> Result<StoredDump, BackupError> {
    let written = dump.result.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Written { dumped, rows, checker } = written.ok_or_else(|| cut_off(&dump))?;
    let kind = dump.held.kind();
    let commands = dump.held.commands().cloned();
    let tables = dump.held.rows(docker, &dump.instance, rows, || (shelf.clone(), node.clone())).await?;
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
        commands,
    };
    let beside = match dump.beside {
        Some(Beside { path, content }) => Some((path, content.await?)),
        None => None,
    };
    let program = dump.program.name().to_owned();
    Ok(StoredDump { report, beside, instance: dump.instance, program, dumped, checker, node })
}
