//! A backup's databases in a stack that starts with empty ones.
//!
//! **Invariant**: a database that holds anything is set aside under another name, never dropped; the app's other services
//! do not run yet.

use super::beside::{check_sql, passed};
use super::compare::differences;
use super::database::{Address, load, own_name};
use super::recipe::probe;
use super::{commands, known, throwaway};
use crate::failures;
use crate::jobs::compose::{self, Stack};
use crate::jobs::plan::Planned;
use crate::jobs::run::Job;
use crate::jobs::start::up;
use crate::outside;
use std::collections::BTreeSet;
use std::time::Duration;
use wharf_backup::{DumpReport, LoadTarget};
use wharf_proto::database::DatabaseKind;
use wharf_proto::{BackupId, Failure, FailureKind, Step};

/// The database that every server has.
const BUILT_IN: &str = "postgres";
/// What somebody made in a database.
const OBJECTS: &str = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_';\n";

/// Starts the databases of the stack, and nothing else, and restores every dump of the backup into them.
///
/// # Errors
/// One does not start, or what came back is not what was dumped.
pub async fn restore(job: &Job, planned: &Planned, backup: &BackupId) -> Result<(), Failure> {
    let state = &job.agent.state;
    state.add_volumes(job.app(), planned.volumes.clone()).await.map_err(|e| failures::of_state(&e))?;
    let backups = known::listed(&job.agent, job.app()).await?;
    let dumps = known::find(&backups, backup)?.dumps.clone();
    let (redis, dumps): (Vec<DumpReport>, Vec<DumpReport>) =
        dumps.into_iter().partition(|dump| dump.kind == DatabaseKind::Redis);
    for dump in &redis {
        // Its server reads the file at its start alone, and from where its own settings say.
        let text = format!(
            "{} is Redis, and starts empty: its file is {} in the backup, and docs/RECOVERY.md says how it goes back",
            dump.service(),
            dump.path
        );
        job.record.warn(text).await;
    }
    let (by_hand, dumps): (Vec<DumpReport>, Vec<DumpReport>) = dumps
        .into_iter()
        .partition(|dump| dump.kind == DatabaseKind::Commands && !commands::comes_back_by_itself(dump));
    for dump in &by_hand {
        let text = format!(
            "{} starts empty: without `restore`, and a `count` that told a table, under [[dump]] nothing restores it by itself. \
            Its dump is {} in the backup: wharf backup restore {} --to DIR",
            dump.service(),
            dump.path,
            backup.short()
        );
        job.record.warn(text).await;
    }
    let (outside, dumps): (Vec<DumpReport>, Vec<DumpReport>) =
        dumps.into_iter().partition(|dump| outside::find(&job.spec, dump.service()).is_some());
    for dump in &outside {
        // It may well have outlived this server, with rows that are newer than the backup.
        let text = format!(
            "{} lies outside the stack, at the URL in {}, and is left as it is: look at it with wharf db status. Where it \
            is lost too: wharf backup restore {} makes it from the backup",
            dump.database,
            dump.service(),
            backup.short()
        );
        job.record.warn(text).await;
    }
    let services: BTreeSet<String> = dumps.iter().map(|dump| dump.service().to_owned()).collect();
    if services.is_empty() {
        job.record.note("the backup holds no database that is restored by itself").await;
        return Ok(());
    }
    let stack = compose::in_place(job, &planned.project);
    let limit = Duration::from_secs(job.spec.verify.start_timeout_seconds.into());
    job.record
        .with_output(Step::Restore, None, |lines| async {
            up(&job.agent.engine, &stack, services, limit, lines).await
        })
        .await?;
    let mut places = Vec::new();
    for dump in &dumps {
        let at = address(job, &stack, dump).await?;
        // All before the first is restored: what one brings is not to be taken for what was there.
        if dump.kind == DatabaseKind::Commands {
            commands::holds_nothing(job, &at.container, dump).await?;
        }
        places.push((dump, at));
    }
    for (number, (dump, at)) in places.iter().enumerate() {
        let aside = own_name(job, "fresh", number);
        restore_one(job, backup, dump, at, &aside).await?;
    }
    Ok(())
}

/// Where the service's database runs, once it answers.
async fn address(job: &Job, stack: &Stack, dump: &DumpReport) -> Result<Address, Failure> {
    let service = dump.service();
    let not_there = |why: String| {
        Failure::new(FailureKind::Start, format!("the database of {service} did not start")).cause(why)
    };
    let containers = stack.containers(&job.agent.engine).await?;
    let container = containers
        .into_iter()
        .find(|container| container.service == service)
        .ok_or_else(|| not_there("it has no container".to_owned()))?;
    let probe = match dump.kind {
        DatabaseKind::Commands => Some(commands::probe(&job.agent.engine, &container.id, dump).await?),
        kind => probe(kind, &dump.user),
    };
    throwaway::answers(&job.agent.engine, &container.id, probe).await?.map_err(not_there)?;
    Ok(Address {
        kind: dump.kind,
        service: service.to_owned(),
        container: container.id,
        user: Some(dump.user.clone()),
        home: None,
        stand_in: None,
    })
}

async fn restore_one(
    job: &Job,
    backup: &BackupId,
    dump: &DumpReport,
    at: &Address,
    aside: &str,
) -> Result<(), Failure> {
    let (agent, app) = (&job.agent, job.app());
    // One of MySQL's that holds tables cannot be set aside, and is not written over either: the load says so.
    let there = dump.kind == DatabaseKind::Postgres
        && at.names(agent, app).await?.contains(&dump.database)
        && dump.database != BUILT_IN;
    if there {
        at.rename(agent, app, &[(&dump.database, aside)]).await?;
    }
    let into = LoadTarget { container: at.container.clone(), user: at.user.clone(), database: None };
    let report = load(job, backup, &dump.label, into).await.map_err(|e| e.failure())?;
    crate::crash::point("restore.inside");
    let differences = differences(&dump.tables, &report.tables);
    if !differences.is_empty() {
        let text = format!("what came back of {} is not what was dumped", dump.database);
        return Err(differences.into_iter().fold(Failure::new(FailureKind::Backup, text), Failure::cause));
    }
    if let Some(sql) = check_sql(job, dump) {
        let lines = at.run(agent, app, &dump.database, &sql).await.map_err(|e| e.failure())?;
        passed(&dump.label, &lines)?;
    }
    if there {
        clear(job, at, aside).await?;
    }
    let rows: u64 = report.tables.iter().map(|table| table.rows).sum();
    let text = format!("{}: {rows} rows in {} tables are back", dump.database, report.tables.len());
    job.record.note(text).await;
    Ok(())
}

/// The database that the image made for itself goes, where it is empty.
async fn clear(job: &Job, at: &Address, aside: &str) -> Result<(), Failure> {
    let (agent, app) = (&job.agent, job.app());
    let objects = at.run(agent, app, aside, OBJECTS).await.map_err(|e| e.failure())?;
    if objects == ["0"] {
        return at.drop_own(agent, app, aside).await;
    }
    job.record
        .warn(format!("{} had made tables of its own: they are kept as database {aside}", at.service))
        .await;
    Ok(())
}
