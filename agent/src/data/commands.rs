//! A database of no kind that Wharf knows: what its own commands need, and a throwaway server for them.
//!
//! Such a server is started as the live one is: the same words, the same environment, in which its commands find who they are.
//! It has no network and nothing of the live one's files: wherever that keeps data, this has a folder of its own.
//!
//! **Invariant**: a command that restores is run in such a server, or in one that was found to hold nothing
//! before the first of its dumps was restored; never in another.

use super::throwaway::{self, Server};
use crate::failures;
use crate::jobs::compose::JOB_LABEL;
use crate::jobs::run::Job;
use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use wharf_backup::{DumpReport, counts};
use wharf_engine::exec::ExecSpec;
use wharf_engine::{Engine, Scratch, StartedBy, Throwaway};
use wharf_plan::Model;
use wharf_plan::facts::{ContainerFacts, MountSource};
use wharf_proto::spec::DumpSpec;
use wharf_proto::{AppSpec, Failure, FailureKind};

const MIB: u64 = 1024 * 1024;
/// Up to here a dump is restored in memory: nobody knows how well it is compressed.
const IN_MEMORY_DUMP_BYTES: u64 = 16 * MIB;
/// For an empty server and its journal.
const EMPTY_BYTES: u64 = 512 * MIB;
/// What a dump may take in memory, as so many of itself.
const TIMES: u64 = 32;
/// For the server's processes.
const MEMORY_BYTES: u64 = 1024 * MIB;
/// How long counting may take in a server that should be empty.
const COUNTS_WITHIN: Duration = Duration::from_secs(120);
const ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Checks what a deploy says of such databases.
///
/// # Errors
/// What is wrong with it.
pub fn check_spec(spec: &AppSpec) -> Result<(), Failure> {
    let problem = spec.dump.iter().find_map(|one| Some((one, one.problem()?)));
    let Some((one, problem)) = problem else { return Ok(()) };
    let text = format!("{} of {}: {}", problem.key, one.called(), problem.message);
    Err(Failure::new(FailureKind::Config, text).hint(problem.instead))
}

/// Checks them against the services that there are.
///
/// # Errors
/// There is no such service, or nothing tells when a fresh server of it takes connections.
pub fn check_plan(spec: &AppSpec, model: &Model) -> Result<(), Failure> {
    for one in &spec.dump {
        let name = &one.service;
        let Some(service) = model.services().find(|service| service.name == *name) else {
            let text = format!("[[dump]] names {name}, which is no service of the Compose files");
            return Err(Failure::new(FailureKind::Config, text).cause("it would be in no backup").hint(
                "write the service's name as the Compose files have it, and see that its profile is on",
            ));
        };
        if !one.restore.is_empty() && one.ready.is_empty() && !service.healthcheck {
            return Err(nothing_tells(name));
        }
    }
    Ok(())
}

fn nothing_tells(service: &str) -> Failure {
    let text = format!("nothing tells when a fresh server of {service} takes what is restored");
    Failure::new(FailureKind::Config, text)
        .cause("its [[dump]] has no `ready`, and the service no health check")
        .hint("write a command that ends with 0 once the server answers: ready = [\"…\"] under [[dump]]")
        .hint("or give the service a `healthcheck:` in its Compose file")
}

/// The commands with which a dump was made.
fn spec_of(dump: &DumpReport) -> DumpSpec {
    dump.commands.clone().unwrap_or_default()
}

/// Whether a drill can try the dump.
pub fn can_be_tried(dump: &DumpReport) -> bool {
    !spec_of(dump).restore.is_empty()
}

/// Whether the dump goes into a fresh server of the app's by itself: by a command that restores it, after one that counts has
/// found nothing there. A count that never told a table is taken for no proof of that: it may be one that tells none.
pub fn comes_back_by_itself(dump: &DumpReport) -> bool {
    let spec = spec_of(dump);
    !spec.restore.is_empty() && !spec.count.is_empty() && !dump.tables.is_empty()
}

/// What is asked in a server to learn whether it takes connections.
///
/// # Errors
/// Nothing tells.
pub async fn probe(engine: &Engine, container: &str, dump: &DumpReport) -> Result<Vec<String>, Failure> {
    let started = engine.started_by(container).await.map_err(|e| failures::of_engine(&e))?;
    probe_of(dump, started.as_ref())
}

fn probe_of(dump: &DumpReport, started: Option<&StartedBy>) -> Result<Vec<String>, Failure> {
    let ready = spec_of(dump).ready;
    if !ready.is_empty() {
        return Ok(ready);
    }
    started.and_then(|started| started.health.clone()).ok_or_else(|| nothing_tells(dump.service()))
}

/// Starts a server for `dump`, as that of `live` is started, and waits until it answers.
///
/// # Errors
/// The image is gone, nothing tells when it answers, or it does not start.
pub async fn start(
    job: &Job,
    number: usize,
    dump: &DumpReport,
    image: String,
    live: Option<&ContainerFacts>,
) -> Result<Server, Failure> {
    let engine = &job.agent.engine;
    let started = match live {
        Some(live) => engine.started_by(&live.id).await.map_err(|e| failures::of_engine(&e))?,
        None => None,
    };
    let probe = probe_of(dump, started.as_ref())?;
    let declared = engine.image(&image).await.map_err(|e| failures::of_engine(&e))?;
    let targets = data_paths(live, declared.map(|image| image.volumes).unwrap_or_default());
    let in_memory = dump.size_bytes < IN_MEMORY_DUMP_BYTES;
    let bytes = EMPTY_BYTES.saturating_add(dump.size_bytes.saturating_mul(TIMES));
    let folder = if in_memory { None } else { Some(throwaway::make_folder(job, number).await?) };
    let mut scratch = Vec::new();
    for (index, target) in targets.into_iter().enumerate() {
        let place = match &folder {
            None => Scratch::Memory { bytes },
            Some(folder) => Scratch::Folder(open_to_all(&folder.join(index.to_string()))?),
        };
        scratch.push((target, place));
    }
    let StartedBy { entrypoint, command, env, user, .. } = started.unwrap_or_default();
    let spec = Throwaway {
        image,
        name: format!("wharf-{}-job{}-drill{number}", job.app(), job.id),
        entrypoint,
        command,
        env,
        user,
        labels: vec![(JOB_LABEL.to_owned(), job.label())],
        scratch,
        small: Vec::new(),
        memory_bytes: MEMORY_BYTES.saturating_add(if in_memory { bytes } else { 0 }),
    };
    throwaway::begin(job, &spec, (None, folder), Some(probe)).await
}

/// Where a server of the kind keeps data: what its image declares, and wherever the live one has something mounted that it
/// writes to. A path within another has its place there.
fn data_paths(live: Option<&ContainerFacts>, declared: Vec<String>) -> Vec<String> {
    let mounts = live.into_iter().flat_map(|live| &live.mounts).filter(|mount| mount.writable);
    let mounted = mounts.filter(|mount| match &mount.source {
        MountSource::Volume(_) | MountSource::AnonymousVolume(_) => true,
        MountSource::Bind(path) => Path::new(path).is_dir(),
        MountSource::Tmpfs => false,
    });
    let all = mounted.map(|mount| mount.target.clone()).chain(declared);
    // One that ends with a slash is the same place.
    let places: BTreeSet<String> = all.map(|path| path.trim_end_matches('/').to_owned()).collect();
    places.into_iter().filter(|path| !path.is_empty()).collect()
}

/// A new folder that whoever the server runs as may write to; nobody else reaches it.
fn open_to_all(folder: &Path) -> Result<std::path::PathBuf, Failure> {
    std::fs::create_dir(folder)
        .and_then(|()| std::fs::set_permissions(folder, Permissions::from_mode(0o777)))
        .map_err(|e| Failure::from_error(FailureKind::Environment, &e).hint("make room on its disk"))?;
    Ok(folder.to_owned())
}

/// Makes sure that a server of the app's own holds nothing yet, as its command counts.
///
/// # Errors
/// It does, or it cannot be told.
pub async fn holds_nothing(job: &Job, container: &str, dump: &DumpReport) -> Result<(), Failure> {
    let service = dump.service();
    let failed = |why: String| {
        let text = format!("whether {service} is empty could not be told");
        Failure::new(FailureKind::Backup, text).cause(why).hint("see `count` under [[dump]] in wharf.toml")
    };
    let ask = ExecSpec::new(spec_of(dump).count);
    let answer = job.agent.engine.exec_to_end(container, &ask, &[], COUNTS_WITHIN, ANSWER_BYTES).await;
    let answer = answer.map_err(|e| failures::of_engine(&e))?;
    if answer.code != Some(0) {
        let code = answer.code.map_or("no exit code".to_owned(), |code| format!("exit code {code}"));
        return Err(failed(format!("its count ended with {code}")));
    }
    let tables = counts(&answer.stdout).map_err(failed)?;
    let Some(full) = tables.iter().find(|table| table.rows > 0) else { return Ok(()) };
    let text = format!("{service} holds rows already, and nothing is written over");
    Err(Failure::new(FailureKind::Refused, text)
        .cause(format!("{} has {} of them", full.table, full.rows))
        .hint(
            "where they are of a recovery that was cut short, remove the service's container and its volume",
        )
        .hint(format!("the dump itself is {} in the backup: wharf backup restore ID --to DIR", dump.path)))
}

/// Why such a dump is not restored over what is live.
pub fn not_over(dump: &DumpReport) -> Failure {
    let text = format!("{} of {} cannot be restored over what is live", dump.database, dump.service());
    Failure::new(FailureKind::Refused, text)
        .cause("it is restored by a command of the project's own, and nobody but the project knows what else that changes")
        .hint("restore its dump by hand: wharf backup restore ID --to DIR, and docs/RECOVERY.md")
        .hint("other databases of the backup come back beside the live ones: --database NAME --as OTHER; volumes: --volume")
}

/// Why such a dump is not restored beside what is live.
pub fn not_beside(dump: &DumpReport) -> Failure {
    let text = format!("{} of {} cannot be restored beside what is live", dump.database, dump.service());
    Failure::new(FailureKind::Config, text)
        .cause("it is restored by a command of the project's own, which goes into the database that is dumped")
        .hint("write the dump to a folder: wharf backup restore ID --to DIR; how it goes back: docs/RECOVERY.md")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_backup::TableRows;

    fn dump(ready: &[&str]) -> DumpReport {
        let spec = serde_json::json!({
            "label": "docs", "path": "/dumps/docs.dump", "user": "", "database": "docs", "size_bytes": 1,
            "sha256": "", "server_version": "", "image": "", "tables": [], "kind": "commands",
            "commands": {"service": "docs", "dump": ["d"], "restore": ["r"], "ready": ready},
        });
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn readiness_is_the_projects_own_or_the_health_check() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let healthy = StartedBy { health: Some(words(&["ping"])), ..StartedBy::default() };
        assert_eq!(probe_of(&dump(&["own"]), Some(&healthy)).unwrap(), ["own"]);
        assert_eq!(probe_of(&dump(&[]), Some(&healthy)).unwrap(), ["ping"]);
        for started in [None, Some(&StartedBy::default())] {
            assert_eq!(probe_of(&dump(&[]), started).unwrap_err().kind, FailureKind::Config);
        }
    }

    #[test]
    fn a_dump_goes_by_itself_only_to_where_nothing_was_counted() {
        let mut dump = dump(&[]);
        assert!(can_be_tried(&dump) && !comes_back_by_itself(&dump));
        dump.commands.as_mut().unwrap().count = vec!["c".into()];
        assert!(!comes_back_by_itself(&dump));
        dump.tables = vec![TableRows::new("items", 0)];
        assert!(comes_back_by_itself(&dump));
        dump.commands.as_mut().unwrap().restore = vec![];
        assert!(!can_be_tried(&dump) && !comes_back_by_itself(&dump));
    }

    #[test]
    fn paths_of_data_are_told_once() {
        let paths = ["/data/db/", "/data/configdb/", "/data/db", "/"].map(str::to_owned).to_vec();
        assert_eq!(data_paths(None, paths), ["/data/configdb", "/data/db"]);
    }
}
