//! Restoring a dump, and running statements, with the programs of the database's own container.

use super::connection::Database;
use super::dump::ended_well;
use super::session::Session;
use crate::exec::{Program, RESTORES_WITHIN, SILENCE};
use crate::{BackupError, DumpReport, DumpRequest, TableRows};
use bollard::Docker;
use bytes::Bytes;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// The most that statements may answer.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;
const PSQL: [&str; 8] = ["psql", "-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];

/// What a server has before anybody makes a database; `pg_restore --create` would find these there already.
const BUILT_IN: [&str; 3] = ["postgres", "template0", "template1"];

/// A dump that is to be restored into a server.
pub(crate) struct Load {
    /// What `pg_restore` connects to.
    connects: Database,
    /// Whether it makes the database that was dumped.
    creates: bool,
    /// What the dump becomes.
    into: Database,
}

impl Load {
    /// Finds the server. Where the request names no database, the dump gets its own name, and its server's roles first.
    pub(crate) async fn begin(
        docker: &Docker,
        repo: &Path,
        request: &DumpRequest,
        dump: &DumpReport,
        globals: &[u8],
    ) -> Result<Self, BackupError> {
        let alone = request.database.is_none();
        let at = |database: &str| DumpRequest { database: Some(database.to_owned()), ..request.clone() };
        let into = request.database.as_deref().unwrap_or(&dump.database);
        let creates = alone && !BUILT_IN.contains(&into);
        if alone {
            run_globals(docker, &Database::find(docker, &at("postgres"), repo).await?, globals).await?;
        }
        let connects = if creates { "postgres" } else { into };
        Ok(Self {
            connects: Database::find(docker, &at(connects), repo).await?,
            creates,
            into: Database::find(docker, &at(into), repo).await?,
        })
    }

    /// Feeds the dump to `pg_restore`, which stops at the first error.
    pub(crate) async fn run(&self, docker: &Docker, mut pieces: Receiver<Bytes>) -> Result<(), BackupError> {
        let server = &self.connects;
        let target = format!("--dbname={}", super::connection::connection_string(&server.database));
        let mut arguments = vec!["pg_restore", "-w", "--exit-on-error", "--no-tablespaces", &target];
        if self.creates {
            arguments.push("--create");
        }
        let environment = server.environment();
        let program =
            Program { container: &server.at.container, arguments: &arguments, environment, input: true };
        let ended = program.feed(docker, &mut pieces, RESTORES_WITHIN).await;
        ended_well(ended).map_err(|cause| BackupError::DumpNotRestored {
            label: server.at.label.clone(),
            cause: server.at.redact(&cause),
        })
    }

    /// The rows of every table.
    pub(crate) async fn count(&self, docker: &Docker) -> Result<Vec<TableRows>, BackupError> {
        let mut session = Session::open(docker, self.into.clone()).await?;
        session.count().await
    }
}

/// Makes the roles of the dump's server. What is there already, the user itself, is no failure.
async fn run_globals(docker: &Docker, at: &Database, globals: &[u8]) -> Result<(), BackupError> {
    let tolerant = ["psql", "-X", "-w", "-q", "-A", "-t"];
    psql(docker, at, &tolerant, globals, SILENCE).await.map(drop)
}

/// Runs statements in a database. The first error ends them; those between `BEGIN` and `COMMIT` are then not done.
pub(crate) async fn sql(
    docker: &Docker,
    repo: &Path,
    at: &DumpRequest,
    statements: &str,
) -> Result<Vec<String>, BackupError> {
    let database = Database::find(docker, at, repo).await?;
    let stdout = psql(docker, &database, &PSQL, statements.as_bytes(), SILENCE).await?;
    Ok(String::from_utf8_lossy(&stdout).lines().map(str::to_owned).collect())
}

/// Runs a whole script in a database for at most so long. What it selects is thrown away; errors name lines of the script.
pub(crate) async fn script(
    docker: &Docker,
    repo: &Path,
    at: &DumpRequest,
    script: &str,
    limit: Duration,
) -> Result<(), BackupError> {
    let database = Database::find(docker, at, repo).await?;
    let arguments = [PSQL.as_slice(), &["-o", "/dev/null", "-f", "-"]].concat();
    // Whoever may work for so long may say nothing for so long, and must be the first to hear that the time is over.
    let patience = limit.saturating_add(SILENCE);
    match timeout(limit, psql(docker, &database, &arguments, script.as_bytes(), patience)).await {
        Ok(ended) => ended.map(drop),
        Err(_) => Err(BackupError::SqlFailed {
            label: at.label.clone(),
            program: "psql".to_owned(),
            database: database.database,
            exit: None,
            stderr: format!("it did not end within {} seconds", limit.as_secs()),
        }),
    }
}

async fn psql(
    docker: &Docker,
    at: &Database,
    arguments: &[&str],
    statements: &[u8],
    patience: Duration,
) -> Result<Vec<u8>, BackupError> {
    let failed = |exit, text: &str| BackupError::SqlFailed {
        label: at.at.label.clone(),
        program: "psql".to_owned(),
        database: at.database.clone(),
        exit,
        stderr: at.at.redact(text),
    };
    let environment = at.environment();
    let program = Program { container: &at.at.container, arguments, environment, input: true };
    let ended = program.answer(docker, statements, ANSWER_BYTES, patience).await;
    let ended = ended.map_err(|cause| failed(None, &cause))?;
    match ended.exit {
        Some(0) => Ok(ended.stdout),
        exit => Err(failed(exit, &ended.said())),
    }
}
