//! The copy of a MySQL server's data folder in which the backup's databases stand in place of the live ones.
//!
//! A copy of a server's files is whole only when the server has stopped. So it stops; the folder is copied beside itself; a
//! throwaway server of the same image, without a network, makes the backup's databases anew in the copy and ends. Other
//! databases of the server and all accounts are in it as they were.
//!
//! **Invariants**
//! - The live folder is only read.
//! - What the throwaway server did is in the files when [`fill`] has returned: it has ended by itself, with exit code 0.

use super::compare::differences;
use super::database::{Address, load};
use super::exchangeable::canonical;
use super::mysql_over::Target;
use super::recipe::{MIB, MYSQL, probe};
use super::throwaway::{self, Server, last_lines};
use super::{folder_copy, mysql, mysql_over};
use crate::failures::{self, blocking};
use crate::jobs::compose::JOB_LABEL;
use crate::jobs::run::Job;
use std::collections::BTreeMap;
use std::time::Duration;
use wharf_backup::{BackupError, LoadTarget, mysql_identifier as identifier};
use wharf_engine::{Scratch, Throwaway};
use wharf_proto::database::DatabaseKind;
use wharf_proto::{BackupId, Failure, FailureKind};

/// How long a server may take to write what it holds and end.
pub const STOPS_WITHIN: Duration = Duration::from_secs(300);
const MEMORY_BYTES: u64 = 768 * MIB;
/// Where the throwaway server keeps what is none of its data, in memory.
const OWN_FOLDER: &str = "/wharf-restore";

/// The server itself, as the owner of its files: the image's own way of starting would make accounts or upgrade.
const START: &str = "server=$(command -v mariadbd || command -v mysqld) || exit 127\n\
    (umask 077; printf '%s\\n' \"$1\" \"$2\" >/wharf-restore/init.sql) || exit 1\nshift 2\nexec \"$server\" \"$@\"";
/// What must not be otherwise in the throwaway server, whatever its image's files say.
const OPTIONS: [&str; 12] = [
    "--init-file=/wharf-restore/init.sql",
    "--pid-file=/wharf-restore/server.pid",
    "--bind-address=127.0.0.1",
    "--port=3306",
    "--innodb-fast-shutdown=1",
    "--read-only=OFF",
    "--general-log=OFF",
    "--slow-query-log=OFF",
    "--loose-super-read-only=OFF",
    "--loose-persisted-globals-load=OFF",
    "--loose-skip-slave-start",
    "--loose-mysqlx=OFF",
];

/// Fills the folder beside the live one, whose server has stopped. When whoever has it mounted was started last.
///
/// # Errors
/// It did not stop well, the dump cannot be restored, or what came back is not what was dumped.
pub async fn fill(
    job: &Job,
    backup: &BackupId,
    number: usize,
    target: &Target<'_>,
) -> Result<Started, Failure> {
    let service = &target.at.service;
    let started = started(job, target).await?;
    ended_well(job, &target.at.container).await?.map_err(|(why, said)| {
        let text = format!("{service} did not end by itself, so its files may not be whole");
        let failure = Failure::new(FailureKind::Environment, text).cause(why);
        said.into_iter().fold(failure, |failure, line| failure.cause(format!("it said: {line}")))
    })?;
    let (live, staged) = (target.place.live.clone(), target.place.staged.clone());
    job.record.note(format!("{service} is stopped; its data is copied")).await;
    let copied = blocking(move || {
        folder_copy::fill(&live, &staged).map_err(|e| {
            Failure::from_error(FailureKind::Environment, &e).hint("make room on its disk, then try again")
        })
    });
    let restored = async {
        copied.await?;
        crate::crash::point("restore.copied");
        let server = start(job, number, target).await?;
        let restored = restore_all(job, backup, target, &server).await;
        let ended = match restored {
            Ok(()) => end(job, service, &server).await.and(whole(target).await),
            Err(failure) => Err(failure),
        };
        let removed = server.remove(job).await;
        ended.and(removed)
    };
    if let Err(failure) = restored.await {
        // At once: the live server needs the room when it starts.
        if let Err(left) = super::recover::remove_folder(&target.place.staged).await {
            job.record.warn(format!("the copy takes up room until the job is over: {left}")).await;
        }
        return Err(failure);
    }
    crate::crash::point("restore.ended");
    Ok(started)
}

/// When whoever has the data folder mounted was started last, by ID, with the name; who never was is left out.
pub type Started = BTreeMap<String, (String, String)>;

async fn started(job: &Job, target: &Target<'_>) -> Result<Started, Failure> {
    let engine = &job.agent.engine;
    let all = engine.all_mounts().await.map_err(|e| failures::of_engine(&e))?;
    let live = canonical(&target.place.live);
    let mut started = Started::new();
    for one in all {
        let mounts = one.sources.iter().any(|source| canonical(source).starts_with(&live));
        if !mounts && one.id != target.at.container {
            continue;
        }
        let found = engine.container(&one.id).await.map_err(|e| failures::of_engine(&e))?;
        if let Some(at) = found.and_then(|found| found.started_at) {
            started.insert(one.id, (one.name, at));
        }
    }
    Ok(started)
}

/// Who was started since, by name.
fn started_since<'a>(before: &Started, now: &'a Started) -> Option<&'a str> {
    now.iter().find(|(id, started)| before.get(*id) != Some(started)).map(|(_, (name, _))| name.as_str())
}

/// Makes sure that neither the server nor another container on its folder has run since it was copied, though it may have
/// stopped again: the copy lacks what it wrote, or is of two moments.
///
/// # Errors
/// It has.
pub async fn not_started_since(job: &Job, target: &Target<'_>, before: &Started) -> Result<(), Failure> {
    let now = started(job, target).await?;
    let Some(name) = started_since(before, &now) else { return Ok(()) };
    let text = format!("{name} was started while the data of {} was copied", target.at.service);
    Err(Failure::new(FailureKind::Environment, text).hint("leave that container alone, then try again"))
}

async fn start(job: &Job, number: usize, target: &Target<'_>) -> Result<Server, Failure> {
    let account = Account::new(job);
    let mut command: Vec<String> = account.made().to_vec();
    command.extend(target.settings.options());
    command.extend(MYSQL.iter().chain(&OPTIONS).map(|&option| option.to_owned()));
    let spec = Throwaway {
        image: target.image.clone(),
        name: format!("wharf-{}-job{}-restore{number}", job.app(), job.id),
        entrypoint: Some(["sh", "-c", START, "sh"].map(str::to_owned).to_vec()),
        command,
        env: account.environment(),
        user: Some(target.owner.clone()),
        labels: vec![(JOB_LABEL.to_owned(), job.label())],
        scratch: vec![(target.settings.folder.clone(), Scratch::Folder(target.place.staged.clone()))],
        small: target.settings.socket_folder().into_iter().chain([OWN_FOLDER.to_owned()]).collect(),
        memory_bytes: MEMORY_BYTES,
    };
    throwaway::begin(job, &spec, (Some(account.name), None), probe(DatabaseKind::Mysql, "")).await
}

/// An account in the throwaway server that may do everything, whatever accounts there are; it goes before the server ends.
struct Account {
    name: String,
    password: String,
}

impl Account {
    fn new(job: &Job) -> Self {
        // With what rules for passwords ask for.
        let password = format!("Aa1-{:032x}", rand::random::<u128>());
        Self { name: format!("wharf_restore_{}", job.id), password }
    }

    /// The statements that make it, each on a line of its own, as the server's first file takes them.
    fn made(&self) -> [String; 2] {
        let Self { name, password } = self;
        [
            format!("CREATE USER '{name}'@'localhost' IDENTIFIED BY '{password}';"),
            format!("GRANT ALL PRIVILEGES ON *.* TO '{name}'@'localhost' WITH GRANT OPTION;"),
        ]
    }

    /// Where whoever asks a server looks for its accounts.
    fn environment(&self) -> Vec<String> {
        vec![format!("MARIADB_USER={}", self.name), format!("MARIADB_PASSWORD={}", self.password)]
    }
}

async fn restore_all(
    job: &Job,
    backup: &BackupId,
    target: &Target<'_>,
    server: &Server,
) -> Result<(), Failure> {
    let (agent, app) = (&job.agent, job.app());
    let failed = |e: BackupError| e.failure();
    let at = Address { container: server.container.clone(), user: server.user.clone(), ..target.at.clone() };
    for dump in &target.dumps {
        let listed = target.settings.listed(&dump.database);
        let like = mysql::character_set(&at, agent, app, &listed).await?;
        at.run_outside(agent, app, &made_anew(&dump.database, &like)).await.map_err(failed)?;
        crate::crash::point("restore.inside");
        let into = LoadTarget { container: at.container.clone(), user: at.user.clone(), database: None };
        let report = load(job, backup, &dump.label, into).await.map_err(failed)?;
        let differences = differences(&dump.tables, &report.tables);
        if !differences.is_empty() {
            let text = format!("what came back of {} is not what was dumped", dump.database);
            return Err(differences
                .into_iter()
                .fold(Failure::new(FailureKind::Backup, text), Failure::cause));
        }
        let rows: u64 = report.tables.iter().map(|table| table.rows).sum();
        let text = format!("{}: {rows} rows in {} tables, as counted", dump.database, report.tables.len());
        job.record.note(text).await;
    }
    if let Some(why) = mysql_over::not_in_folder(job, &at, &target.settings).await? {
        let text = format!("what was restored into {} would not be whole", at.service);
        return Err(Failure::new(FailureKind::Backup, text).cause(why));
    }
    let account = server.user.as_deref().unwrap_or_default();
    at.run_outside(agent, app, &format!("DROP USER '{account}'@'localhost';\n"))
        .await
        .map(drop)
        .map_err(failed)
}

/// In the throwaway server: another database's foreign key must not stand in the way, and would not be broken for good.
fn made_anew(name: &str, like: &str) -> String {
    let name = identifier(name);
    format!("SET foreign_key_checks = 0;\nDROP DATABASE IF EXISTS {name};\nCREATE DATABASE {name}{like};\n")
}

/// Has the throwaway server write everything to its files and end.
async fn end(job: &Job, service: &str, server: &Server) -> Result<(), Failure> {
    let stopped = job.agent.engine.stop(&server.container, STOPS_WITHIN).await;
    stopped.map_err(|e| failures::of_engine(&e))?;
    ended_well(job, &server.container).await?.map_err(|(why, said)| {
        let text = format!("the throwaway server for {service} did not end by itself");
        let failure = Failure::new(FailureKind::Environment, text).cause(why);
        said.into_iter().fold(failure, |failure, line| failure.cause(format!("it said: {line}")))
    })
}

/// A table whose files the dump puts elsewhere (`DATA DIRECTORY`) would be gone with the throwaway server.
async fn whole(target: &Target<'_>) -> Result<(), Failure> {
    let staged = target.place.staged.clone();
    blocking(move || {
        folder_copy::size(&staged).map(drop).map_err(|e| Failure::from_error(FailureKind::Backup, &e))
    })
    .await
}

type Ended = Result<(), (String, Vec<String>)>;

/// Whether a server that was stopped has ended by itself; else how it did, and what it said last.
async fn ended_well(job: &Job, container: &str) -> Result<Ended, Failure> {
    let engine = &job.agent.engine;
    let found = engine.container(container).await.map_err(|e| failures::of_engine(&e))?;
    let (code, killed) = found.map_or((None, false), |found| (found.exit_code, found.oom_killed));
    if code == Some(0) && !killed {
        return Ok(Ok(()));
    }
    let code = code.map_or("no exit code".to_owned(), |code| format!("exit code {code}"));
    let memory = if killed { ", for want of memory" } else { "" };
    Ok(Err((format!("it ended with {code}{memory}"), last_lines(engine, container).await)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_ran_since_is_seen_though_it_has_stopped_again() {
        let started = |all: &[(&str, &str)]| -> Started {
            all.iter().map(|&(id, at)| (id.to_owned(), (format!("name of {id}"), at.to_owned()))).collect()
        };
        let before = started(&[("server", "1"), ("sidecar", "2")]);
        for (now, expected) in [
            (vec![("server", "1"), ("sidecar", "2")], None),
            (vec![("server", "1")], None), // the other one is gone
            (vec![("server", "3"), ("sidecar", "2")], Some("name of server")),
            (vec![("server", "1"), ("sidecar", "3")], Some("name of sidecar")),
            (vec![("server", "1"), ("sidecar", "2"), ("replica", "3")], Some("name of replica")),
        ] {
            assert_eq!(started_since(&before, &started(&now)), expected, "{now:?}");
        }
    }

    #[test]
    fn a_database_is_made_anew_under_its_own_name_and_character_set() {
        assert_eq!(
            made_anew("sh`op", " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
            "SET foreign_key_checks = 0;\nDROP DATABASE IF EXISTS `sh``op`;\n\
             CREATE DATABASE `sh``op` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;\n"
        );
    }
}
