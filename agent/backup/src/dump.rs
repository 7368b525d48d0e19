//! What the kinds of databases have in common: how each is asked for its dump, and how a dump that was read back is
//! checked.
//!
//! **Invariant**: a dump is taken only where its program ended with exit code 0, the watch of its kind found it whole, and
//! what was read back is what the program wrote.

use crate::commands::Counting as CommandCounting;
use crate::instance::Instance;
use crate::line::Outbox;
use crate::postgres::Counting;
use crate::read_back::{Shelf, read_back};
use crate::redis::Keyspace;
use crate::stream::{DumpProgram, DumpResult, Waiting, Watch};
use crate::{BackupError, DumpRequest, TableRows, commands, mysql, postgres, redis};
use bollard::Docker;
use bytes::Bytes;
use futures_util::future::{BoxFuture, Shared};
use rustic_core::repofile::Node;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;
use wharf_proto::database::DatabaseKind;
use wharf_proto::spec::DumpSpec;

/// Pieces of a dump under way to who reads it.
const PIECES: usize = 8;

/// A database that is about to be dumped.
pub(crate) struct Pending {
    pub(crate) instance: Instance,
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) server_version: String,
    /// About; 0 where nobody knows.
    pub(crate) size_bytes: u64,
    /// Where the dump will be in the snapshot.
    pub(crate) path: String,
    /// What belongs to the dump and is no part of it.
    pub(crate) beside: Option<Beside>,
    pub(crate) program: DumpProgram,
    /// The program, where it was started early.
    pub(crate) waiting: Option<Waiting>,
    pub(crate) watch: fn() -> Box<dyn Watch>,
    pub(crate) result: DumpResult,
    /// Databases of the same server that somebody may have made.
    pub(crate) others: Vec<String>,
    pub(crate) held: Held,
}

/// A small file that lies beside a dump: a server's roles, a database's events.
#[derive(Clone)]
pub(crate) struct Beside {
    pub(crate) path: String,
    pub(crate) content: Content,
}

/// What may be still on its way. It comes whether it is asked for or not.
pub(crate) type Content = Shared<BoxFuture<'static, Result<Bytes, BackupError>>>;

/// What is kept until the dump is done.
pub(crate) enum Held {
    /// The transaction that is dumped, in which rows are counted meanwhile.
    Postgres(Counting),
    Mysql,
    /// The keys as they were counted around the save.
    Redis(Keyspace),
    /// What the project's command counted before.
    Commands(CommandCounting),
}

/// Where a PostgreSQL server's roles are in a snapshot.
pub(crate) fn globals_path(label: &str) -> String {
    format!("/dumps/{label}.globals.sql")
}

/// Where the events of a MySQL database are in a snapshot.
pub(crate) fn events_path(label: &str) -> String {
    format!("/dumps/{label}.events.sql")
}

/// Finds what a request asks for: one database, or all of a server whose names nobody told.
pub(crate) async fn prepare(
    docker: &Docker,
    request: &DumpRequest,
    repo: &Path,
    earlier: &[Pending],
    outbox: &Arc<Outbox>,
) -> Result<Vec<Pending>, BackupError> {
    match request.kind {
        DatabaseKind::Postgres => Ok(vec![postgres::prepare(docker, request, repo, earlier, outbox).await?]),
        DatabaseKind::Mysql => mysql::prepare(docker, request, outbox).await,
        DatabaseKind::Redis => Ok(vec![redis::prepare(docker, request).await?]),
        DatabaseKind::Commands => Ok(vec![commands::prepare(docker, request).await?]),
        DatabaseKind::Unknown => Err(unknown(&request.label)),
    }
}

/// The fault of a database of a kind that a newer version knows.
pub(crate) fn unknown(label: &str) -> BackupError {
    BackupError::Invalid { what: format!("{label} is a database of a kind that this version does not know") }
}

/// Databases of a server that nobody named are told, so that nobody counts on them.
pub(crate) fn tell_what_is_left_out(pending: &[Pending], outbox: &Outbox) {
    let dumped = |container: &str, name: &str| {
        pending.iter().any(|dump| dump.instance.container == container && dump.database == name)
    };
    let mut told: Vec<&str> = Vec::new();
    for Pending { instance, others, held, .. } in pending {
        let container = instance.container.as_str();
        let left_out: Vec<&str> =
            others.iter().map(String::as_str).filter(|name| !dumped(container, name)).collect();
        if left_out.is_empty() || told.contains(&container) {
            continue;
        }
        told.push(container);
        let section = if matches!(held, Held::Mysql) { "mysql" } else { "postgres" };
        outbox.note(format!(
            "not in the backup: {} of {}; `databases` under [[{section}]] in wharf.toml takes databases in",
            left_out.join(", "),
            crate::service_of(&instance.label)
        ));
    }
}

impl Held {
    pub(crate) fn kind(&self) -> DatabaseKind {
        match self {
            Self::Postgres(_) => DatabaseKind::Postgres,
            Self::Mysql => DatabaseKind::Mysql,
            Self::Redis(_) => DatabaseKind::Redis,
            Self::Commands(_) => DatabaseKind::Commands,
        }
    }

    /// The project's own commands, where it is dumped by them.
    pub(crate) fn commands(&self) -> Option<&DumpSpec> {
        match self {
            Self::Commands(counting) => Some(&counting.spec),
            Self::Postgres(_) | Self::Mysql | Self::Redis(_) => None,
        }
    }

    /// To be called when the dump begins: what counts rows beside it begins, too.
    pub(crate) fn counter(&mut self) -> Box<dyn FnOnce() + Send> {
        match self {
            Self::Postgres(counting) => counting.starter(),
            Self::Mysql | Self::Redis(_) | Self::Commands(_) => Box::new(|| ()),
        }
    }

    /// The rows that were counted beside the dump, or seen in it. Of Redis nobody knows them but the program that checks a
    /// dump, which reads it for that.
    pub(crate) async fn rows(
        self,
        docker: &Docker,
        instance: &Instance,
        seen: Vec<TableRows>,
        stored: impl FnOnce() -> (Shelf, Node),
    ) -> Result<Vec<TableRows>, BackupError> {
        match self {
            Self::Postgres(counting) => counting.rows().await,
            Self::Mysql => Ok(seen),
            Self::Commands(counting) => counting.rows(docker, instance).await,
            Self::Redis(keyspace) => {
                let (shelf, node) = stored();
                let (sender, mut pieces) = mpsc::channel(PIECES);
                let reading = read_back(shelf, node, vec![sender], |_| {});
                let checking = async {
                    let checked = redis::check_dump(docker, instance, &mut pieces).await;
                    // A program that ended early takes nothing more, and who reads for it must not wait for it.
                    pieces.close();
                    checked
                };
                let (read, keys) = tokio::join!(reading, checking);
                read?;
                let keys = keys.map_err(|cause| BackupError::DumpUnchecked {
                    label: instance.label.clone(),
                    cause: instance.redact(&cause),
                })?;
                Ok(keyspace.agree_with(keys))
            }
        }
    }
}
