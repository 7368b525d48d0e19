//! One database of a backup, as a fresh database beside the live one.

use super::compare::differences;
use super::database::{Address, check_name, load, own_name};
use super::recipe::unknown;
use super::task::{containers, databases, note_undo};
use super::undo::Undo;
use super::{commands, known, mysql};
use crate::jobs::database;
use crate::jobs::run::Job;
use crate::outside;
use wharf_backup::{DumpReport, LoadReport, LoadTarget};
use wharf_plan::facts::ContainerState;
use wharf_proto::database::DatabaseKind;
use wharf_proto::{BackupId, Failure, FailureKind, Step};
use wharf_state::AppRecord;

/// Restores `database` of the backup as `as_name`; a summary.
///
/// # Errors
/// No such database in the backup, the name is taken, or what came back is not what was dumped; nothing is left then.
pub async fn restore(
    job: &Job,
    app: &AppRecord,
    backup: &BackupId,
    database: &str,
    as_name: &str,
) -> Result<String, Failure> {
    check_name(as_name)?;
    let dumps = dumps(job, app, backup).await?;
    let dump = choose(&dumps, database)?;
    match dump.kind {
        DatabaseKind::Postgres | DatabaseKind::Mysql => {}
        DatabaseKind::Redis => return Err(no_redis_beside(dump)),
        DatabaseKind::Commands => return Err(commands::not_beside(dump)),
        DatabaseKind::Unknown => return Err(unknown(dump)),
    }
    let at = address(job, app, dump).await?;
    at.may_create(&job.agent, job.app()).await?;
    let names = at.names(&job.agent, job.app()).await?;
    if names.iter().any(|name| name == as_name) {
        let text = format!("there is a database {as_name} in {} already", dump.service());
        return Err(Failure::new(FailureKind::Config, text).hint("name another: --as NAME"));
    }
    let model = names.iter().find(|name| **name == dump.database).map(String::as_str);
    match dump.kind {
        DatabaseKind::Mysql => {
            let restoring = restore_mysql(job, backup, (dump, &at), as_name, model);
            let restored = job.record.step(Step::Restore, restoring).await?;
            job.record.step(Step::Check, check(job, &restored, dump)).await?;
            mysql::give_away(&at, &job.agent, job.app(), as_name).await?;
            job.record.note("its events were left out: they would run on what is live").await;
        }
        _ => {
            let restoring = restore_beside(job, backup, 0, (dump, &at), model);
            let restored = job.record.step(Step::Restore, restoring).await?;
            job.record.step(Step::Check, check(job, &restored, dump)).await?;
            at.rename(&job.agent, job.app(), &[(&restored.name, as_name)]).await?;
        }
    }
    let rows: u64 = dump.tables.iter().map(|table| table.rows).sum();
    Ok(format!(
        "the database {} of backup {} is {as_name} in {} now: {} tables, {rows} rows, as they were counted",
        dump.database,
        backup.short(),
        dump.service(),
        dump.tables.len()
    ))
}

/// A database that was restored under a name of the job's own.
pub struct Restored {
    pub at: Address,
    pub name: String,
    report: LoadReport,
}

/// Restores a dump, the job's `number`th, as a database of the job's own.
///
/// # Errors
/// It cannot be made, or the dump cannot be restored.
pub async fn restore_beside(
    job: &Job,
    backup: &BackupId,
    number: usize,
    (dump, at): (&DumpReport, &Address),
    model: Option<&str>,
) -> Result<Restored, Failure> {
    let name = own_name(job, "restore", number);
    note_undo(job, Undo::Database { at: at.clone(), name: name.clone() }).await?;
    at.create(&job.agent, job.app(), &name, model).await?;
    crate::crash::point("restore.made");
    let into =
        LoadTarget { container: at.container.clone(), user: at.user.clone(), database: Some(name.clone()) };
    let report = load(job, backup, &dump.label, into).await.map_err(|e| e.failure())?;
    crate::crash::point("restore.inside");
    Ok(Restored { at: at.clone(), name, report })
}

/// Restores a dump as the database `name`, which is the job's own until that is given away.
async fn restore_mysql(
    job: &Job,
    backup: &BackupId,
    (dump, at): (&DumpReport, &Address),
    name: &str,
    model: Option<&str>,
) -> Result<Restored, Failure> {
    note_undo(job, Undo::Database { at: at.clone(), name: name.to_owned() }).await?;
    mysql::create(at, &job.agent, job.app(), name, model).await?;
    crate::crash::point("restore.made");
    let into = LoadTarget {
        container: at.container.clone(),
        user: at.user.clone(),
        database: Some(name.to_owned()),
    };
    let report = load(job, backup, &dump.label, into).await.map_err(|e| e.failure())?;
    crate::crash::point("restore.inside");
    Ok(Restored { at: at.clone(), name: name.to_owned(), report })
}

fn no_redis_beside(dump: &DumpReport) -> Failure {
    let text = format!("{} is Redis, which keeps no databases by name beside each other", dump.service());
    Failure::new(FailureKind::Config, text)
        .hint("write the backup to a folder: wharf backup restore ID --to DIR")
        .hint("how its file goes back into the service: docs/RECOVERY.md")
}

/// Compares what came back with what was recorded, and runs the project's own check.
///
/// # Errors
/// Something differs.
pub async fn check(job: &Job, restored: &Restored, dump: &DumpReport) -> Result<(), Failure> {
    let differences = differences(&dump.tables, &restored.report.tables);
    if !differences.is_empty() {
        let text = format!("what came back of {} is not what was dumped", dump.database);
        let failure = Failure::new(FailureKind::Backup, text);
        return Err(differences.into_iter().fold(failure, Failure::cause));
    }
    let Some(check_sql) = check_sql(job, dump) else { return Ok(()) };
    let lines = restored.at.run(&job.agent, job.app(), &restored.name, &check_sql).await;
    passed(&dump.label, &lines.map_err(|e| e.failure())?)
}

/// The SQL by which the project itself checks a database, as `psql` takes it. A dump of another kind has none, also where its
/// service is under `[[postgres]]` by now.
pub fn check_sql(job: &Job, dump: &DumpReport) -> Option<String> {
    if dump.kind != DatabaseKind::Postgres {
        return None;
    }
    let spec = job.spec.postgres.iter().find(|spec| database::is(spec, dump.service(), &dump.database))?;
    spec.check_sql.as_ref().map(|sql| format!("{}\n;\n", sql.trim_end().trim_end_matches(';')))
}

/// Whether every row that the project's check gave is true.
///
/// # Errors
/// One is false.
pub fn passed(service: &str, lines: &[String]) -> Result<(), Failure> {
    if !lines.iter().any(|line| line == "f") {
        return Ok(());
    }
    Err(Failure::new(FailureKind::Backup, format!("the check_sql of {service} found something false"))
        .hint("see check_sql under [[postgres]] in wharf.toml"))
}

/// The dumps of a backup.
///
/// # Errors
/// There are none.
pub async fn dumps(job: &Job, app: &AppRecord, backup: &BackupId) -> Result<Vec<DumpReport>, Failure> {
    let known = known::all(&job.agent, app).await?;
    let dumps = known::find(&known, backup)?.dumps.clone();
    if dumps.is_empty() {
        return Err(Failure::new(
            FailureKind::NotFound,
            format!("backup {} holds no database", backup.short()),
        )
        .hint("its volumes: wharf backup restore ID --volume VOLUME; its files: --to DIR"));
    }
    Ok(dumps)
}

fn choose<'a>(dumps: &'a [DumpReport], wanted: &str) -> Result<&'a DumpReport, Failure> {
    let by_service = dumps.iter().find(|dump| dump.label == wanted);
    let mut by_name = dumps.iter().filter(|dump| dump.database == wanted);
    match (by_service, by_name.next(), by_name.next()) {
        (Some(dump), ..) | (None, Some(dump), None) => Ok(dump),
        (None, found, _) => {
            let all: Vec<String> =
                dumps.iter().map(|dump| format!("{} (service {})", dump.database, dump.service())).collect();
            let text = match found {
                Some(_) => format!("several databases of the backup are called {wanted}"),
                None => format!("the backup has no database {wanted}"),
            };
            Err(Failure::new(FailureKind::Config, text)
                .hint(format!("name a database or its service: {}", all.join(", "))))
        }
    }
}

/// Where a service's database runs now.
///
/// # Errors
/// It does not run.
pub async fn address(job: &Job, app: &AppRecord, dump: &DumpReport) -> Result<Address, Failure> {
    let (kind, service) = (dump.kind, dump.service());
    if outside::find(&job.spec, service).is_some() {
        return Address::opened(job, service).await;
    }
    let containers = containers(job, app).await?;
    let databases = databases(job, &containers).await?;
    let found = databases.into_iter().find(|database| database.service == service);
    let user = found.as_ref().and_then(|database| database.user.clone());
    let container = found
        .and_then(|database| database.container)
        .or_else(|| containers.into_iter().find(|container| container.service == service));
    match container {
        Some(container) if container.state == ContainerState::Running => {
            let (service, container) = (service.to_owned(), container.id);
            Ok(Address { kind, service, container, user, home: None, stand_in: None })
        }
        _ => Err(Failure::new(
            FailureKind::Backup,
            format!("{service} is not running, so nothing can be restored into its database"),
        )
        .hint(format!("start it: docker compose start {service}"))),
    }
}
