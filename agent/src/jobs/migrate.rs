//! Migrations, after the backup and before the release serves: commands in the new image, and folders of SQL files.

use super::compose::{self, JOB_LABEL};
use super::last_lines::LastLines;
use super::run::{Job, Ready};
use super::{Work, log_limits};
use crate::data::schema;
use crate::migrations;
use std::time::Duration;
use wharf_engine::OneOff;
use wharf_proto::spec::MigrateSpec;
use wharf_proto::{Failure, FailureKind, Step};

/// How many of a failed migration's last lines the failure repeats.
const LAST_LINES: usize = 10;

/// Runs every migration once, in order. One that fails ends the deploy.
///
/// # Errors
/// [`FailureKind::Migration`] with its last lines; what it did to the data stays, which the text says.
pub async fn migrate(job: &Job, work: &Work, ready: &Ready) -> Result<(), Failure> {
    let project = &ready.planned.project;
    let before = schema::shape(&job.agent, job.app(), &job.spec, project).await;
    for (number, migration) in work.spec.migrate.iter().enumerate() {
        let ran = match &migration.folder {
            Some(folder) => migrations::run(job, work, &ready.planned, migration, folder).await,
            None => run(job, ready, number, migration).await,
        };
        if let Err(failure) = ran {
            let Some(before) = before else { return Err(failure) };
            let after = schema::shape(&job.agent, job.app(), &job.spec, project).await;
            return Err(failure.cause(compared(&before, after.as_deref())));
        }
    }
    Ok(())
}

/// Whether the schema is as it was.
fn compared(before: &str, after: Option<&str>) -> &'static str {
    match after {
        Some(after) if after == before => "the schema is as it was before: the same tables and columns",
        Some(_) => "the schema is not as it was before: it has other tables or columns",
        None => "whether the schema is as it was before cannot be told: a database does not answer",
    }
}

async fn run(job: &Job, ready: &Ready, number: usize, migration: &MigrateSpec) -> Result<(), Failure> {
    let stack = compose::in_place(job, &ready.planned.project);
    Box::pin(log_limits::settle(&job.agent.engine, &stack, &ready.planned.model)).await;
    let one_off = OneOff {
        service: migration.service.clone(),
        command: migration.command.clone(),
        container_name: format!("{}-job{}-migrate{number}", ready.planned.project, job.id),
        labels: vec![(JOB_LABEL.to_owned(), job.label())],
        limit: Duration::from_secs(migration.timeout_seconds.into()),
    };
    let last = LastLines::new(LAST_LINES);
    let tail = &last;
    let result = job
        .record
        .with_output(Step::Migrate, Some(&migration.service), |lines| async move {
            stack
                .project()
                .run_one_off(&job.agent.engine, &one_off, |_, line| {
                    tail.push(line);
                    lines.push(line);
                })
                .await
        })
        .await;
    let name = format!("the migration `{}` in {}", migration.command.join(" "), migration.service);
    let mut failure = match result {
        Ok(0) => return Ok(()),
        Ok(code) => Failure::new(FailureKind::Migration, format!("{name} ended with exit code {code}")),
        Err(error) => {
            Failure::from_error(FailureKind::Migration, &error).cause(format!("while running {name}"))
        }
    };
    failure.causes.extend(last.read());
    Err(failure
        .cause("what it had changed in the database by then is still changed: data is never rolled back on its own")
        .hint("correct the migration and deploy again"))
}
