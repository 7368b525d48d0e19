//! Restoring a dump, and running statements.
//!
//! **Invariant**: a dump that is restored under another name than its own reaches no other database: a statement that names
//! one ends it before it is run.

use super::server::{Server, identifier, literal, unhex};
use super::tally::Tally;
use crate::exec::{Program, RESTORES_WITHIN};
use crate::stream::Watch;
use crate::{BackupError, DumpReport, DumpRequest, TableRows};
use bollard::Docker;
use bytes::Bytes;
use tokio::sync::mpsc::{self, Receiver};

/// Pieces under way between what is read back and the client.
const PIECES: usize = 4;

/// A dump that is to be restored into a server.
pub(crate) struct Load {
    server: Server,
    database: String,
    /// Whether the server is the job's own: then the database gets its own name, and its events.
    alone: bool,
}

impl Load {
    /// Finds the server. With `into` that database is there and empty; without, it is made under its own name.
    pub(crate) async fn begin(
        docker: &Docker,
        request: &DumpRequest,
        dump: &DumpReport,
        into: Option<String>,
    ) -> Result<Self, BackupError> {
        let (server, _) = Server::find(docker, request).await?;
        let alone = into.is_none();
        let load = Self { server, database: into.unwrap_or_else(|| dump.database.clone()), alone };
        if alone {
            let name = identifier(&load.database);
            load.server.ask(docker, None, &format!("CREATE DATABASE IF NOT EXISTS {name};\n")).await?;
            let tables = load.tables(docker).await?;
            if let Some(table) = tables.first() {
                return Err(load.not_restored(format!(
                    "{} holds tables already, {table} for one, and nothing is written over",
                    load.database
                )));
            }
        }
        Ok(load)
    }

    /// Makes the database's events, where the server is its own. They begin to run at once, so nothing is counted after.
    pub(crate) async fn events(&self, docker: &Docker, events: Vec<u8>) -> Result<(), BackupError> {
        if !self.alone {
            return Ok(());
        }
        let (sender, pieces) = mpsc::channel(1);
        let _ = sender.send(events.into()).await;
        drop(sender);
        self.run(docker, pieces).await
    }

    /// Feeds the dump to the client, which stops at the first error.
    pub(crate) async fn run(&self, docker: &Docker, mut pieces: Receiver<Bytes>) -> Result<(), BackupError> {
        let mut arguments = self.server.arguments(self.server.tools.client);
        // Its own commands, which could run programs, are off; DELIMITER is left.
        arguments.push("--binary-mode".to_owned());
        arguments.push(format!("--database={}", self.database));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let program = Program {
            container: &self.server.at.container,
            arguments: &arguments,
            environment: self.server.environment(),
            input: true,
        };
        let (sender, mut judged) = mpsc::channel::<Bytes>(PIECES);
        let judging = async {
            let mut tally = Tally::default();
            while let Some(piece) = pieces.recv().await {
                tally.see(&piece);
                if tally.names_a_database && !self.alone {
                    drop(sender);
                    return Err(
                        "a statement of it names the database that it was dumped from, so that it can be \
                        restored under that name alone"
                            .to_owned(),
                    );
                }
                if sender.send(piece).await.is_err() {
                    break;
                }
            }
            drop((sender, pieces));
            Ok(())
        };
        let feeding = async {
            let ended = program.feed(docker, &mut judged, RESTORES_WITHIN).await;
            // A client that ended early takes nothing more, and who judges for it must not wait for it.
            judged.close();
            ended
        };
        let (judged, ended) = tokio::join!(judging, feeding);
        judged.map_err(|cause| self.not_restored(cause))?;
        let ended = ended.map_err(|cause| self.not_restored(cause))?;
        if ended.exit == Some(0) {
            return Ok(());
        }
        let code = ended.exit.map_or("no exit code".to_owned(), |code| format!("exit code {code}"));
        let client = self.server.tools.client;
        Err(self.not_restored(format!("{client} ended with {code}: {}", ended.said())))
    }

    /// The rows of every table.
    pub(crate) async fn count(&self, docker: &Docker) -> Result<Vec<TableRows>, BackupError> {
        let tables = self.tables(docker).await?;
        if tables.is_empty() {
            return Ok(Vec::new());
        }
        let question: String =
            tables.iter().map(|table| format!("SELECT COUNT(*) FROM {};\n", identifier(table))).collect();
        let lines = self.server.ask(docker, Some(&self.database), &question).await?;
        let rows: Option<Vec<u64>> = lines.iter().map(|line| line.parse().ok()).collect();
        let rows = rows.filter(|rows| rows.len() == tables.len());
        let rows = rows.ok_or_else(|| self.not_restored("its rows could not be counted".to_owned()))?;
        Ok(tables.into_iter().zip(rows).map(|(table, rows)| TableRows::new(table, rows)).collect())
    }

    async fn tables(&self, docker: &Docker) -> Result<Vec<String>, BackupError> {
        let question = format!(
            "SELECT HEX(table_name) FROM information_schema.tables WHERE table_schema = {} \
             AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND table_name <> {} ORDER BY table_name;\n",
            literal(&self.database),
            literal(crate::MARKER_TABLE)
        );
        let lines = self.server.ask(docker, None, &question).await?;
        lines
            .iter()
            .map(|line| unhex(line))
            .collect::<Option<Vec<String>>>()
            .ok_or_else(|| self.not_restored("its tables could not be listed".to_owned()))
    }

    fn not_restored(&self, cause: String) -> BackupError {
        BackupError::DumpNotRestored {
            label: self.server.at.label.clone(),
            cause: self.server.at.redact(&cause),
        }
    }
}

/// Runs statements, in the request's database where it names one. The first error ends them.
pub(crate) async fn sql(
    docker: &Docker,
    at: &DumpRequest,
    statements: &str,
) -> Result<Vec<String>, BackupError> {
    let (server, _) = Server::find(docker, at).await?;
    server.ask(docker, at.database.as_deref(), statements).await
}
