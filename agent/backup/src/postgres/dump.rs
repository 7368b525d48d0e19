//! Dumping a database, and checking a dump, with the programs of its own container.

use super::connection::Database;
use super::session::{Counting, Session};
use crate::dump::{Beside, Held, Pending, globals_path};
use crate::exec::{Early, Ended, Program, Running, SILENCE};
use crate::instance::Instance;
use crate::line::Outbox;
use crate::stream::{DumpProgram, DumpResult, Waiting, Watch};
use crate::trailer::Trailer;
use crate::{BackupError, DumpRequest, TableRows};
use bollard::Docker;
use bytes::Bytes;
use futures_util::FutureExt;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;

const DUMP: [&str; 5] = ["pg_dump", "-w", "-Fc", "-Z0", "--lock-wait-timeout=60000"];
const CHECK: [&str; 3] = ["pg_restore", "-f", "/dev/null"];
/// How a dump in the custom format begins.
const MAGIC: &[u8] = b"PGDMP";

/// Looks whether what passes begins as a dump does.
#[derive(Default)]
struct Beginning(Vec<u8>);

impl Watch for Beginning {
    fn see(&mut self, piece: &[u8]) {
        let missing = MAGIC.len().saturating_sub(self.0.len());
        self.0.extend(piece.iter().take(missing));
    }

    fn verdict(&mut self) -> Result<Vec<TableRows>, String> {
        // Rows are counted by the session, in the very snapshot that is dumped.
        if self.0 == MAGIC { Ok(Vec::new()) } else { Err("what it wrote is no dump".to_owned()) }
    }
}

/// Opens the transaction that holds still what `pg_dump` will dump.
pub(crate) async fn prepare(
    docker: &Docker,
    request: &DumpRequest,
    repo: &Path,
    earlier: &[Pending],
    outbox: &Arc<Outbox>,
) -> Result<Pending, BackupError> {
    let database = Database::find(docker, request, repo).await?;
    // Of many databases, each but the first has its programs started when their turn comes, so that few wait at a time.
    let first = earlier.is_empty();
    let early = first.then(|| {
        let trailer = Trailer::new();
        let script = trailer.script(&DUMP, &CHECK.join(" "));
        (Early::start(docker, &database.at.container, script, database.environment()), trailer)
    });
    let session = Session::open(docker, database.clone()).await?;
    if !session.superuser {
        outbox.note(format!(
            "{} is no superuser: the dump of {} has roles without their passwords",
            database.user, database.at.label
        ));
    }
    // Roles are the server's: one that has several databases is asked once, but by whoever may read most.
    let same = |other: &&Pending| {
        let superuser = matches!(&other.held, Held::Postgres(held) if held.superuser == session.superuser);
        superuser && other.instance.container == database.at.container
    };
    let (globals, asker) = match earlier.iter().find(same).and_then(|other| other.beside.as_ref()) {
        Some(beside) => (beside.content.clone(), None),
        None => {
            let (asker, roles) = oneshot::channel();
            let unasked = database.at.failed("pg_dumpall", None, "nobody asked for the roles");
            let content = roles.map(|roles| roles.unwrap_or(Err(unasked))).boxed().shared();
            (content, Some((asker, Arc::clone(outbox))))
        }
    };
    let label = &database.at.label;
    let snapshot = format!("--snapshot={}", session.snapshot);
    let arguments = DUMP.iter().chain([&snapshot.as_str()]).map(|&argument| argument.to_owned()).collect();
    Ok(Pending {
        path: format!("/dumps/{label}.pgdump"),
        beside: Some(Beside { path: globals_path(label), content: globals }),
        program: DumpProgram { arguments, environment: database.environment(), patience: SILENCE },
        size_bytes: session.size_bytes,
        waiting: early.map(|(early, trailer)| Waiting { early, line: snapshot, trailer }),
        watch: || Box::new(Beginning::default()),
        user: database.user.clone(),
        database: database.database.clone(),
        server_version: session.server_version.clone(),
        others: session.databases.clone(),
        instance: database.at,
        held: Held::Postgres(Counting::prepare(session, asker)),
        result: DumpResult::default(),
    })
}

/// Feeds a dump that was read back to `pg_restore -f /dev/null`, which reads it to its end.
pub(crate) async fn check_dump(
    docker: &Docker,
    instance: &Instance,
    checker: Option<Running>,
    pieces: &mut Receiver<Bytes>,
) -> Result<(), String> {
    if let Some(checker) = checker {
        return ended_well(checker.feed(pieces, SILENCE).await);
    }
    let program =
        Program { container: &instance.container, arguments: &CHECK, environment: Vec::new(), input: true };
    ended_well(program.feed(docker, pieces, SILENCE).await)
}

/// How `pg_restore` ended that was given a dump.
pub(super) fn ended_well(ended: Result<Ended, String>) -> Result<(), String> {
    let ended = ended?;
    match ended.exit {
        Some(0) => Ok(()),
        exit => {
            let code = exit.map_or("no exit code".to_owned(), |code| format!("exit code {code}"));
            Err(format!("pg_restore ended with {code}: {}", ended.stderr))
        }
    }
}
