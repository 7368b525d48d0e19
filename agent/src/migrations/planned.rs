//! What a deploy's plan says of migrations.

use super::place::Place;
use super::{refuse, source};
use crate::agent::Agent;
use crate::jobs::Work;
use crate::outside::{self, Visit};
use wharf_migrations::judge;
use wharf_plan::facts::{ContainerFacts, ContainerState};
use wharf_proto::spec::MigrateSpec;
use wharf_proto::{Failure, RelPath};

/// Lines for people.
#[derive(Debug, Default)]
pub struct Planned {
    /// What is going to run, in this order.
    pub lines: Vec<String>,
    pub warnings: Vec<String>,
}

/// Looks at what is to run: the commands, and the files that are pending in databases that run.
///
/// # Errors
/// A file that cannot be run; one that was edited after it was applied.
pub async fn planned(agent: &Agent, work: &Work, containers: &[ContainerFacts]) -> Result<Planned, Failure> {
    let mut planned = Planned::default();
    let mut visit = Visit::new(agent, &work.spec);
    for one in &work.spec.migrate {
        match &one.folder {
            None => planned.lines.push(format!("{}: {}", one.service, one.command.join(" "))),
            Some(folder) => {
                of_folder(agent, work, (containers, &mut visit), (one, folder), &mut planned).await?;
            }
        }
    }
    visit.close().await;
    Ok(planned)
}

async fn of_folder(
    agent: &Agent,
    work: &Work,
    (containers, visit): (&[ContainerFacts], &mut Visit<'_>),
    (one, folder): (&MigrateSpec, &RelPath),
    planned: &mut Planned,
) -> Result<(), Failure> {
    let migrations = source::read(&agent.blobs, &work.manifest, folder).await?;
    let runs = containers.iter().find(|container| container.service == one.service && !container.one_off);
    let runs = runs.filter(|container| container.state == ContainerState::Running);
    let place = match outside::find(&work.spec, &one.service) {
        // It is there before the stack is: what cannot be asked now cannot be backed up either.
        Some(_) => Some(Place::of_opened(&work.spec, one, visit.open(&one.service).await?)?),
        None => runs.map(|container| Place::of(&work.spec, one, &container.id)).transpose()?,
    };
    let applied = match place {
        Some(place) => match place.ledger(agent, &work.spec.app).await {
            Ok(ledger) => ledger.applied,
            Err(failure) if failure.kind == wharf_proto::FailureKind::Refused => return Err(failure),
            Err(failure) => {
                planned.warnings.push(format!(
                    "what is applied of {folder} is seen only when {} answers: {failure}",
                    one.service
                ));
                Vec::new()
            }
        },
        None => Vec::new(),
    };
    let judged = judge(&source::checksums(&migrations), &applied);
    refuse(&judged, folder, wharf_migrations::table_of(one))?;
    planned.warnings.extend(judged.warnings(&folder.to_string()));
    for migration in migrations.iter().filter(|migration| judged.pending.contains(&migration.name)) {
        let how = if migration.script.transaction { "" } else { " (not in a transaction)" };
        planned.lines.push(format!("{}: {}{how}", one.service, migration.name));
    }
    Ok(())
}
