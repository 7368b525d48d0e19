//! Dumping a database, and checking a dump, with the programs of its own container.

use super::connection::Database;
use super::session::{Counting, Session};
use crate::dump::{Beside, Content, Held, Pending, globals_path};
use crate::exec::{Early, Ended, Program};
use crate::instance::Instance;
use crate::line::Outbox;
use crate::stream::{DumpProgram, DumpResult, Watch};
use crate::{BackupError, DumpRequest, TableRows, panics};
use bollard::Docker;
use bytes::Bytes;
use futures_util::FutureExt;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;

/// The largest globals: roles and tablespaces.
const GLOBALS_BYTES: usize = 16 * 1024 * 1024;
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
    let waiting =
        first.then(|| Early::start(docker, &database.at.container, waiting(), database.environment()));
    let session = Session::open(docker, database.clone()).await?;
    let check =
        || Early::start(docker, &database.at.container, CHECK.map(str::to_owned).to_vec(), Vec::new());
    let checker = first.then(check);
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
    let globals = match earlier.iter().find(same).and_then(|other| other.beside.as_ref()) {
        Some(beside) => beside.content.clone(),
        None => globals(docker, &database, session.superuser, outbox),
    };
    let label = &database.at.label;
    let snapshot = format!("--snapshot={}", session.snapshot);
    let arguments = DUMP.iter().chain([&snapshot.as_str()]).map(|&argument| argument.to_owned()).collect();
    Ok(Pending {
        path: format!("/dumps/{label}.pgdump"),
        beside: Some(Beside { path: globals_path(label), content: globals }),
        program: DumpProgram { arguments, environment: database.environment() },
        size_bytes: session.size_bytes,
        waiting: waiting.map(|early| (early, snapshot)),
        checker,
        watch: || Box::new(Beginning::default()),
        user: database.user.clone(),
        database: database.database.clone(),
        server_version: session.server_version.clone(),
        others: session.databases.clone(),
        instance: database.at,
        held: Held::Postgres(Counting::prepare(session)),
        result: DumpResult::default(),
    })
}

/// What becomes `pg_dump` when it is told the snapshot.
fn waiting() -> Vec<String> {
    let script = "read -r snapshot && exec \"$@\" \"$snapshot\"";
    ["sh", "-c", script, "sh"].iter().chain(&DUMP).map(|&argument| argument.to_owned()).collect()
}

/// The server's roles, which are asked for while the dump is made.
fn globals(docker: &Docker, database: &Database, superuser: bool, outbox: &Arc<Outbox>) -> Content {
    let (docker, database, outbox) = (docker.clone(), database.clone(), Arc::clone(outbox));
    let task = tokio::spawn(async move { roles(&docker, &database, superuser, &outbox).await });
    task.map(|ended| ended.unwrap_or_else(|error| Err(panics::failed(error)))).boxed().shared()
}

/// What the user may read of the roles: where a managed server forbids their attributes, their names.
async fn roles(
    docker: &Docker,
    database: &Database,
    superuser: bool,
    outbox: &Outbox,
) -> Result<Bytes, BackupError> {
    match dump_globals(docker, database, superuser).await {
        Err(BackupError::DumpFailed { exit: Some(_), stderr, .. })
            if !superuser && stderr.contains("permission denied") =>
        {
            outbox.note(format!(
                "{} may not read the roles' attributes: the dump of {} has their names alone",
                database.user, database.at.label
            ));
            role_names(docker, database).await
        }
        globals => globals,
    }
}

/// Roles and tablespaces: `pg_dump` leaves them out. Without a superuser, roles come without their passwords.
pub(crate) async fn dump_globals(
    docker: &Docker,
    database: &Database,
    superuser: bool,
) -> Result<Bytes, BackupError> {
    let mut arguments = vec!["pg_dumpall", "-w", "--globals-only"];
    if !superuser {
        arguments.push("--no-role-passwords");
    }
    // pg_dumpall takes no notice of PGDATABASE, but connects to the user's or to `postgres`, and either may be gone.
    let target = format!("--database={}", connection_string(&database.database));
    arguments.push(&target);
    let program = Program {
        container: &database.at.container,
        arguments: &arguments,
        environment: database.environment(),
        input: false,
    };
    let failed = |exit, text: &str| database.at.failed("pg_dumpall", exit, text);
    let ended = program.run(docker, GLOBALS_BYTES).await.map_err(|cause| failed(None, &cause))?;
    if ended.exit != Some(0) {
        return Err(failed(ended.exit, &ended.said()));
    }
    let tail = &ended.stdout[ended.stdout.len().saturating_sub(512)..];
    if !String::from_utf8_lossy(tail).contains("database cluster dump complete") {
        return Err(failed(ended.exit, "what it wrote is not complete"));
    }
    Ok(ended.stdout.into())
}

/// The statements that make the roles, as far as anybody may know them: a dump says who owns what, and could not be restored
/// where they are not.
async fn role_names(docker: &Docker, database: &Database) -> Result<Bytes, BackupError> {
    const ROLES: &str =
        "SELECT format('CREATE ROLE %I;', rolname) FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1";
    let program = Program {
        container: &database.at.container,
        arguments: &["psql", "-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", ROLES],
        environment: database.environment(),
        input: false,
    };
    let failed = |exit, text: &str| database.at.failed("psql", exit, text);
    let ended = program.run(docker, GLOBALS_BYTES).await.map_err(|cause| failed(None, &cause))?;
    if ended.exit != Some(0) {
        return Err(failed(ended.exit, &ended.said()));
    }
    Ok(ended.stdout.into())
}

/// A database's name where libpq would take one with `=` for a connection string.
pub(super) fn connection_string(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Feeds a dump that was read back to `pg_restore -f /dev/null`, which reads it to its end.
pub(crate) async fn check_dump(
    docker: &Docker,
    instance: &Instance,
    early: Option<Early>,
    pieces: &mut Receiver<Bytes>,
) -> Result<(), String> {
    if let Some(early) = early {
        return ended_well(early.running().await?.feed(pieces).await);
    }
    let program =
        Program { container: &instance.container, arguments: &CHECK, environment: Vec::new(), input: true };
    ended_well(program.feed(docker, pieces).await)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_name_is_never_a_connection_string() {
        assert_eq!(connection_string("a b='c\\"), "dbname='a b=\\'c\\\\'");
    }
}
