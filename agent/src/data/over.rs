//! A backup's databases in the place of the live ones.
//!
//! A safety backup first; then every database of PostgreSQL and every file of Redis ([`redis_over`]) is restored beside the
//! live one and compared, while the app goes on serving; only then its writers are stopped and names are swapped. What a server
//! of MySQL's is to hold is made then, beside its folder ([`mysql_over`]). The old databases are kept.
//!
//! **Invariant**: until the swap nothing that is live is touched, and the swap of one database is one transaction. What
//! is found half-way after a crash is brought to one side: see [`settle`].

use super::beside::{self, Restored, address, dumps, restore_beside};
use super::database::suffixed;
use super::exchangeable::{holders, nobody_holds, suffix};
use super::place::Place;
use super::recipe::unknown;
use super::task::{containers, note_undo, sources};
use super::undo::{Swap, Swaps, Undo, Writer};
use super::{commands, known, mysql_fill, mysql_over, redis_over, swap};
use crate::failures;
use crate::jobs::backup;
use crate::jobs::run::Job;
use wharf_backup::DumpReport;
use wharf_plan::facts::ContainerState;
use wharf_proto::database::DatabaseKind;
use wharf_proto::{BackupId, Failure, Outcome, Step};
use wharf_state::{AppRecord, PhaseEvent};

/// Restores every database of the backup over the live one; a summary.
///
/// # Errors
/// What failed. [`settle`] brings things to one side then.
pub async fn restore(job: &Job, app: &AppRecord, backup: &BackupId) -> Result<String, Failure> {
    let dumps = dumps(job, app, backup).await?;
    if let Some(dump) = dumps.iter().find(|dump| dump.kind == DatabaseKind::Unknown) {
        return Err(unknown(dump));
    }
    if let Some(dump) = dumps.iter().find(|dump| dump.kind == DatabaseKind::Commands) {
        return Err(commands::not_over(dump));
    }
    let suffix = suffix();
    let Found { targets, servers, mysql } = find(job, app, &dumps, &suffix).await?;
    let places = servers.iter().map(|server| &server.place).chain(mysql.iter().map(|target| &target.place));
    let places: Vec<Place> = places.cloned().collect();
    holders(job, app, &places).await?;
    tell_of_volumes(job, app, backup).await?;
    job.record.step(Step::Backup, safety(job, app, &targets, &mysql)).await?;
    let restored = job.record.step(Step::Restore, restore_all(job, backup, &targets, &servers)).await?;
    job.record.step(Step::Check, check_all(job, &targets, &restored, &servers)).await?;
    holders(job, app, &places).await?;
    // What was written since may have taken the room that there was.
    mysql_over::room(&mysql)?;
    let mut folders = servers.iter().map(redis_over::exchange).collect::<Result<Vec<_>, _>>()?;
    for target in &mysql {
        folders.push(mysql_over::prepare(job, target).await?);
    }
    let swaps = Swaps { folders, ..plan(job, app, &targets, restored, &suffix).await? };
    note_undo(job, Undo::Swap(swaps.clone())).await?;
    job.agent.state.set_phase(job.id, PhaseEvent::Change).await.map_err(|e| failures::of_state(&e))?;
    job.record.step(Step::Swap, swap_all(job, backup, &mysql, &swaps)).await?;
    Ok(summary(backup, &swaps))
}

/// What is to be replaced, and where.
struct Found<'a> {
    /// Of PostgreSQL.
    targets: Vec<Target<'a>>,
    /// Of Redis.
    servers: Vec<redis_over::Target<'a>>,
    mysql: Vec<mysql_over::Target<'a>>,
}

/// A database of PostgreSQL that is to be replaced.
struct Target<'a> {
    dump: &'a DumpReport,
    at: super::database::Address,
    /// Whether there is one to replace.
    exists: bool,
}

async fn find<'a>(
    job: &Job,
    app: &AppRecord,
    dumps: &'a [DumpReport],
    suffix: &str,
) -> Result<Found<'a>, Failure> {
    let mut targets = Vec::new();
    let mut servers = Vec::new();
    for (index, dump) in dumps.iter().enumerate() {
        if dump.kind == DatabaseKind::Redis {
            servers.push(redis_over::find(job, app, dump, (index, suffix)).await?);
            continue;
        }
        if dump.kind == DatabaseKind::Mysql {
            continue;
        }
        let at = address(job, app, dump).await?;
        at.may_create(&job.agent, job.app()).await?;
        let at = at.with_stand_in(&job.agent, job.app(), &dump.database).await?;
        if at.home.is_some() {
            let who =
                "programs that are not this app's and use it are cut off for a moment, and are not stopped";
            job.record.warn(format!("{} lies outside the stack: {who}", dump.service())).await;
        }
        let names = at.names(&job.agent, job.app()).await?;
        let exists = names.contains(&dump.database);
        if !exists {
            tell_missing(job, dump.service(), &dump.database).await;
        }
        targets.push(Target { dump, at, exists });
    }
    let mysql = mysql_over::find(job, app, dumps, (dumps.len(), suffix)).await?;
    for target in &mysql {
        for missing in &target.missing {
            tell_missing(job, target.service(), missing).await;
        }
    }
    Ok(Found { targets, servers, mysql })
}

async fn swap_all(
    job: &Job,
    backup: &BackupId,
    mysql: &[mysql_over::Target<'_>],
    swaps: &Swaps,
) -> Result<(), Failure> {
    swap::stop_all(job, swaps).await?;
    let mut copied = Vec::new();
    for (number, target) in mysql.iter().enumerate() {
        copied.push(mysql_fill::fill(job, backup, number, target).await?);
    }
    if !mysql.is_empty() {
        // That took a while, in which somebody may have started a container, and even stopped it again.
        nobody_holds(job, &swaps.folders).await?;
        for (target, started) in mysql.iter().zip(&copied) {
            mysql_fill::not_started_since(job, target, started).await?;
        }
    }
    swap::exchange(job, swaps).await
}

async fn tell_missing(job: &Job, service: &str, database: &str) {
    job.record.warn(format!("{service} has no database {database} now: it is made from the backup")).await;
}

async fn safety(
    job: &Job,
    app: &AppRecord,
    targets: &[Target<'_>],
    mysql: &[mysql_over::Target<'_>],
) -> Result<(), Failure> {
    let mut missing: Vec<(&str, &str)> = Vec::new();
    for target in targets.iter().filter(|target| !target.exists) {
        missing.push((target.dump.service(), &target.dump.database));
    }
    for target in mysql {
        let named = |name: &str| {
            let mut named = job.spec.mysql.iter().filter(|one| one.service == target.service());
            named.any(|one| one.database.as_deref() == Some(name))
        };
        missing.extend(left_out(target.service(), &target.missing, target.dumps.len(), named));
    }
    let found = sources(job, app, "before-restore", Some("before a restore".into()), &missing).await?;
    backup::make(job, found.borrowed()).await.map(drop)
}

/// What the safety backup leaves out of a server of MySQL's that lacks some of the backup's `of` databases. An entry of the
/// project's that names no database is about all of them, so it stays while one of them is there.
fn left_out<'a>(
    service: &'a str,
    missing: &[&'a str],
    of: usize,
    named: impl Fn(&str) -> bool,
) -> Vec<(&'a str, &'a str)> {
    let all = missing.len() == of;
    missing.iter().filter(|name| all || named(name)).map(|name| (service, *name)).collect()
}

/// Nobody is to believe that everything is as it was.
async fn tell_of_volumes(job: &Job, app: &AppRecord, backup: &BackupId) -> Result<(), Failure> {
    let known = known::all(&job.agent, app).await?;
    let volumes = &known::find(&known, backup)?.volumes;
    let labels: Vec<&str> = volumes.iter().map(|volume| volume.label.as_str()).collect();
    if !labels.is_empty() {
        let text = format!("volumes stay as they are: {}; --volume restores one", labels.join(", "));
        job.record.note(text).await;
    }
    Ok(())
}

async fn restore_all(
    job: &Job,
    backup: &BackupId,
    targets: &[Target<'_>],
    servers: &[redis_over::Target<'_>],
) -> Result<Vec<Restored>, Failure> {
    for server in servers {
        redis_over::write(job, backup, server).await?;
    }
    let mut restored = Vec::new();
    for (number, target) in targets.iter().enumerate() {
        let model = target.exists.then_some(target.dump.database.as_str());
        restored.push(restore_beside(job, backup, number, (target.dump, &target.at), model).await?);
    }
    Ok(restored)
}

async fn check_all(
    job: &Job,
    targets: &[Target<'_>],
    restored: &[Restored],
    servers: &[redis_over::Target<'_>],
) -> Result<(), Failure> {
    for server in servers {
        redis_over::check(server).await?;
    }
    for (target, restored) in targets.iter().zip(restored) {
        beside::check(job, restored, target.dump).await?;
    }
    Ok(())
}

async fn plan(
    job: &Job,
    app: &AppRecord,
    targets: &[Target<'_>],
    restored: Vec<Restored>,
    suffix: &str,
) -> Result<Swaps, Failure> {
    let swaps = targets.iter().zip(restored).map(|(target, restored)| Swap {
        at: restored.at,
        live: target.dump.database.clone(),
        restored: restored.name,
        kept: target.exists.then(|| suffixed(&target.dump.database, suffix)),
    });
    let swaps: Vec<Swap> = swaps.collect();
    let databases: Vec<&str> = swaps.iter().map(|swap| swap.at.service.as_str()).collect();
    let writers = containers(job, app).await?.into_iter().filter(|container| {
        container.state == ContainerState::Running && !databases.contains(&container.service.as_str())
    });
    let writers = writers
        .map(|container| Writer {
            healthy: container.health.as_deref() != Some("unhealthy"),
            service: container.service,
            container: container.id,
        })
        .collect();
    Ok(Swaps { project: app.project.clone(), swaps, folders: Vec::new(), writers })
}

/// What was restored, and where what was live is.
pub fn summary(backup: &BackupId, swaps: &Swaps) -> String {
    let each = swaps.swaps.iter().map(|swap| match &swap.kept {
        Some(kept) => format!("{} (what it was is kept as {kept} in {})", swap.live, swap.at.service),
        None => swap.live.clone(),
    });
    let folders = swaps.folders.iter().map(|folder| match &folder.volume {
        Some(volume) => format!("{} (what it was is kept as the volume {volume})", folder.label),
        None => format!("{} (what it was is kept in {})", folder.label, folder.kept.display()),
    });
    let all: Vec<String> = each.chain(folders).collect();
    format!("restored from backup {}: {}", backup.short(), all.join(", "))
}

/// Brings a restore that failed or was interrupted after its writers may have been stopped to one side: where a database
/// was swapped already, to the new; where none was, or the app was found not to serve with the new, to the old. The writers
/// run then, either way.
pub async fn settle(job: &Job, backup: &BackupId, swaps: &Swaps, failure: Failure) -> Outcome {
    let settled = job.record.step(Step::PutBack, swap::settle(job, swaps)).await;
    match settled {
        Ok(swap::Side::New) => match job.agent.state.commit_job(job.id).await {
            Ok(()) => Outcome::Done { summary: summary(backup, swaps) },
            Err(error) => Outcome::NotPutBack { failure, put_back: failures::of_state(&error) },
        },
        Ok(swap::Side::Old) => put_back(job, swaps, failure, None).await,
        Err(problem) => put_back(job, swaps, failure, Some(problem)).await,
    }
}

async fn put_back(job: &Job, swaps: &Swaps, failure: Failure, problem: Option<Failure>) -> Outcome {
    let phase = job.agent.state.set_phase(job.id, PhaseEvent::PutBack).await;
    let problem = problem.or_else(|| phase.err().map(|error| failures::of_state(&error)));
    match problem {
        None => {
            let live = job.agent.state.app(job.app()).await.ok().flatten().and_then(|app| app.live);
            Outcome::PutBack { failure, live }
        }
        Some(problem) => {
            let problem = swaps.folders.iter().fold(problem, |problem, folder| {
                let (live, kept, staged) = (&folder.live, &folder.kept, &folder.staged);
                problem.hint(format!(
                    "{} is live; what is not lies in {} or {}",
                    live.display(),
                    kept.display(),
                    staged.display()
                ))
            });
            let problem = if swaps.swaps.is_empty() {
                problem
            } else {
                problem.hint("list the databases (\\l in psql): the one called wharf_restore_… is the backup's, the one \
                    with _before_ in its name is what was live")
            };
            let problem = problem.hint("start the app again: docker compose start");
            Outcome::NotPutBack { failure, put_back: problem }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_live_beside_a_missing_database_is_in_the_safety_backup() {
        for (missing, of, named, expected) in [
            (vec!["shop"], 2, vec![], vec![]),
            (vec!["shop", "other"], 2, vec![], vec!["shop", "other"]),
            (vec!["shop"], 2, vec!["shop", "other"], vec!["shop"]),
            (vec![], 2, vec!["shop"], vec![]),
        ] {
            let found = left_out("maria", &missing, of, |name| named.contains(&name));
            let names: Vec<&str> = found.iter().map(|(_, name)| *name).collect();
            assert_eq!(names, expected, "{missing:?} of {of}, {named:?} named");
        }
    }
}
