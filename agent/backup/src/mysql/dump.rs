//! Dumping a database with the programs of its own container.

use super::server::{Server, identifier, literal, unhex};
use super::tally::Tally;
use crate::dump::{Beside, Held, Pending, events_path};
use crate::exec::{Program, SILENCE};
use crate::instance::Instance;
use crate::line::Outbox;
use crate::stream::{DumpProgram, DumpResult, Watch};
use crate::{BackupError, DumpRequest, label_of};
use bollard::Docker;
use bytes::Bytes;
use futures_util::FutureExt;
use std::future::ready;

/// The largest file of events.
const EVENTS_BYTES: usize = 16 * 1024 * 1024;

/// The version, and after it every database that somebody may have made.
const LOOK: &str = "SELECT HEX(VERSION());\n\
    SELECT HEX(schema_name) FROM information_schema.schemata \
    WHERE LOWER(schema_name) NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') \
    ORDER BY schema_name;\n";

/// One dump for the database that is named, or that the container was made with; else one for each of the server.
pub(crate) async fn prepare(
    docker: &Docker,
    request: &DumpRequest,
    outbox: &Outbox,
) -> Result<Vec<Pending>, BackupError> {
    let (server, own) = Server::find(docker, request).await?;
    let lines = server.ask(docker, None, LOOK).await.map_err(|error| as_dump_failure(&server, error))?;
    let unreadable = || server.at.failed(server.tools.client, None, "it did not answer as expected");
    let names: Option<Vec<String>> = lines.iter().map(|line| unhex(line)).collect();
    let mut names = names.ok_or_else(unreadable)?.into_iter();
    let version = names.next().ok_or_else(unreadable)?;
    let all: Vec<String> = names.collect();
    let chosen = match request.database.clone().or(own) {
        Some(database) => vec![(request.label.clone(), database)],
        None => all.iter().map(|name| (label_of(&request.label, name), name.clone())).collect(),
    };
    if chosen.is_empty() && request.user.is_some() {
        return Err(server.at.failed(server.tools.client, None, "its user sees no database of the server"));
    }
    if chosen.is_empty() {
        outbox.note(format!("{} has no database yet, so there is nothing to dump", request.label));
    }
    let mut pending = Vec::new();
    for (label, database) in chosen {
        let server = Server { at: Instance { label, ..server.at.clone() }, ..server.clone() };
        tell_of_tables_without_transactions(docker, &server, &database, outbox).await?;
        let size_bytes = size(docker, &server, &database).await?;
        let events = events(docker, &server, &database).await?;
        pending.push(Pending {
            path: format!("/dumps/{}.sql", server.at.label),
            beside: Some(Beside {
                path: events_path(&server.at.label),
                content: ready(Ok(events)).boxed().shared(),
            }),
            program: DumpProgram {
                arguments: dump_arguments(&server, &database),
                environment: server.environment(),
                patience: SILENCE,
            },
            watch: || -> Box<dyn Watch> { Box::new(Tally::default()) },
            size_bytes,
            waiting: None,
            result: DumpResult::default(),
            user: server.user,
            database,
            server_version: version.clone(),
            others: all.clone(),
            instance: server.at,
            held: Held::Mysql,
        });
    }
    Ok(pending)
}

/// Everything but events, which would run on where they are restored beside the live database; they are kept apart.
fn dump_arguments(server: &Server, database: &str) -> Vec<String> {
    let mut arguments = server.arguments(server.tools.dump);
    arguments.extend(
        [
            "--single-transaction",
            "--quick",
            "--routines",
            "--triggers",
            "--hex-blob",
            "--no-tablespaces",
            "--comments",
            // The time would make every dump of the same data another one.
            "--skip-dump-date",
        ]
        .map(str::to_owned),
    );
    arguments.extend(own_options(server));
    arguments.extend(["--".to_owned(), database.to_owned()]);
    arguments
}

/// MySQL writes identities of transactions into dumps, which another server refuses; MariaDB knows no such option.
fn own_options(server: &Server) -> Option<String> {
    (!server.tools.is_mariadb).then(|| "--set-gtid-purged=OFF".to_owned())
}

async fn events(docker: &Docker, server: &Server, database: &str) -> Result<Bytes, BackupError> {
    let mut arguments = server.arguments(server.tools.dump);
    let only = ["--events", "--no-create-info", "--no-data", "--skip-triggers", "--no-tablespaces"];
    arguments.extend(only.iter().chain(&["--comments", "--skip-dump-date"]).map(|&word| word.to_owned()));
    arguments.extend(own_options(server));
    arguments.extend(["--".to_owned(), database.to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let program = Program {
        container: &server.at.container,
        arguments: &arguments,
        environment: server.environment(),
        input: false,
    };
    let failed = |exit, text: &str| server.at.failed(server.tools.dump, exit, text);
    let ended = program.run(docker, EVENTS_BYTES).await.map_err(|cause| failed(None, &cause))?;
    if ended.exit != Some(0) {
        return Err(failed(ended.exit, &ended.said()));
    }
    let mut tally = Tally::default();
    tally.see(&ended.stdout);
    tally.verdict().map_err(|why| failed(ended.exit, &why))?;
    Ok(ended.stdout.into())
}

/// About, by what the server reckons; 0 where it does not say.
async fn size(docker: &Docker, server: &Server, database: &str) -> Result<u64, BackupError> {
    let question = format!(
        "SELECT COALESCE(SUM(data_length), 0) FROM information_schema.tables WHERE table_schema = {};\n",
        literal(database)
    );
    let lines = server.ask(docker, None, &question).await.map_err(|error| as_dump_failure(server, error))?;
    Ok(lines.first().and_then(|line| line.trim().parse().ok()).unwrap_or(0))
}

/// A dump is of one moment as far as transactions reach.
async fn tell_of_tables_without_transactions(
    docker: &Docker,
    server: &Server,
    database: &str,
    outbox: &Outbox,
) -> Result<(), BackupError> {
    let question = format!(
        "SELECT HEX(table_name) FROM information_schema.tables WHERE table_schema = {} AND engine IS NOT NULL \
         AND table_type = 'BASE TABLE' AND engine NOT IN ('InnoDB', 'ROCKSDB') ORDER BY table_name LIMIT 20;\n",
        literal(database)
    );
    let lines = server.ask(docker, None, &question).await.map_err(|error| as_dump_failure(server, error))?;
    let tables: Vec<String> = lines.iter().filter_map(|line| unhex(line)).map(|t| identifier(&t)).collect();
    if !tables.is_empty() {
        outbox.note(format!(
            "{database} of {}: {} have no transactions, so their rows may be of later moments than the others'",
            server.at.label,
            tables.join(", ")
        ));
    }
    Ok(())
}

/// A question that a dump needs is a part of the dump.
fn as_dump_failure(server: &Server, error: BackupError) -> BackupError {
    match error {
        BackupError::SqlFailed { program, exit, stderr, .. } => server.at.failed(&program, exit, &stderr),
        other => other,
    }
}
