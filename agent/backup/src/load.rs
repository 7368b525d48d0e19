//! Restoring a dump into a database, straight out of the repository.
//!
//! **Invariants**: only a database that was named is written to, and nothing in it is dropped first: it must be empty. A
//! dump whose hash is not the recorded one is a failure even where the database's program took it.

use crate::backup::blocking;
use crate::dump::{events_path, globals_path, unknown};
use crate::instance::connect;
use crate::line::Outbox;
use crate::manifest::BackupManifest;
use crate::read_back::{Shelf, read_back};
use crate::repository::{Indexed, Store, snapshot};
use crate::restore::find;
use crate::stream::Dumped;
use crate::{
    BackupError, DumpReport, DumpRequest, LoadReport, LoadRequest, LoadTarget, Phase, Progress, TableRows,
    commands, mysql, postgres, redis,
};
use bollard::Docker;
use bytes::Bytes;
use rustic_core::repofile::Node;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc::{self, Receiver};
use wharf_proto::database::DatabaseKind;

/// Pieces under way between the repository and the database.
const PIECES: usize = 8;
/// The largest file that is read with a dump: of roles, of events.
const BESIDE_BYTES: u64 = 16 * 1024 * 1024;

pub(crate) async fn load(request: LoadRequest, outbox: Arc<Outbox>) -> Result<LoadReport, BackupError> {
    let started = Instant::now();
    // The store's lock is held to the end: a prune meanwhile would take away what is being read.
    let (store, repository, stored) = {
        let request = request.clone();
        blocking(move || open(&request)).await?
    };
    let Stored { dump, node, beside } = stored;
    let docker = connect(&request.docker_socket).await?;
    let loader = Loader::begin(&docker, &request, &dump, &beside).await?;
    let shelf = Shelf::new(&store, &repository);
    if let Loader::Commands(commands) = &loader {
        commands.check(&docker, shelf.clone(), node.clone()).await?;
    }
    let (sender, pieces) = mpsc::channel(PIECES);
    let tell = move |bytes| outbox.progress(Progress { phase: Phase::Restore, files: 0, bytes });
    let reading = read_back(shelf, node, vec![sender], tell);
    let (read, restored) = tokio::join!(reading, loader.run(&docker, pieces));
    let read = read?;
    restored?;
    if !read.is_some_and(|read| is(&dump, &read)) {
        let finding = format!("{} is not what was dumped", dump.path);
        return Err(BackupError::Damaged { repo: store.repo.clone(), findings: vec![finding] });
    }
    let tables = loader.count(&docker, &dump).await?;
    loader.finish(&docker, beside).await?;
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(LoadReport { dump, tables, duration_ms })
}

/// Where a dump goes, by its kind.
enum Loader {
    Postgres(postgres::Load),
    Mysql(mysql::Load),
    Redis(redis::Load),
    Commands(commands::Load),
}

impl Loader {
    async fn begin(
        docker: &Docker,
        request: &LoadRequest,
        dump: &DumpReport,
        beside: &[u8],
    ) -> Result<Self, BackupError> {
        let LoadTarget { container, user, database } = &request.into;
        let at = DumpRequest {
            label: request.label.clone(),
            kind: dump.kind,
            container: container.clone(),
            user: user.clone(),
            database: database.clone(),
            commands: None,
        };
        Ok(match dump.kind {
            DatabaseKind::Postgres => {
                Self::Postgres(postgres::Load::begin(docker, &request.repo, &at, dump, beside).await?)
            }
            DatabaseKind::Mysql => {
                Self::Mysql(mysql::Load::begin(docker, &at, dump, database.clone()).await?)
            }
            DatabaseKind::Redis => Self::Redis(redis::Load::begin(docker, &at).await?),
            DatabaseKind::Commands => Self::Commands(commands::Load::begin(docker, &at, dump).await?),
            DatabaseKind::Unknown => return Err(unknown(&dump.label)),
        })
    }

    async fn run(&self, docker: &Docker, pieces: Receiver<Bytes>) -> Result<(), BackupError> {
        match self {
            Self::Postgres(load) => load.run(docker, pieces).await,
            Self::Mysql(load) => load.run(docker, pieces).await,
            Self::Redis(load) => load.run(docker, pieces).await,
            Self::Commands(load) => load.run(docker, pieces).await,
        }
    }

    /// What comes after the count, since it may change rows by itself.
    async fn finish(&self, docker: &Docker, beside: Vec<u8>) -> Result<(), BackupError> {
        match self {
            Self::Mysql(load) => load.events(docker, beside).await,
            Self::Postgres(_) | Self::Redis(_) | Self::Commands(_) => Ok(()),
        }
    }

    /// What came.
    async fn count(&self, docker: &Docker, dump: &DumpReport) -> Result<Vec<TableRows>, BackupError> {
        match self {
            Self::Postgres(load) => load.count(docker).await,
            Self::Mysql(load) => load.count(docker).await,
            Self::Redis(load) => load.count(docker, dump).await,
            Self::Commands(load) => load.count(docker).await,
        }
    }
}

fn is(dump: &DumpReport, read: &Dumped) -> bool {
    read.size_bytes == dump.size_bytes && hex::encode(read.sha256) == dump.sha256
}

/// What a snapshot has of one database.
struct Stored {
    dump: DumpReport,
    node: Node,
    /// The server's roles, or the database's events.
    beside: Vec<u8>,
}

fn open(request: &LoadRequest) -> Result<(Store, Arc<Indexed>, Stored), BackupError> {
    let store = Store::lock(&request.repo, &request.key_file)?;
    let repository = store.open_indexed()?;
    let found = snapshot(&repository, &request.snapshot)?;
    let manifest = BackupManifest::of(&repository, &found).unwrap_or_default();
    let dump = manifest.dumps.into_iter().find(|dump| dump.label == request.label).ok_or_else(|| {
        let what = format!("a dump of {} in the backup {}", request.label, request.snapshot.short());
        BackupError::NotFound { what }
    })?;
    let node = find(&repository, &request.snapshot, &dump.path)?;
    let beside = match dump.kind {
        DatabaseKind::Postgres => small_file(&repository, request, &globals_path(&dump.label))?,
        DatabaseKind::Mysql => small_file(&repository, request, &events_path(&dump.label))?,
        DatabaseKind::Redis | DatabaseKind::Commands | DatabaseKind::Unknown => Vec::new(),
    };
    Ok((store, Arc::new(repository), Stored { dump, node, beside }))
}

fn small_file(repository: &Indexed, request: &LoadRequest, path: &str) -> Result<Vec<u8>, BackupError> {
    let node = find(repository, &request.snapshot, path)?;
    if node.meta.size > BESIDE_BYTES {
        return Err(BackupError::Invalid { what: format!("{path} is larger than {BESIDE_BYTES} bytes") });
    }
    let mut content = Vec::new();
    repository.dump(&node, &mut content).map_err(BackupError::rustic("read a file back"))?;
    Ok(content)
}
