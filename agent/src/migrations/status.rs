//! How the folders of the live release stand.

use super::folders;
use super::place::Place;
use super::source::{self, Migration};
use crate::agent::Agent;
use crate::answers::{known_app, live};
use crate::failures;
use crate::outside::{self, Visit};
use jiff::Timestamp;
use wharf_access::Permit;
use wharf_migrations::{Applied, judge, table_of};
use wharf_plan::facts::{ContainerFacts, ContainerState};
use wharf_proto::message::Reply;
use wharf_proto::migration::{MigrationFolder, MigrationInfo, MigrationState};
use wharf_proto::spec::MigrateSpec;
use wharf_proto::{AppName, Failure, FailureKind, RelPath};
use wharf_state::ReleaseRecord;

/// Answers how migrations stand.
///
/// # Errors
/// No release is live; the engine does not answer. A database that does not is told of in its place.
pub async fn status(agent: &Agent, permit: &Permit, app: &AppName) -> Result<Reply, Failure> {
    let known = known_app(agent, permit, app).await?;
    let release = live_release(agent, app).await?;
    let containers = agent.engine.project_containers(&known.project).await;
    let containers = containers.map_err(|e| failures::of_engine(&e))?;
    let mut all = Vec::new();
    let mut visit = Visit::new(agent, &release.spec);
    for (one, folder) in folders(&release.spec) {
        all.push(of_folder(agent, &release, (&containers, &mut visit), one, folder).await);
    }
    visit.close().await;
    Ok(Reply::Migrations { folders: all })
}

/// The live release, which there must be.
///
/// # Errors
/// There is none, or the state cannot be read.
pub async fn live_release(agent: &Agent, app: &AppName) -> Result<ReleaseRecord, Failure> {
    live(agent, app).await?.ok_or_else(|| {
        Failure::new(FailureKind::NotFound, format!("no release of {app} is live"))
            .hint("deploy: wharf deploy")
    })
}

/// The place of a folder, in the container that runs.
///
/// # Errors
/// None runs.
pub fn place_in(
    containers: &[ContainerFacts],
    release: &ReleaseRecord,
    one: &MigrateSpec,
) -> Result<Place, Failure> {
    let mut own = containers.iter().filter(|c| c.service == one.service && !c.one_off);
    let runs = own.find(|container| container.state == ContainerState::Running).ok_or_else(|| {
        Failure::new(FailureKind::Environment, format!("{} does not run", one.service))
            .hint("see what runs: wharf status")
    })?;
    Place::of(&release.spec, one, &runs.id)
}

async fn of_folder(
    agent: &Agent,
    release: &ReleaseRecord,
    (containers, visit): (&[ContainerFacts], &mut Visit<'_>),
    one: &MigrateSpec,
    folder: &RelPath,
) -> MigrationFolder {
    let mut told = MigrationFolder {
        service: one.service.clone(),
        database: one.database.clone(),
        folder: folder.clone(),
        table: table_of(one).to_owned(),
        migrations: Vec::new(),
        problem: None,
    };
    let found = async {
        let migrations = source::read(&agent.blobs, &release.manifest, folder).await?;
        let place = match outside::find(&release.spec, &one.service) {
            Some(_) => Place::of_opened(&release.spec, one, visit.open(&one.service).await?)?,
            None => place_in(containers, release, one)?,
        };
        Ok::<_, Failure>((migrations, place.ledger(agent, &release.app).await?))
    };
    match found.await {
        Ok((migrations, ledger)) => {
            told.migrations = infos(&migrations, &ledger.applied);
            told.database = Some(ledger.database);
        }
        Err(failure) => {
            let causes = failure.causes.iter().map(|cause| format!(": {cause}"));
            told.problem = Some(std::iter::once(failure.message).chain(causes).collect());
        }
    }
    told
}

/// Every migration of the folder and of the table, by name.
fn infos(migrations: &[Migration], applied: &[Applied]) -> Vec<MigrationInfo> {
    let judged = judge(&source::checksums(migrations), applied);
    let state = |name: &String| match () {
        () if judged.pending.contains(name) => MigrationState::Pending,
        () if judged.edited.contains(name) => MigrationState::Edited,
        () if judged.unfinished.contains(name) => MigrationState::Unfinished,
        () if judged.missing.contains(name) => MigrationState::Missing,
        () => MigrationState::Applied,
    };
    let names = migrations.iter().map(|one| &one.name).chain(applied.iter().map(|one| &one.name));
    let names: std::collections::BTreeSet<&String> = names.collect();
    let info = |name: &String| {
        let row = applied.iter().find(|one| one.name == *name);
        MigrationInfo {
            name: name.clone(),
            state: state(name),
            applied: row.and_then(|row| Timestamp::from_second(row.at_seconds?).ok()),
            release: row.map(|row| row.release.clone()),
            has_way_back: migrations.iter().any(|one| one.name == *name && one.down.is_some()),
        }
    };
    names.into_iter().map(info).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_migrations::Script;

    #[test]
    fn what_only_the_table_knows_is_listed_too() {
        let script = |text: &str| Script::read(text.as_bytes()).unwrap();
        let one = |name: &str, text: &str, down: Option<&str>| Migration {
            name: name.into(),
            script: script(text),
            down: down.map(script),
        };
        let row = |name: &str, text: &str, at_seconds| Applied {
            name: name.into(),
            checksum: script(text).checksum,
            at_seconds,
            release: "v2".into(),
        };
        let files = [
            one("1.sql", "SELECT 1", Some("SELECT 0")),
            one("3.sql", "SELECT 3", None),
            one("4.sql", "SELECT 4", None),
        ];
        let table = [
            row("1.sql", "SELECT 1", Some(0)),
            row("2.sql", "SELECT 2", Some(0)),
            row("3.sql", "SELECT", Some(0)),
        ];
        let told: Vec<_> = infos(&files, &table)
            .into_iter()
            .map(|info| (info.name, info.state, info.has_way_back, info.applied.is_some()))
            .collect();
        let expected = [
            ("1.sql", MigrationState::Applied, true, true),
            ("2.sql", MigrationState::Missing, false, true),
            ("3.sql", MigrationState::Edited, false, true),
            ("4.sql", MigrationState::Pending, false, false),
        ];
        let expected = expected.map(|(name, state, back, at)| (name.to_owned(), state, back, at));
        assert_eq!(told, expected);
    }
}
