//! Restoring a dump into a database, straight out of the repository.
//!
//! **Invariants**: only a database that was named is written to, and nothing in it is dropped first: it must be empty. A
//! dump whose hash is not the recorded one is a failure even where `pg_restore` took it.

use crate::backup::blocking;
use crate::line::Outbox;
use crate::manifest::BackupManifest;
use crate::postgres::{Database, Dumped, Session, connect, restore_dump, run_globals};
use crate::read_back::read_back;
use crate::repository::{Indexed, Store, snapshot};
use crate::restore::find;
use crate::{BackupError, DumpReport, DumpRequest, LoadReport, LoadRequest, LoadTarget, Phase};
use rustic_core::repofile::Node;
use std::sync::Arc;
use std::time::Instant;

/// The largest file of roles that is read.
const GLOBALS_BYTES: u64 = 16 * 1024 * 1024;
/// What a server has before anybody makes a database; `pg_restore --create` would find these there already.
const BUILT_IN: [&str; 3] = ["postgres", "template0", "template1"];

pub(crate) async fn load(request: LoadRequest, outbox: Arc<Outbox>) -> Result<LoadReport, BackupError> {
    let started = Instant::now();
    // The store's lock is held to the end: a prune meanwhile would take away what is being read.
    let (store, repository, stored) = {
        let request = request.clone();
        blocking(move || open(&request)).await?
    };
    let Stored { dump, node, globals } = stored;
    let docker = connect(&request.docker_socket).await?;
    let LoadTarget { container, user, database } = request.into;
    let at = |database: &str| DumpRequest {
        label: request.label.clone(),
        container: container.clone(),
        user: user.clone(),
        database: Some(database.to_owned()),
    };
    let creates = database.is_none() && !BUILT_IN.contains(&dump.database.as_str());
    let into = database.clone().unwrap_or_else(|| dump.database.clone());
    if database.is_none() {
        let server = Database::find(&docker, &at("postgres"), &request.repo).await?;
        run_globals(&docker, &server, globals).await?;
    }
    let connects = if creates { "postgres" } else { into.as_str() };
    let server = Database::find(&docker, &at(connects), &request.repo).await?;
    let (reading, mut pieces) = read_back(Arc::clone(&repository), node, Phase::Restore, outbox);
    let restoring = async {
        let restored = restore_dump(&docker, &server, creates, &mut pieces).await;
        drop(pieces);
        restored
    };
    let (read, restored) = tokio::join!(reading, restoring);
    let read = read?;
    restored?;
    if !read.is_some_and(|read| is(&dump, &read)) {
        let finding = format!("{} is not what was dumped", dump.path);
        return Err(BackupError::Damaged { repo: store.repo.clone(), findings: vec![finding] });
    }
    let database = Database::find(&docker, &at(&into), &request.repo).await?;
    let tables = Session::open(&docker, database).await?.count().await?;
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(LoadReport { dump, tables, duration_ms })
}

fn is(dump: &DumpReport, read: &Dumped) -> bool {
    read.size_bytes == dump.size_bytes && hex::encode(read.sha256) == dump.sha256
}

/// What a snapshot has of one database.
struct Stored {
    dump: DumpReport,
    node: Node,
    globals: Vec<u8>,
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
    let path = format!("/dumps/{}.globals.sql", dump.label);
    let globals = find(&repository, &request.snapshot, &path)?;
    if globals.meta.size > GLOBALS_BYTES {
        return Err(BackupError::Invalid { what: format!("{path} is larger than {GLOBALS_BYTES} bytes") });
    }
    let mut text = Vec::new();
    repository.dump(&globals, &mut text).map_err(BackupError::rustic("read a file back"))?;
    Ok((store, Arc::new(repository), Stored { dump, node, globals: text }))
}
