//! One database and the table in it that says what is applied.

use crate::agent::Agent;
use crate::data::Address;
use crate::jobs::run::Job;
use crate::outside::Opened;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use wharf_backup::{BackupError, DumpRequest};
use wharf_migrations::{
    Ledger, Move, Script, look, postgres_of, read_look, statements, table_of, with_lines_of,
};
use wharf_proto::database::DatabaseKind;
use wharf_proto::spec::MigrateSpec;
use wharf_proto::{AppName, AppSpec, Failure, FailureKind};

/// Where migrations are applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub at: Address,
    /// `None`: the one that the container was made with.
    pub database: Option<String>,
    pub table: String,
}

/// One file to run.
pub struct Run<'a> {
    pub name: &'a str,
    pub script: &'a Script,
    pub way: Move<'a>,
    pub limit: Duration,
}

impl Place {
    /// The place that a `[[migrate]]` is for, in this container.
    ///
    /// # Errors
    /// It does not say which database.
    pub fn of(spec: &AppSpec, one: &MigrateSpec, container: &str) -> Result<Self, Failure> {
        let postgres = postgres_of(spec, one)
            .map_err(|error| Failure::new(FailureKind::Config, error.to_string()).hint(error.hint()))?;
        let at = Address {
            kind: DatabaseKind::Postgres,
            service: one.service.clone(),
            container: container.to_owned(),
            user: postgres.user.clone(),
            home: None,
            stand_in: None,
        };
        Ok(Self { at, database: postgres.database.clone(), table: table_of(one).to_owned() })
    }

    /// The same, in a server outside the stack that was opened.
    ///
    /// # Errors
    /// As [`Place::of`].
    pub fn of_opened(spec: &AppSpec, one: &MigrateSpec, opened: Opened) -> Result<Self, Failure> {
        let place = Self::of(spec, one, &opened.container.id)?;
        Ok(Self { at: Address { home: Some(opened.home), ..place.at }, ..place })
    }

    /// The same, by a container that there is.
    ///
    /// # Errors
    /// As [`Address::at_hand`].
    pub async fn at_hand(&self, job: &Job) -> Result<Self, Failure> {
        Ok(Self { at: self.at.at_hand(job).await?, ..self.clone() })
    }

    fn request(&self) -> DumpRequest {
        DumpRequest {
            label: self.at.service.clone(),
            kind: DatabaseKind::Postgres,
            container: self.at.container.clone(),
            user: self.at.user.clone(),
            database: self.database.clone(),
            commands: None,
        }
    }

    /// What is applied.
    ///
    /// # Errors
    /// The database does not answer, or the table is another tool's.
    pub async fn ledger(&self, agent: &Agent, app: &AppName) -> Result<Ledger, Failure> {
        let (docker, repo) = (&agent.config.docker, agent.layout.repository(app));
        let lines = wharf_backup::sql(docker, &repo, &self.request(), &look(&self.table)).await;
        let lines = lines.map_err(|e| e.failure())?;
        read_look(&self.table, &lines)
            .map_err(|error| Failure::new(FailureKind::Refused, error.to_string()).hint(error.hint()))
    }

    /// Ends what an agent that was killed has left running.
    ///
    /// # Errors
    /// It does not end, or the server does not answer.
    pub async fn quiet(&self, agent: &Agent, app: &AppName) -> Result<(), Failure> {
        self.at.quiet(agent, app).await
    }

    /// Runs a file, and asks the table afterwards whether it was committed: also where `psql` failed, since a connection can
    /// break just after.
    ///
    /// # Errors
    /// [`FailureKind::Migration`], with what it left.
    pub async fn run(
        &self,
        agent: &Agent,
        app: &AppName,
        schema: &str,
        run: &Run<'_>,
    ) -> Result<(), Failure> {
        let (docker, repo) = (&agent.config.docker, agent.layout.repository(app));
        let sent = statements(schema, &self.table, run.name, run.script, run.way);
        let ended = wharf_backup::script(docker, &repo, &self.request(), &sent, run.limit).await;
        if ended.is_err() {
            // What did not end in time still runs; nothing may change any more when the table is asked.
            if let Err(failure) = self.quiet(agent, app).await {
                tracing::warn!(%failure, "a migration may still run");
            }
        }
        let ledger = self.ledger(agent, app).await;
        let row = ledger.as_ref().map(|ledger| ledger.applied.iter().find(|one| one.name == run.name));
        let done = match (&row, run.way) {
            (Ok(row), Move::Up { .. }) => row.is_some_and(|row| row.at_seconds.is_some()),
            (Ok(row), Move::Down) => row.is_none(),
            (Err(_), _) => false,
        };
        if done {
            return Ok(());
        }
        let failure = match &ended {
            Ok(()) => {
                Failure::new(FailureKind::Migration, format!("{} did not come to its end", self.told(run)))
                    .cause("psql saw no error, and the table does not say that it was committed")
            }
            Err(error) => self.failed(run, error, &sent),
        };
        Err(match row {
            Err(why) => failure
                .cause(format!("whether it is applied cannot be told: {why}"))
                .hint("see what is applied when the database answers: wharf migrate status"),
            Ok(_) if ended.is_ok() && run.script.transaction => failure
                .cause("it was committed: look whether the file drops or changes that table itself")
                .hint("to go back, restore the backup from just before: wharf backup list"),
            Ok(None) if run.script.transaction => {
                failure.cause("it was rolled back: nothing of it is in the database")
            }
            Ok(Some(_)) if run.script.transaction => failure.cause("it was rolled back: it is still applied"),
            Ok(_) => failure
                .cause(format!(
                    "it is no transaction: what it had done by then is done, and {} keeps it as unfinished",
                    self.table
                ))
                .hint("what to do then: wharf migrate status"),
        })
    }

    fn told(&self, run: &Run<'_>) -> String {
        match run.way {
            Move::Up { .. } => format!("the migration {} in {}", run.name, self.at.service),
            Move::Down => format!("the way back of {} in {}", run.name, self.at.service),
        }
    }

    fn failed(&self, run: &Run<'_>, error: &BackupError, sent: &str) -> Failure {
        let mut failure = Failure::new(FailureKind::Migration, format!("{} failed", self.told(run)));
        let BackupError::SqlFailed { exit, stderr, .. } = error else {
            let told = error.failure();
            failure.causes.push(told.message);
            failure.causes.extend(told.causes);
            failure.hints.extend(told.hints);
            return failure;
        };
        match (stderr.is_empty(), exit) {
            (true, Some(code)) => failure.causes.push(format!("psql ended with exit code {code}")),
            (true, None) => failure.causes.push("psql did not say how it ended".to_owned()),
            (false, _) => {
                failure.causes.extend(told_lines(&with_lines_of(run.name, sent, stderr)));
            }
        }
        if stderr.contains("cannot run inside a transaction block") {
            return failure.hint(format!(
                "give that statement a file of its own, whose first line is: {}",
                wharf_migrations::NO_TRANSACTION
            ));
        }
        if exit.is_none() && stderr.contains("did not end within") {
            return failure.hint("give it more time: timeout_seconds under [[migrate]]");
        }
        failure
    }
}
/// What psql said, without the values of rows: jobs are shown to keys that may not read the data.
fn told_lines(said: &str) -> Vec<String> {
    said.lines().filter(|line| !line.trim_start().starts_with("DETAIL:")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_s_values_are_told() {
        let said = "ERROR:  duplicate key value violates unique constraint \"users_email_key\"\n\
            DETAIL:  Key (email)=(bob@example.org) already exists.";
        assert_eq!(
            told_lines(said),
            ["ERROR:  duplicate key value violates unique constraint \"users_email_key\""]
        );
    }
}
