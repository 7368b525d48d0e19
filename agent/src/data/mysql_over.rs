//! MySQL and MariaDB over what is live: no database there can take another's name, so the server's whole data folder changes
//! places with a copy of it ([`super::exchange`]) in which the backup's databases stand in place of the live ones.
//!
//! Here it is looked at before anything is done; [`super::mysql_fill`] makes the copy.
//!
//! **Invariant**: no statement is run in the live server but questions. What cannot be done is refused before anybody is stopped.

use super::database::Address;
use super::exchange::{trial, try_out};
use super::exchangeable::{have_room, number, place_of};
use super::mysql_settings::{
    ENCRYPTED, ENCRYPTION, FILES, GRANTS, QUESTION, REPLICATION, Settings, sees_all,
};
use super::place::Place;
use super::server_folder::{is_set_up_as_replica, mounted_at};
use super::undo::{Exchange, MysqlServer, Undo};
use super::{beside, folder_copy, task};
use crate::failures::{self, blocking};
use crate::jobs::run::Job;
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::time::Duration;
use tokio::time::Instant;
use wharf_backup::{DumpReport, mysql_identifier as identifier};
use wharf_engine::exec::ExecSpec;
use wharf_proto::database::DatabaseKind;
use wharf_proto::{Failure, FailureKind};
use wharf_state::AppRecord;

const ASK_EVERY: Duration = Duration::from_millis(250);
const LOOKS_WITHIN: Duration = Duration::from_secs(30);
const ANSWER_BYTES: usize = 4096;
/// What a dump may take as a database, as so many of itself.
const DUMP_TIMES: u64 = 4;
/// What a server has of its own, and no dump of an app's.
const SYSTEM: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];

/// Tells whether the image has a server, and as whom that works on its files.
const LOOK: &str =
    "command -v mariadbd >&2 || command -v mysqld >&2 || exit 127\nexec stat -c %u:%g \"$1/mysql\"";

/// A server some of whose databases are to be replaced.
pub struct Target<'a> {
    pub dumps: Vec<&'a DumpReport>,
    pub at: Address,
    pub image: String,
    /// `UID:GID` of the server's files, as its container has them.
    pub owner: String,
    pub settings: Settings,
    pub place: Place,
    /// How many bytes the copy and what is restored there take at most.
    pub needed_bytes: u64,
    /// Those of `dumps` that the server lacks.
    pub missing: Vec<&'a str>,
}

impl Target<'_> {
    pub fn service(&self) -> &str {
        &self.at.service
    }
}

/// Looks where the dumps of MySQL and MariaDB are to go, a server at a time.
///
/// # Errors
/// One cannot go there in one act.
pub async fn find<'a>(
    job: &Job,
    app: &AppRecord,
    dumps: &'a [DumpReport],
    (first, suffix): (usize, &str),
) -> Result<Vec<Target<'a>>, Failure> {
    let mut by_service: BTreeMap<&str, Vec<&DumpReport>> = BTreeMap::new();
    for dump in dumps.iter().filter(|dump| dump.kind == DatabaseKind::Mysql) {
        by_service.entry(dump.service()).or_default().push(dump);
    }
    let mut targets = Vec::new();
    for (index, (service, dumps)) in by_service.into_iter().enumerate() {
        targets.push(find_one(job, app, (service, dumps), (first + index, suffix)).await?);
    }
    room(&targets)?;
    Ok(targets)
}

/// Whether the disks have room for all of it.
///
/// # Errors
/// One has not.
pub fn room(targets: &[Target<'_>]) -> Result<(), Failure> {
    let needed: Vec<(u64, &Place)> =
        targets.iter().map(|target| (target.needed_bytes, &target.place)).collect();
    have_room(&needed)
}

async fn find_one<'a>(
    job: &Job,
    app: &AppRecord,
    (service, dumps): (&str, Vec<&'a DumpReport>),
    names: (usize, &str),
) -> Result<Target<'a>, Failure> {
    let first = dumps.first().ok_or_else(|| refused(service, "the backup has no dump of it"))?;
    let at = beside::address(job, app, first).await?;
    let (agent, name) = (&job.agent, job.app());
    if let Some(own) = dumps.iter().find(|dump| SYSTEM.contains(&dump.database.to_lowercase().as_str())) {
        return Err(refused(service, &format!("{} is the server's own", own.database)));
    }
    let told = at.run_outside(agent, name, QUESTION).await.map_err(|e| e.failure())?;
    let settings =
        Settings::read(&told).ok_or_else(|| refused(service, "it does not tell where its data is"))?;
    if let Some(why) = against(job, &at, &settings).await? {
        return Err(refused(service, &why));
    }
    let owner = owner(job, service, &at.container, &settings.folder).await?;
    let mounted = mounted_at(job, app, (service, &at.container), &settings.folder).await?;
    let mounted = mounted.map_err(|why| refused(service, &why))?;
    let place = place_of(job, app, &mounted, names).await?;
    let live = place.live.clone();
    if blocking(move || Ok(is_set_up_as_replica(&live))).await? {
        let why = "it is set up as a replica, though it does not replicate now: it would go on with what is restored";
        let forget = "if it is none any more, make it forget that: RESET REPLICA ALL";
        return Err(refused(service, why).hint(forget));
    }
    let live = place.live.clone();
    let size = blocking(move || Ok(folder_copy::size(&live))).await?;
    let size = size.map_err(|error| refused(service, &format!("its folder cannot be copied: {error}")))?;
    let dumped: u64 = dumps.iter().map(|dump| dump.size_bytes).sum();
    let needed_bytes = size.saturating_add(dumped.saturating_mul(DUMP_TIMES));
    let there = at.names(agent, name).await?;
    let missing = dumps.iter().map(|dump| dump.database.as_str());
    let missing = missing.filter(|name| !there.contains(&settings.listed(name))).collect();
    let image = task::containers(job, app).await?.into_iter().find(|one| one.id == at.container);
    let image = image.ok_or_else(|| refused(service, "its container is gone"))?.image_id;
    Ok(Target { dumps, at, image, owner, settings, place, needed_bytes, missing })
}

/// What speaks against it, by what the server tells.
async fn against(job: &Job, at: &Address, settings: &Settings) -> Result<Option<String>, Failure> {
    let ask = async |question| at.run_outside(&job.agent, job.app(), question).await.map_err(|e| e.failure());
    if let Some(why) = settings.against() {
        return Ok(Some(why));
    }
    if !sees_all(&ask(GRANTS).await?) {
        let why =
            "its user may not see who else is connected (PROCESS), so whether it has replicas is not known";
        return Ok(Some(why.to_owned()));
    }
    if ask(REPLICATION).await? != ["0"] {
        let why = "it is a replica or has some: they would hold something else from then on";
        return Ok(Some(why.to_owned()));
    }
    if ask(ENCRYPTION).await? != ["0"] {
        return Ok(Some("a plugin encrypts its tables, with a key that no other server has".to_owned()));
    }
    not_in_folder(job, at, settings).await
}

/// What of a server's tables its data folder alone does not hold, and cannot be seen there.
///
/// # Errors
/// The server does not answer.
pub async fn not_in_folder(job: &Job, at: &Address, settings: &Settings) -> Result<Option<String>, Failure> {
    if !settings.keeps_a_dictionary() {
        return Ok(None);
    }
    let ask = async |question| at.run_outside(&job.agent, job.app(), question).await.map_err(|e| e.failure());
    if ask(ENCRYPTED).await? != ["0"] {
        return Ok(Some("some of its tables are encrypted, with a key that no other server has".to_owned()));
    }
    let files = ask(FILES).await?;
    Ok(settings.outside(&files).map(|file| format!("a part of its data lies elsewhere: {file}")))
}

/// Whose the server's files are.
async fn owner(job: &Job, service: &str, container: &str, folder: &str) -> Result<String, Failure> {
    let look = ExecSpec::new(["sh", "-c", LOOK, "sh", folder]);
    let answer = job.agent.engine.exec_to_end(container, &look, &[], LOOKS_WITHIN, ANSWER_BYTES).await;
    let answer = answer.map_err(|e| failures::of_engine(&e))?;
    if answer.code == Some(127) {
        return Err(refused(
            service,
            "its image has neither mariadbd nor mysqld, which work on a copy of its data",
        ));
    }
    let said = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    owner_in(&said).filter(|_| answer.code == Some(0)).ok_or_else(|| {
        let why = String::from_utf8_lossy(&answer.stderr).trim().to_owned();
        refused(service, &format!("whose its files are cannot be told: {why}"))
    })
}

/// Two numbers, of a user who is not root: a server runs as root only where it is told so.
fn owner_in(answer: &str) -> Option<String> {
    let (user, group) = answer.split_once(':')?;
    let user: u32 = user.parse().ok()?;
    let group: u32 = group.parse().ok()?;
    (user != 0).then(|| format!("{user}:{group}"))
}

/// Makes the empty folder beside the live one that becomes the copy, so that the journal knows it before anybody is stopped.
///
/// # Errors
/// It cannot be made, or could not change places with another.
pub async fn prepare(job: &Job, target: &Target<'_>) -> Result<Exchange, Failure> {
    let Place { live, staged, kept, volume, .. } = target.place.clone();
    task::note_undo(job, Undo::Folder { path: staged.clone() }).await?;
    task::note_undo(job, Undo::Folder { path: trial(&staged) }).await?;
    let make = staged.clone();
    blocking(move || {
        DirBuilder::new().mode(0o700).create(&make).map_err(|e| {
            Failure::from_error(FailureKind::Environment, &e).cause(format!("at {}", make.display()))
        })?;
        try_out(&make).map_err(|e| e.failure())
    })
    .await?;
    crate::crash::point("restore.made");
    Ok(Exchange {
        label: target.at.service.clone(),
        old: number(&live)?,
        new: number(&staged)?,
        live,
        staged,
        kept,
        volume,
        redis: None,
        mysql: Some(MysqlServer {
            at: target.at.clone(),
            databases: target.dumps.iter().map(|dump| target.settings.listed(&dump.database)).collect(),
            tables: target.dumps.iter().flat_map(|dump| tables(dump)).collect(),
        }),
    })
}

/// The tables of a dump, each with its database.
fn tables(dump: &DumpReport) -> impl Iterator<Item = (String, String)> {
    dump.tables.iter().map(|table| (dump.database.clone(), table.table.clone()))
}

/// Waits until the live server serves what was restored: each database is there, and each of its tables can be opened.
///
/// # Errors
/// It does not.
pub async fn prove(job: &Job, server: &MysqlServer) -> Result<(), Failure> {
    let limit = Duration::from_secs(job.spec.verify.start_timeout_seconds.into());
    let until = Instant::now() + limit;
    loop {
        match serves(job, server).await {
            Ok(true) => return Ok(()),
            Ok(false) | Err(_) if Instant::now() < until => {}
            Ok(false) => {
                let text = format!("{} does not hold what was restored", server.at.service);
                return Err(Failure::new(FailureKind::Verify, text)
                    .cause("does its configuration name another folder than it told before?"));
            }
            Err(failure) => return Err(Failure { kind: FailureKind::Verify, ..failure }),
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

async fn serves(job: &Job, server: &MysqlServer) -> Result<bool, Failure> {
    let names = server.at.names(&job.agent, job.app()).await?;
    if !server.databases.iter().all(|wanted| names.contains(wanted)) {
        return Ok(false);
    }
    let open = opened(&server.tables);
    if !open.is_empty() {
        server.at.run_outside(&job.agent, job.app(), &open).await.map_err(|e| e.failure())?;
    }
    Ok(true)
}

/// Statements that fail where a table cannot be opened: a list of names is there without its files, too.
fn opened(tables: &[(String, String)]) -> String {
    let each = tables.iter().map(|(database, table)| {
        format!("SELECT 1 FROM {}.{} LIMIT 1;\n", identifier(database), identifier(table))
    });
    each.collect()
}

fn refused(service: &str, why: &str) -> Failure {
    let text = format!("{service} (MySQL or MariaDB) cannot be restored over what is live");
    Failure::new(FailureKind::Refused, text)
        .cause(format!("{why}; nothing was changed"))
        .hint("restore one database beside the live one: wharf backup restore ID --database DB --as NAME")
        .hint("how it takes the live one's place by hand: docs/RECOVERY.md")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_files_they_are_is_two_numbers_and_never_root() {
        for (answer, expected) in
            [("999:998", Some("999:998")), ("0:0", None), ("mysql:mysql", None), ("999", None), ("", None)]
        {
            assert_eq!(owner_in(answer).as_deref(), expected, "{answer}");
        }
    }

    #[test]
    fn every_table_is_opened_by_its_own_name() {
        let tables = [("shop", "items"), ("Shop", "a`b")].map(|(one, other)| (one.into(), other.into()));
        let expected = "SELECT 1 FROM `shop`.`items` LIMIT 1;\nSELECT 1 FROM `Shop`.`a``b` LIMIT 1;\n";
        assert_eq!(opened(&tables), expected);
    }
}
