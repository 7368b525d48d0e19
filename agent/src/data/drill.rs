//! A drill: a backup is read back byte by byte, and each dump is restored into a throwaway server and compared.
//!
//! **Invariants**: the live database is not connected to. What the backup itself is to blame for is recorded as failed;
//! a server without memory, or an engine that does not answer, proves nothing either way.

use super::beside::{check_sql, passed};
use super::commands;
use super::compare::differences;
use super::database::{Address, load};
use super::known::{self, Known};
use super::throwaway::{self, Server};
use crate::failures;
use crate::jobs::backup::quiet_child;
use crate::jobs::run::Job;
use wharf_backup::{BackupError, CheckRequest, DumpReport, LoadTarget, SqliteRequest};
use wharf_plan::facts::ContainerState;
use wharf_proto::backup::Proof;
use wharf_proto::database::DatabaseKind;
use wharf_proto::{BackupId, Failure, FailureKind, Step};
use wharf_state::AppRecord;

/// Verifies a backup and records what was found; a summary.
///
/// # Errors
/// The backup is not what it should be, or the drill could not be held.
pub async fn drill(job: &Job, app: &AppRecord, backup: &BackupId) -> Result<String, Failure> {
    let known = known::all(&job.agent, app).await?;
    let known = known::find(&known, backup)?.clone();
    match hold(job, app, &known).await {
        Ok(()) if known.dumps.is_empty() && !known.cold.is_empty() => Ok(format!(
            "backup {} was read back whole; its copied data directories cannot be tried, so it stays unproven",
            backup.short()
        )),
        Ok(()) if known.dumps.iter().any(untried) => Ok(format!(
            "backup {} was read back whole; {} cannot be tried without `restore` under [[dump]], so it stays unproven",
            backup.short(),
            known
                .dumps
                .iter()
                .filter(|dump| untried(dump))
                .map(DumpReport::service)
                .collect::<Vec<_>>()
                .join(", ")
        )),
        Ok(()) => {
            record(job, backup, Proof::Proven { at: job.agent.clock.now() }).await?;
            Ok(proven(&known))
        }
        Err(Found::Bad(failure)) => {
            let why =
                failure.causes.iter().fold(failure.message.clone(), |text, cause| format!("{text}: {cause}"));
            record(job, backup, Proof::Failed { at: job.agent.clock.now(), why }).await?;
            Err(failure)
        }
        Err(Found::Nothing(failure)) => Err(failure),
    }
}

/// Whether nothing restores the dump.
fn untried(dump: &DumpReport) -> bool {
    dump.kind == DatabaseKind::Commands && !commands::can_be_tried(dump)
}

/// What a drill that did not succeed has found.
enum Found {
    /// The backup is bad.
    Bad(Failure),
    /// Nothing about the backup.
    Nothing(Failure),
}

impl Found {
    fn into_failure(self) -> Failure {
        match self {
            Self::Bad(failure) | Self::Nothing(failure) => failure,
        }
    }

    fn of(error: &BackupError) -> Self {
        match error {
            BackupError::Damaged { .. }
            | BackupError::SqliteUnsound { .. }
            | BackupError::DumpNotRestored { .. }
            | BackupError::DumpUnchecked { .. }
            | BackupError::Repository { .. }
            | BackupError::NotFound { .. }
            | BackupError::RepositoryMissing { .. } => Self::Bad(error.failure()),
            _ => Self::Nothing(error.failure()),
        }
    }
}

fn proven(known: &Known) -> String {
    let (keys, tabled): (Vec<_>, Vec<_>) =
        known.dumps.iter().partition(|dump| dump.kind == DatabaseKind::Redis);
    let rows: u64 = tabled.iter().flat_map(|dump| &dump.tables).map(|table| table.rows).sum();
    let tables: usize = tabled.iter().map(|dump| dump.tables.len()).sum();
    let uncounted = |dump: &&DumpReport| dump.kind == DatabaseKind::Commands && dump.tables.is_empty();
    let without: Vec<&str> =
        known.dumps.iter().filter(uncounted).map(|dump| dump.database.as_str()).collect();
    let mut counted: Vec<String> = Vec::new();
    if tabled.len() > without.len() {
        counted.push(format!("{tables} tables and {rows} rows"));
    }
    if !keys.is_empty() {
        let keys: u64 = keys.iter().flat_map(|dump| &dump.tables).map(|table| table.rows).sum();
        counted.push(format!("{keys} keys"));
    }
    let counted = if counted.is_empty() {
        String::new()
    } else {
        format!(" with {}, {}", counted.join(", "), as_counted(known))
    };
    let without = if without.is_empty() {
        String::new()
    } else {
        format!("; nothing of {} was counted", without.join(", "))
    };
    let id = known.id.short();
    let sqlite: usize = known.volumes.iter().map(|volume| volume.sqlite.len()).sum();
    let sqlite = match sqlite {
        0 => String::new(),
        1 => ", 1 SQLite database checked".to_owned(),
        many => format!(", {many} SQLite databases checked"),
    };
    if known.dumps.is_empty() {
        return format!("backup {id} is proven: {} files read back{sqlite}; it holds no dump", known.files);
    }
    format!(
        "backup {id} is proven: {} files read back{sqlite}, {} restored{counted}{without}",
        known.files,
        if known.dumps.len() == 1 {
            "1 database".to_owned()
        } else {
            format!("{} databases", known.dumps.len())
        },
    )
}

/// How sure the numbers are.
fn as_counted(known: &Known) -> String {
    let tables = known.dumps.iter().flat_map(|dump| &dump.tables);
    match tables.filter(|table| table.up_to.is_some()).count() {
        0 => "as counted".to_owned(),
        several => {
            format!("as counted; in {several} that changed meanwhile, between the counts before and after")
        }
    }
}

async fn record(job: &Job, backup: &BackupId, proof: Proof) -> Result<(), Failure> {
    job.agent.state.record_proof(job.app(), backup, proof).await.map_err(|e| failures::of_state(&e))
}

async fn hold(job: &Job, app: &AppRecord, known: &Known) -> Result<(), Found> {
    // A step's failure is told as what it is; whose fault it was is kept beside.
    let mut bad = false;
    let mut blame = |found: Found| {
        bad = matches!(found, Found::Bad(_));
        found.into_failure()
    };
    let steps = async {
        job.record.step(Step::Check, async { read_back(job, &known.id).await.map_err(&mut blame) }).await?;
        job.record.step(Step::Drill, async { restore_all(job, app, known).await.map_err(&mut blame) }).await
    };
    let result = steps.await;
    result.map_err(|failure| if bad { Found::Bad(failure) } else { Found::Nothing(failure) })
}

async fn read_back(job: &Job, backup: &BackupId) -> Result<(), Found> {
    let request = CheckRequest {
        repo: job.agent.layout.repository(job.app()),
        key_file: job.agent.layout.repository_key(job.app()),
        read_data: true,
        snapshot: Some(backup.clone()),
    };
    wharf_backup::run(&quiet_child(&job.agent), request, |_| ()).await.map(drop).map_err(|e| Found::of(&e))
}

async fn restore_all(job: &Job, app: &AppRecord, known: &Known) -> Result<(), Found> {
    if known.volumes.iter().any(|volume| !volume.sqlite.is_empty()) {
        check_sqlite(job, &known.id).await?;
    }
    for (number, dump) in known.dumps.iter().enumerate().filter(|(_, dump)| !untried(dump)) {
        let image = image(job, app, dump).await.map_err(Found::Nothing)?;
        let (server, alike) = start(job, app, (number, dump), image).await.map_err(Found::Nothing)?;
        crate::crash::point("drill.inside");
        let tried = try_dump(job, &known.id, dump, (&server, alike)).await;
        let removed = server.remove(job).await;
        tried?;
        removed.map_err(Found::Nothing)?;
    }
    Ok(())
}

/// A throwaway server for a dump, and whether it is started as one of its image is: of no kind that Wharf knows, it has the words
/// and the environment of the live one, which may be of another image by now, or gone.
async fn start(
    job: &Job,
    app: &AppRecord,
    (number, dump): (usize, &DumpReport),
    image: String,
) -> Result<(Server, bool), Failure> {
    if dump.kind != DatabaseKind::Commands {
        return Ok((throwaway::start(job, number, dump, image).await?, true));
    }
    let containers = super::task::containers(job, app).await?;
    let live = containers.iter().find(|container| container.service == dump.service());
    let alike = live.is_some_and(|live| live.image_id == image);
    Ok((commands::start(job, number, dump, image, live).await?, alike))
}

/// Has SQLite check the databases in the backup's volumes.
async fn check_sqlite(job: &Job, backup: &BackupId) -> Result<(), Found> {
    let scratch = throwaway::scratch(job, "sqlite").await.map_err(Found::Nothing)?;
    let request = SqliteRequest {
        repo: job.agent.layout.repository(job.app()),
        key_file: job.agent.layout.repository_key(job.app()),
        snapshot: backup.clone(),
        scratch,
    };
    wharf_backup::run(&quiet_child(&job.agent), request, |_| ()).await.map(drop).map_err(|e| Found::of(&e))
}

/// The image that the dump was made in; where it is gone, the one that the database runs now.
async fn image(job: &Job, app: &AppRecord, dump: &DumpReport) -> Result<String, Failure> {
    let engine = &job.agent.engine;
    if engine.image(&dump.image).await.map_err(|e| failures::of_engine(&e))?.is_some() {
        return Ok(dump.image.clone());
    }
    let now = match crate::outside::find(&job.spec, dump.service()) {
        Some(outside) => {
            let image = engine.image(&outside.image).await.map_err(|e| failures::of_engine(&e))?;
            image.map(|image| (outside.image.clone(), image.id))
        }
        None => {
            let containers = super::task::containers(job, app).await?;
            let now = containers.into_iter().find(|container| container.service == dump.service());
            now.map(|now| (now.image, now.image_id))
        }
    };
    let Some((name, id)) = now else {
        let text = format!(
            "the image that {} was dumped in is gone, and {} does not run",
            dump.database,
            dump.service()
        );
        let version = match dump.server_version.as_str() {
            "" => "a server of its own kind",
            version => version,
        };
        return Err(Failure::new(FailureKind::Environment, text)
            .cause(format!("its server was {version}, image {}", dump.image))
            .hint("pull the database's image, or start the service"));
    };
    let text = format!("the image that {} was dumped in is gone: {name} is used", dump.database);
    job.record.warn(text).await;
    Ok(id)
}

async fn lives(job: &Job, server: &Server) -> bool {
    let container = job.agent.engine.container(&server.container).await.ok().flatten();
    container.is_some_and(|found| found.state == ContainerState::Running && !found.oom_killed)
}

async fn try_dump(
    job: &Job,
    backup: &BackupId,
    dump: &DumpReport,
    (server, alike): (&Server, bool),
) -> Result<(), Found> {
    let into = LoadTarget { container: server.container.clone(), user: server.user.clone(), database: None };
    let report = match load(job, backup, &dump.label, into).await {
        Ok(report) => report,
        Err(error @ (BackupError::DumpNotRestored { .. } | BackupError::DumpUnchecked { .. })) if !alike => {
            let failure = error.failure().cause(format!(
                "this proves nothing about the backup: {} does not run the image that it was dumped in, and the throwaway \
                server was given its command and environment",
                dump.service()
            ));
            return Err(Found::Nothing(failure));
        }
        Err(error) if lives(job, server).await => return Err(Found::of(&error)),
        // A server that ended meanwhile, for want of memory say, proves nothing either way: what the backup holds was
        // read back before.
        Err(error) => return Err(Found::Nothing(error.failure())),
    };
    let differences = differences(&dump.tables, &report.tables);
    if !differences.is_empty() {
        let text = format!("what came back of {} is not what was dumped", dump.database);
        let failure = differences.into_iter().fold(Failure::new(FailureKind::Backup, text), Failure::cause);
        return Err(Found::Bad(
            failure.hint("make a new backup now: wharf backup create, and verify that one"),
        ));
    }
    if let Some(statements) = check_sql(job, dump) {
        let at = Address {
            kind: dump.kind,
            service: dump.service().to_owned(),
            container: server.container.clone(),
            user: Some(dump.user.clone()),
            home: None,
            stand_in: None,
        };
        let lines = at.run(&job.agent, job.app(), &dump.database, &statements).await;
        let lines = lines.map_err(|error| {
            Found::Bad(error.failure().cause("check_sql could not be run in the restored database"))
        })?;
        passed(&dump.label, &lines).map_err(Found::Bad)?;
    }
    Ok(())
}
