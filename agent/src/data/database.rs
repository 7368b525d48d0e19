//! The databases of a running server: looked at, made, renamed; dropped only where this job made them.

use super::like::create_like;
use super::mysql;
use crate::agent::Agent;
use crate::jobs::run::Job;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use wharf_backup::{BackupError, DumpRequest, LoadReport, LoadRequest, LoadTarget, sql};
use wharf_plan::InputKey;
use wharf_proto::database::DatabaseKind;
use wharf_proto::{AppName, BackupId, Failure, FailureKind};

/// The longest name that PostgreSQL takes, in bytes.
const NAME_BYTES: usize = 63;
/// How often something is tried that open connections stand in the way of.
const TRIES: u32 = 20;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// A database server in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    #[serde(default)]
    pub kind: DatabaseKind,
    pub service: String,
    pub container: String,
    pub user: Option<String>,
    /// Of a server outside the stack: the database to connect to where any will do. Its container is a toolbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// The database to connect to where others change their names; it was tried ([`Address::with_stand_in`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stand_in: Option<String>,
}

impl Address {
    /// A database that is none of these.
    fn other_than(&self, not: &[&str]) -> &str {
        let known = [&self.stand_in, &self.home].into_iter().filter_map(Option::as_deref);
        known.chain(["postgres", "template1"]).find(|name| !not.contains(name)).unwrap_or("template1")
    }

    /// Where to ask about the server itself.
    fn somewhere(&self) -> &str {
        self.stand_in.as_deref().or(self.home.as_deref()).unwrap_or("template1")
    }

    fn request(&self, database: Option<&str>) -> DumpRequest {
        DumpRequest {
            label: self.service.clone(),
            kind: self.kind,
            container: self.container.clone(),
            user: self.user.clone(),
            database: database.map(str::to_owned),
            commands: None,
        }
    }

    /// Runs statements in a database.
    ///
    /// # Errors
    /// What `psql` says.
    pub async fn run(
        &self,
        agent: &Agent,
        app: &AppName,
        database: &str,
        statements: &str,
    ) -> Result<Vec<String>, BackupError> {
        let repo = agent.layout.repository(app);
        sql(&agent.config.docker, &repo, &self.request(Some(database)), statements).await
    }

    /// As [`Address::run`], in no database, where the server allows that.
    ///
    /// # Errors
    /// What its client says.
    pub async fn run_outside(
        &self,
        agent: &Agent,
        app: &AppName,
        statements: &str,
    ) -> Result<Vec<String>, BackupError> {
        sql(&agent.config.docker, &agent.layout.repository(app), &self.request(None), statements).await
    }

    /// As [`Address::run`], in a database that is none of those that are worked on.
    async fn outside(
        &self,
        agent: &Agent,
        app: &AppName,
        not: &[&str],
        statements: &str,
    ) -> Result<Vec<String>, BackupError> {
        self.run(agent, app, self.other_than(not), statements).await
    }

    /// The names of all databases.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn names(&self, agent: &Agent, app: &AppName) -> Result<Vec<String>, Failure> {
        if self.kind == DatabaseKind::Mysql {
            return mysql::names(self, agent, app).await;
        }
        let names = self.run(agent, app, self.somewhere(), "SELECT datname FROM pg_database;\n").await;
        names.map_err(|e| e.failure())
    }

    /// Gives a role a password. The server is told not to log the statement.
    ///
    /// # Errors
    /// The server does not answer, or the user may not.
    pub async fn set_password(
        &self,
        agent: &Agent,
        app: &AppName,
        role: &str,
        password: &str,
    ) -> Result<(), Failure> {
        let statements = format!(
            "SET log_statement = 'none';\nSET log_min_duration_statement = -1;\n\
            SET log_min_error_statement = 'panic';\nALTER ROLE {} PASSWORD {};\n",
            identifier(role),
            literal(password),
        );
        self.run(agent, app, "template1", &statements).await.map(drop).map_err(|e| e.failure())
    }

    /// Makes an empty PostgreSQL database like `model`, where that exists: its owner, encoding, locale, rights and
    /// settings.
    ///
    /// # Errors
    /// It exists already, or the user may not.
    pub async fn create(
        &self,
        agent: &Agent,
        app: &AppName,
        name: &str,
        model: Option<&str>,
    ) -> Result<(), Failure> {
        let statements = match model {
            Some(model) => create_like(name, model),
            None => format!("CREATE DATABASE {} TEMPLATE template0;\n", identifier(name)),
        };
        self.outside(agent, app, &[name], &statements).await.map(drop).map_err(|e| e.failure())
    }

    /// Drops a database that a job made. One that is not there is fine.
    ///
    /// # Errors
    /// It cannot be dropped.
    pub async fn drop_own(&self, agent: &Agent, app: &AppName, name: &str) -> Result<(), Failure> {
        if self.kind == DatabaseKind::Mysql {
            return mysql::drop_own(self, agent, app, name).await;
        }
        let statements = format!("{}DROP DATABASE IF EXISTS {};\n", terminate(&[name]), identifier(name));
        self.patiently(agent, app, &[name], &statements).await
    }

    /// Renames databases, in one transaction, with every connection to them ended first. In the order given: a name
    /// that is given away is free for the next.
    ///
    /// # Errors
    /// None was renamed.
    pub async fn rename(&self, agent: &Agent, app: &AppName, names: &[(&str, &str)]) -> Result<(), Failure> {
        let connected: Vec<&str> = names.iter().map(|(from, _)| *from).collect();
        let mut statements = terminate(&connected);
        statements += "BEGIN;\n";
        for (from, to) in names {
            statements += &format!("ALTER DATABASE {} RENAME TO {};\n", identifier(from), identifier(to));
        }
        statements += "COMMIT;\n";
        self.patiently(agent, app, &connected, &statements).await
    }

    /// Ends what an agent that was killed has left running on the server, so that nothing changes any more.
    ///
    /// # Errors
    /// It does not end, or the server does not answer.
    pub async fn quiet(&self, agent: &Agent, app: &AppName) -> Result<(), Failure> {
        // A client of MySQL's ends with its input, and what it still runs there keeps who drops the database waiting.
        if self.kind != DatabaseKind::Postgres {
            return Ok(());
        }
        const OTHERS: &str = "FROM pg_stat_activity WHERE application_name = current_setting('application_name') \
            AND pid <> pg_backend_pid() AND usename = current_user";
        for _ in 0..TRIES {
            let statements = format!(
                "SELECT pg_terminate_backend(pid) {OTHERS} \\g /dev/null\nSELECT count(*) {OTHERS};\n"
            );
            let left = self.run(agent, app, self.somewhere(), &statements).await.map_err(|e| e.failure())?;
            if left == ["0"] {
                return Ok(());
            }
            tokio::time::sleep(TRY_AGAIN_AFTER).await;
        }
        Err(Failure::new(
            FailureKind::Environment,
            format!("what an earlier job left running in {} does not end", self.service),
        )
        .hint(format!("restart the database's container: docker restart {:.12}", self.container)))
    }

    /// Tries again while somebody connects just then.
    async fn patiently(
        &self,
        agent: &Agent,
        app: &AppName,
        not: &[&str],
        statements: &str,
    ) -> Result<(), Failure> {
        let mut tries = 1;
        loop {
            match self.outside(agent, app, not, statements).await {
                Ok(_) => return Ok(()),
                Err(BackupError::SqlFailed { stderr, .. })
                    if tries < TRIES && stderr.contains("is being accessed by other users") =>
                {
                    tries += 1;
                    tokio::time::sleep(TRY_AGAIN_AFTER).await;
                }
                Err(error) => return Err(error.failure()),
            }
        }
    }
}

/// Restores a backup's dump into an empty database.
///
/// # Errors
/// What keeps it from being restored whole.
pub async fn load(
    job: &Job,
    backup: &BackupId,
    label: &str,
    into: LoadTarget,
) -> Result<LoadReport, BackupError> {
    let request = LoadRequest {
        repo: job.agent.layout.repository(job.app()),
        key_file: job.agent.layout.repository_key(job.app()),
        docker_socket: job.agent.config.docker.clone(),
        snapshot: backup.clone(),
        label: label.to_owned(),
        into,
    };
    wharf_backup::run(&crate::jobs::backup::child(&job.agent), request, |_| ()).await
}

/// The job's own name for a database. With what tells agents apart: several may use one server, and count their jobs from 1.
pub(super) fn own_name(job: &Job, purpose: &str, number: usize) -> String {
    let tag = InputKey::new(job.agent.state.secret_key()).digest(b"the agent's databases").to_hex();
    format!("wharf_{purpose}_{tag:.8}_job{}_{number}", job.id)
}

/// A name that PostgreSQL would not cut off.
///
/// # Errors
/// It would, or there is none.
pub fn check_name(name: &str) -> Result<(), Failure> {
    if (1..=NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Failure::new(FailureKind::Config, format!("{name:?} cannot be a database's name"))
        .hint(format!("use 1 to {NAME_BYTES} letters, digits and underscores")))
}

/// `name` with `suffix`, cut to what PostgreSQL takes.
pub fn suffixed(name: &str, suffix: &str) -> String {
    let mut end = name.len().min(NAME_BYTES.saturating_sub(suffix.len()));
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", name.get(..end).unwrap_or_default())
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) fn literal(text: &str) -> String {
    // Told as an escape string, so that a backslash is one whatever the server's settings.
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Ends the connections that this user may end; asking for another one's end would fail. Workers of the server's own
/// (autovacuum) end for a renaming or dropping by themselves; whoever else is left is waited for.
fn terminate(databases: &[&str]) -> String {
    let names: Vec<String> = databases.iter().map(|name| literal(name)).collect();
    format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN pg_roles r ON r.oid = usesysid \
         WHERE datname IN ({}) AND pid <> pg_backend_pid() \
         AND (NOT r.rolsuper OR current_setting('is_superuser') = 'on') \
         AND (pg_has_role(r.oid, 'USAGE') OR EXISTS (SELECT 1 FROM pg_roles s \
         WHERE s.rolname = 'pg_signal_backend' AND pg_has_role(s.oid, 'USAGE'))) \\g /dev/null\n",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_names() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("a'b\\c"), "E'a''b\\\\c'");
        assert_eq!(suffixed("fitness", "_before_x"), "fitness_before_x");
        let long = suffixed(&"ä".repeat(40), "_before_20260102_030405");
        assert!(long.len() <= NAME_BYTES && long.ends_with("_before_20260102_030405"), "{long}");
        for bad in ["", "a\nb", &"a".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
