//! A transaction that holds still what is dumped.
//!
//! `psql` holds a `REPEATABLE READ` transaction open and exports its snapshot; `pg_dump` dumps that snapshot, and rows
//! are counted in it, so that a restore can be compared with numbers of the very same moment.

use super::connection::{Database, connection_string};
use crate::exec::{Program, Running, SILENCE};
use crate::line::Outbox;
use crate::{BackupError, TableRows, panics};
use bollard::Docker;
use bytes::Bytes;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Answers are small, but for the row counts: one line a table.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;

const OPEN: &str = "\
SET statement_timeout = 0;
SET lock_timeout = '60s';
SET idle_in_transaction_session_timeout = 0;
SET row_security = off;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE application_name = current_setting('application_name') AND pid <> pg_backend_pid()
   AND usename = current_user AND datname = current_database() \\g /dev/null
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT pg_export_snapshot();
SHOW server_version;
SELECT rolsuper FROM pg_roles WHERE rolname = current_user;
SELECT coalesce(json_agg(datname ORDER BY datname), '[]') FROM pg_database
 WHERE datallowconn AND NOT datistemplate AND datname <> 'postgres'
   AND datname !~ '^wharf_(restore|fresh)_([0-9a-f]{8}_)?job' AND datname !~ '_before_[0-9]{8}_[0-9]{6}$';
SELECT pg_database_size(current_database());
";

/// `ONLY`, so that a row of a table that inherits is counted once; tables of extensions are dumped too, if at all, so
/// they count.
const COUNT: &str = "\
SELECT format('SELECT json_build_array(%L, count(*)) FROM ONLY %I.%I', n.nspname || '.' || c.relname, n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't'
   AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
 ORDER BY n.nspname, c.relname \\gexec
";

/// The largest globals: roles and tablespaces.
const ROLES_BYTES: usize = 16 * 1024 * 1024;
/// Where the program that dumps the roles finds to which database it is to connect. It takes no notice of PGDATABASE, but
/// connects to the user's or to `postgres`, and either may be gone.
const ROLES_AT: &str = "WHARF_ROLES_AT";
/// The statements that make the roles, as far as anybody may know them: a dump says who owns what, and could not be restored
/// where they are not.
const ROLE_NAMES: &str =
    "SELECT format('CREATE ROLE %I;', rolname) FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1;\n";

/// Who waits for the server's roles.
pub(crate) type Asker = oneshot::Sender<Result<Bytes, BackupError>>;

/// Counts rows, and asks for the server's roles, while the dump is made. The transaction ends with this, so it must outlive
/// the dump's beginning.
pub(crate) struct Counting {
    pub(crate) superuser: bool,
    start: Option<oneshot::Sender<()>>,
    counting: JoinHandle<Result<(Session, Vec<TableRows>), BackupError>>,
}

impl Counting {
    /// Holds the transaction; counts and asks once it is told to.
    pub(crate) fn prepare(mut session: Session, roles: Option<(Asker, Arc<Outbox>)>) -> Self {
        let superuser = session.superuser;
        let (start, started) = oneshot::channel();
        let counting = tokio::spawn(async move {
            if started.await.is_err() {
                return Err(session.database.at.failed(
                    "psql",
                    None,
                    "no rows were counted: there was no dump",
                ));
            }
            let tables = session.count().await?;
            if let Some((asker, outbox)) = roles {
                // One who is gone has failed, and says so by itself.
                let _ = asker.send(session.roles(&outbox).await);
            }
            Ok((session, tables))
        });
        Self { superuser, start: Some(start), counting }
    }

    /// What has it begin.
    pub(crate) fn starter(&mut self) -> Box<dyn FnOnce() + Send> {
        let start = self.start.take();
        Box::new(move || {
            // One that is gone has failed, and says so when it is asked for the rows.
            let _ = start.map(|start| start.send(()));
        })
    }

    /// The rows of every table, and the end of the transaction.
    pub(crate) async fn rows(self) -> Result<Vec<TableRows>, BackupError> {
        drop(self.start);
        let (_session, tables) = self.counting.await.unwrap_or_else(|error| Err(panics::failed(error)))?;
        Ok(tables)
    }
}

/// A transaction on a database that is being dumped.
pub(crate) struct Session {
    database: Database,
    running: Running,
    unread: Vec<u8>,
    questions: u32,
    /// By which the end of an answer is known; nothing in a database has it.
    mark: String,
    /// For `pg_dump --snapshot`.
    pub(crate) snapshot: String,
    pub(crate) server_version: String,
    /// Whether the user may read the passwords of roles.
    pub(crate) superuser: bool,
    /// The databases of the server that somebody may have made: not those that a restore has kept or is making.
    pub(crate) databases: Vec<String>,
    /// On the server's disk, indexes and all.
    pub(crate) size_bytes: u64,
}

impl Session {
    pub(crate) async fn open(docker: &Docker, database: Database) -> Result<Self, BackupError> {
        let arguments = ["psql", "-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];
        let mut environment = database.environment();
        environment.push(format!("{ROLES_AT}={}", connection_string(&database.database)));
        let program =
            Program { container: &database.at.container, arguments: &arguments, environment, input: true };
        let running =
            program.start(docker).await.map_err(|cause| database.at.failed("psql", None, &cause))?;
        let mut session = Self {
            database,
            running,
            unread: Vec::new(),
            questions: 0,
            mark: format!("wharf-{:032x}", rand::random::<u128>()),
            snapshot: String::new(),
            server_version: String::new(),
            superuser: false,
            databases: Vec::new(),
            size_bytes: 0,
        };
        let answer = session.ask(OPEN).await?;
        let unexpected = "it did not answer as expected";
        let [snapshot, version, superuser, databases, size_bytes] = answer.as_slice() else {
            return Err(session.database.at.failed("psql", None, unexpected));
        };
        session.databases = serde_json::from_str(databases)
            .map_err(|_| session.database.at.failed("psql", None, unexpected))?;
        session.size_bytes =
            size_bytes.parse().map_err(|_| session.database.at.failed("psql", None, unexpected))?;
        session.snapshot.clone_from(snapshot);
        session.server_version.clone_from(version);
        session.superuser = superuser == "t";
        Ok(session)
    }

    /// The rows of every table. The transaction stays as it is.
    pub(crate) async fn count(&mut self) -> Result<Vec<TableRows>, BackupError> {
        let lines = self.ask(COUNT).await?;
        let read = |line: &String| {
            let (table, rows): (String, u64) = serde_json::from_str(line).ok()?;
            Some(TableRows::new(table, rows))
        };
        let tables: Option<Vec<TableRows>> = lines.iter().map(read).collect();
        tables.ok_or_else(|| self.database.at.failed("psql", None, "row counts could not be read"))
    }

    /// What the user may read of the server's roles and tablespaces, which `pg_dump` leaves out: without a superuser, roles come
    /// without their passwords; where a managed server forbids their attributes, their names alone.
    async fn roles(&mut self, outbox: &Outbox) -> Result<Bytes, BackupError> {
        let (exit, dump, said) = self.dump_roles().await?;
        if exit == Some(0) {
            let tail = String::from_utf8_lossy(&dump[dump.len().saturating_sub(512)..]).into_owned();
            return if tail.contains("database cluster dump complete") {
                Ok(dump.into())
            } else {
                Err(self.database.at.failed("pg_dumpall", exit, "what it wrote is not complete"))
            };
        }
        if exit.is_none() || self.superuser || !said.contains("permission denied") {
            return Err(self.database.at.failed("pg_dumpall", exit, said.trim()));
        }
        outbox.note(format!(
            "{} may not read the roles' attributes: the dump of {} has their names alone",
            self.database.user, self.database.at.label
        ));
        Ok(self.answer(ROLE_NAMES, ROLES_BYTES).await?.into())
    }

    /// Has psql run the program, for one of its own would cost the engine more than all that it does. Its exit code, and what
    /// it wrote and said.
    async fn dump_roles(&mut self) -> Result<(Option<i64>, Vec<u8>, String), BackupError> {
        let passwords = if self.superuser { "" } else { "--no-role-passwords" };
        let program = format!("pg_dumpall -w --globals-only {passwords} \"--database=${ROLES_AT}\"");
        let exit = format!("{}-exit-", self.mark);
        // What it says in error must not come among what it writes.
        let script = format!(
            "\\! {{ said=$({program} 2>&1 >&3 3>&- </dev/null); code=$?; }} 3>&1; echo \"{exit}$code\"; \
             printf '%s\\n' \"$said\"\n"
        );
        let mut answer = self.answer(&script, ROLES_BYTES).await?;
        let Some(at) = answer.windows(exit.len()).rposition(|bytes| bytes == exit.as_bytes()) else {
            // Not what it wrote, which has the roles' passwords in it.
            return Ok((None, Vec::new(), "the shell that runs it ended early".to_owned()));
        };
        let rest = String::from_utf8_lossy(&answer[at + exit.len()..]).into_owned();
        let (code, said) = rest.split_once('\n').unwrap_or((&rest, ""));
        let (code, said) = (code.parse().ok(), said.to_owned());
        answer.truncate(at);
        Ok((code, answer, said))
    }

    /// Runs statements and returns the lines that they print.
    async fn ask(&mut self, statements: &str) -> Result<Vec<String>, BackupError> {
        let answer = self.answer(statements, ANSWER_BYTES).await?;
        Ok(String::from_utf8_lossy(&answer).lines().map(|line| line.trim_end().to_owned()).collect())
    }

    /// Runs statements and returns what they print, at most `limit` bytes.
    async fn answer(&mut self, statements: &str, limit: usize) -> Result<Vec<u8>, BackupError> {
        self.questions += 1;
        let end = format!("{}-{}\n", self.mark, self.questions);
        let script = format!("{statements}SELECT '{}';\n", end.trim_end());
        let written = async {
            self.running.input.write_all(script.as_bytes()).await?;
            self.running.input.flush().await
        };
        if !matches!(timeout(SILENCE, written).await, Ok(Ok(()))) {
            // psql is gone; what it said is worth more than the broken pipe.
            return Err(self.over().await);
        }
        // It prints nothing after that line until it is asked again.
        while !self.unread.ends_with(end.as_bytes()) {
            match self.running.next().await {
                Ok(Some(piece)) => {
                    if self.unread.len() + piece.len() > limit {
                        return Err(self.database.at.failed("psql", None, "its answer is too long"));
                    }
                    self.unread.extend_from_slice(&piece);
                }
                Ok(None) => return Err(self.over().await),
                Err(cause) => return Err(self.database.at.failed("psql", None, &cause)),
            }
        }
        let mut answer = std::mem::take(&mut self.unread);
        answer.truncate(answer.len() - end.len());
        Ok(answer)
    }

    /// psql has ended, which it should not have.
    async fn over(&mut self) -> BackupError {
        let mut said = std::mem::take(&mut self.unread);
        while let Ok(Some(piece)) = self.running.next().await {
            said.extend_from_slice(&piece);
            said.truncate(ANSWER_BYTES);
        }
        let exit = self.running.exit().await.unwrap_or(None);
        let mut text = self.running.stderr.text();
        if text.is_empty() && matches!(exit, Some(126 | 127)) {
            // The engine reports a program that is missing on standard output.
            text = String::from_utf8_lossy(&said).trim().to_owned();
        }
        self.database.at.failed("psql", exit, &text)
    }
}
