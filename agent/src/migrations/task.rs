//! Migrations of the live release, applied or taken back by a job of their own.
//!
//! **Invariant**: nothing is run before a backup was made and checked, and before it is written down what was applied.

use super::down::chosen;
use super::place::{Place, Run};
use super::source::{self, Migration};
use super::status::{live_release, place_in};
use super::{folders, refuse};
use crate::data::Undo;
use crate::data::{note_undo, schema, sources};
use crate::failures;
use crate::jobs::backup;
use crate::jobs::run::Job;
use crate::outside::{self, Asker};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use wharf_migrations::{Applied, Judged, Ledger, Move, Script, judge};
use wharf_plan::facts::ContainerFacts;
use wharf_proto::message::MigrateDown;
use wharf_proto::spec::MigrateSpec;
use wharf_proto::{Failure, FailureKind, Outcome, RelPath, Step};
use wharf_state::{AppRecord, PhaseEvent, ReleaseRecord};

/// What was applied before the job, written down before it changes that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    place: Place,
    applied: Vec<Applied>,
}

/// A folder held against its database.
struct Looked<'a> {
    spec: &'a MigrateSpec,
    folder: &'a RelPath,
    place: Place,
    migrations: Vec<Migration>,
    ledger: Ledger,
    judged: Judged,
}

impl Looked<'_> {
    fn before(&self) -> Before {
        Before { place: self.place.clone(), applied: self.ledger.applied.clone() }
    }

    async fn run(&self, job: &Job, name: &str, script: &Script, way: Move<'_>) -> Result<(), Failure> {
        let limit = Duration::from_secs(self.spec.timeout_seconds.into());
        let run = Run { name, script, way, limit };
        self.place.run(&job.agent, job.app(), &self.ledger.schema, &run).await?;
        let what = if way == Move::Down { "taken back from" } else { "applied to" };
        job.record.note(format!("{name} was {what} {}", self.ledger.database)).await;
        crate::crash::point("migrate.inside");
        Ok(())
    }
}

async fn look<'a>(
    job: &Job,
    release: &'a ReleaseRecord,
    containers: &[ContainerFacts],
    (spec, folder): (&'a MigrateSpec, &'a RelPath),
) -> Result<Looked<'a>, Failure> {
    let migrations = source::read(&job.agent.blobs, &release.manifest, folder).await?;
    let place = match outside::find(&release.spec, &spec.service) {
        Some(_) => {
            let opened = Asker::of_job(job).open(&spec.service).await?;
            Place::of_opened(&release.spec, spec, opened)?
        }
        None => place_in(containers, release, spec)?,
    };
    place.quiet(&job.agent, job.app()).await?;
    let ledger = place.ledger(&job.agent, job.app()).await?;
    let judged = judge(&source::checksums(&migrations), &ledger.applied);
    refuse(&judged, folder, &place.table)?;
    Ok(Looked { spec, folder, place, migrations, ledger, judged })
}

async fn containers(job: &Job, app: &AppRecord) -> Result<Vec<ContainerFacts>, Failure> {
    job.agent.engine.project_containers(&app.project).await.map_err(|e| failures::of_engine(&e))
}

/// Applies what is pending of the live release; a summary.
///
/// # Errors
/// The first file that fails: [`settle`] says what stays applied.
pub async fn up(job: &Job, app: &AppRecord) -> Result<String, Failure> {
    let release = live_release(&job.agent, job.app()).await?;
    let containers = containers(job, app).await?;
    let mut all = Vec::new();
    for one in folders(&release.spec) {
        let looked = look(job, &release, &containers, one).await?;
        for warning in looked.judged.warnings(&looked.folder.to_string()) {
            job.record.warn(warning).await;
        }
        all.push(looked);
    }
    if all.is_empty() {
        return Err(no_folder(&release));
    }
    if all.iter().all(|looked| looked.judged.pending.is_empty()) {
        return Ok("no migration was pending".to_owned());
    }
    begin(job, app, all.iter().map(Looked::before).collect()).await?;
    let version = release.release.to_string();
    let work = async {
        let mut applied = Vec::new();
        for looked in &all {
            let is_pending = |one: &&Migration| looked.judged.pending.contains(&one.name);
            for one in looked.migrations.iter().filter(is_pending) {
                looked.run(job, &one.name, &one.script, Move::Up { release: &version }).await?;
                applied.push(one.name.as_str());
            }
        }
        Ok(applied.join(", "))
    };
    let applied = job.record.step(Step::Migrate, work).await?;
    end(job, app, &release).await?;
    Ok(format!("applied: {applied}"))
}

/// Takes migrations back; a summary.
///
/// # Errors
/// As [`up`]; what is applied is not what was confirmed.
pub async fn down(job: &Job, app: &AppRecord, wanted: &MigrateDown) -> Result<String, Failure> {
    let release = live_release(&job.agent, job.app()).await?;
    let containers = containers(job, app).await?;
    let mut found = None;
    for one in folders(&release.spec)
        .filter(|(spec, folder)| spec.service == wanted.service && **folder == wanted.folder)
    {
        let looked = look(job, &release, &containers, one).await?;
        if looked.ledger.database == wanted.database {
            found = Some(looked);
            break;
        }
    }
    let looked = found.ok_or_else(|| no_folder(&release))?;
    let chosen = chosen(&looked.migrations, &looked.ledger.applied, &wanted.names)?;
    begin(job, app, vec![looked.before()]).await?;
    let work = async {
        for (one, script) in &chosen {
            looked.run(job, &one.name, script, Move::Down).await?;
        }
        Ok(())
    };
    job.record.step(Step::Migrate, work).await?;
    end(job, app, &release).await?;
    Ok(format!("taken back: {}", wanted.names.join(", ")))
}

fn no_folder(release: &ReleaseRecord) -> Failure {
    Failure::new(FailureKind::NotFound, format!("{} has no such folder of migrations", release.release))
        .hint("name one in wharf.toml, and deploy: [[migrate]] with folder = \"migrations\"")
}

/// The backup, and what was applied before: from here on things change.
async fn begin(job: &Job, app: &AppRecord, before: Vec<Before>) -> Result<(), Failure> {
    let backup = async {
        let found = sources(job, app, "before-migrate", Some("before migrations".into()), &[]).await?;
        backup::make(job, found.borrowed()).await.map(drop)
    };
    job.record.step(Step::Backup, backup).await?;
    note_undo(job, Undo::Migrations { before }).await?;
    let changing = job.agent.state.set_phase(job.id, PhaseEvent::Change).await;
    changing.map(drop).map_err(|e| failures::of_state(&e))
}

/// The release has lived with the schema that there is now.
async fn end(job: &Job, app: &AppRecord, release: &ReleaseRecord) -> Result<(), Failure> {
    let state = &job.agent.state;
    if let Some(shape) = schema::shape(&job.agent, job.app(), &release.spec, &app.project).await {
        let recorded = state.record_release_schema(job.app(), release.release, shape).await;
        recorded.map_err(|e| failures::of_state(&e))?;
    }
    state.commit_job(job.id).await.map_err(|e| failures::of_state(&e))
}

/// Ends a job that failed or was interrupted while files were run: the tables say what is applied now.
pub async fn settle(job: &Job, before: &[Before], failure: Failure) -> Outcome {
    let now = async {
        let mut changes = Vec::new();
        for one in before {
            let place = one.place.at_hand(job).await?;
            place.quiet(&job.agent, job.app()).await?;
            let ledger = place.ledger(&job.agent, job.app()).await?;
            changes.extend(changes_of(&one.applied, &ledger.applied));
        }
        Ok::<_, Failure>(changes)
    };
    let changes = now.await;
    if let Err(error) = job.agent.state.set_phase(job.id, PhaseEvent::PutBack).await {
        return Outcome::NotPutBack { failure, put_back: failures::of_state(&error) };
    }
    match changes {
        Ok(changes) if changes.is_empty() => Outcome::PutBack { failure, live: Some(job.release) },
        Ok(changes) => Outcome::NotPutBack {
            failure,
            put_back: Failure::new(FailureKind::Migration, "what was done before it stays done")
                .cause(changes.join("; "))
                .hint("see how things stand: wharf migrate status")
                .hint("the backup from just before is the newest one: wharf backup list"),
        },
        Err(put_back) => Outcome::NotPutBack { failure, put_back },
    }
}

fn changes_of(before: &[Applied], now: &[Applied]) -> Vec<String> {
    let lacks = |all: &[Applied], one: &Applied| !all.iter().any(|other| other.name == one.name);
    let unfinished = |one: &&Applied| one.at_seconds.is_none();
    let added = now.iter().filter(|one| lacks(before, one) && !unfinished(one));
    let gone = before.iter().filter(|one| lacks(now, one));
    added
        .map(|one| format!("{} is applied", one.name))
        .chain(gone.map(|one| format!("{} is taken back", one.name)))
        .chain(now.iter().filter(unfinished).map(|one| format!("{} is unfinished", one.name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_by_the_table() {
        let row = |name: &str, at_seconds| Applied {
            name: name.into(),
            checksum: String::new(),
            at_seconds,
            release: "v1".into(),
        };
        let before = [row("1", Some(1)), row("2", Some(1))];
        assert_eq!(changes_of(&before, &before), Vec::<String>::new());
        let now = [row("1", Some(1)), row("3", Some(2)), row("4", None)];
        assert_eq!(changes_of(&before, &now), ["3 is applied", "2 is taken back", "4 is unfinished"]);
    }
}
