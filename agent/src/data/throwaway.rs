//! A server of the database's own image that exists for one job: no network; for a drill in memory while it fits, for a
//! restore on a copy of what is live.

use super::recipe;
use super::task::note_undo;
use super::undo::Undo;
use crate::failures;
use crate::jobs::compose::JOB_LABEL;
use crate::jobs::run::Job;
use futures_util::StreamExt;
use std::future::ready;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;
use wharf_backup::{DRILL_FOLDER, DumpReport};
use wharf_engine::exec::ExecSpec;
use wharf_engine::{Engine, LogOptions, Scratch, Throwaway};
use wharf_plan::facts::ContainerState;
use wharf_proto::{Failure, FailureKind};

/// Up to here a dump is restored in memory.
const IN_MEMORY_DUMP_BYTES: u64 = 256 * 1024 * 1024;
/// How long the server may take for its first start.
const STARTS_WITHIN: Duration = Duration::from_secs(180);
const ASK_EVERY: Duration = Duration::from_millis(200);
const ANSWER_BYTES: usize = 64 * 1024;
/// What a server that did not start wrote last.
const LAST_LINES: u32 = 6;

/// A server that runs. [`Server::remove`] ends it; after a crash, recovery does.
pub struct Server {
    pub container: String,
    /// As whom the dump is restored.
    pub user: Option<String>,
    folder: Option<PathBuf>,
}

/// Starts a server for `dump` and waits until it answers.
///
/// # Errors
/// The image is gone, or the server does not start.
pub async fn start(job: &Job, number: usize, dump: &DumpReport, image: String) -> Result<Server, Failure> {
    let recipe = recipe::recipe(dump)?;
    let in_memory = dump.size_bytes < IN_MEMORY_DUMP_BYTES;
    let folder = if in_memory { None } else { Some(make_folder(job, number).await?) };
    let bytes = recipe.scratch_bytes;
    let scratch = folder.clone().map_or(Scratch::Memory { bytes }, Scratch::Folder);
    let spec = Throwaway {
        image,
        name: format!("wharf-{}-job{}-drill{number}", job.app(), job.id),
        entrypoint: recipe.entrypoint,
        command: recipe.command,
        env: recipe.env,
        user: None,
        labels: vec![(JOB_LABEL.to_owned(), job.label())],
        scratch: vec![(DRILL_FOLDER.to_owned(), scratch)],
        small: Vec::new(),
        memory_bytes: recipe.memory_bytes.saturating_add(if in_memory { bytes } else { 0 }),
    };
    let probe = recipe::probe(dump.kind, &dump.user);
    begin(job, &spec, (recipe.user, folder), probe).await
}

/// Starts a server as `spec` says, and waits until it answers.
///
/// # Errors
/// The image is gone, or the server does not start; then it is gone again.
pub async fn begin(
    job: &Job,
    spec: &Throwaway,
    (user, folder): (Option<String>, Option<PathBuf>),
    probe: Option<Vec<String>>,
) -> Result<Server, Failure> {
    let container = job.agent.engine.start_throwaway(spec).await.map_err(|e| failures::of_engine(&e))?;
    let server = Server { container, user, folder };
    match wait(job, &server, probe).await {
        Ok(()) => Ok(server),
        Err(failure) => {
            if let Err(left) = server.remove(job).await {
                job.record.warn(format!("the throwaway server is left until the job is over: {left}")).await;
            }
            Err(failure)
        }
    }
}

impl Server {
    /// Ends the server, with everything that it has written.
    ///
    /// # Errors
    /// The engine does not answer; recovery removes it at the next start of the agent.
    pub async fn remove(self, job: &Job) -> Result<(), Failure> {
        job.agent.engine.remove_container(&self.container).await.map_err(|e| failures::of_engine(&e))?;
        if let Some(folder) = self.folder {
            super::recover::remove_folder(&folder).await?;
        }
        Ok(())
    }
}

/// A place for a folder of the job's own, which is removed when the job is over; what holds it exists.
///
/// # Errors
/// The state or the disk cannot be written.
pub async fn scratch(job: &Job, name: &str) -> Result<PathBuf, Failure> {
    let above = job.agent.layout.state().join("scratch");
    let folder = above.join(format!("job{}-{name}", job.id));
    note_undo(job, Undo::Folder { path: folder.clone() }).await?;
    make(&above)?;
    Ok(folder)
}

/// A folder of the job's own for a throwaway server of another user.
///
/// # Errors
/// As [`scratch`].
pub async fn make_folder(job: &Job, number: usize) -> Result<PathBuf, Failure> {
    let folder = scratch(job, &number.to_string()).await?;
    make(&folder)?;
    // The server in the container is another user.
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o711))
        .map_err(|e| Failure::from_error(FailureKind::Environment, &e))?;
    Ok(folder)
}

fn make(folder: &std::path::Path) -> Result<(), Failure> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|e| {
        Failure::from_error(FailureKind::Environment, &e)
            .cause(format!("while making {}", folder.display()))
            .hint("make room on the disk of the agent's state folder")
    })
}

async fn wait(job: &Job, server: &Server, probe: Option<Vec<String>>) -> Result<(), Failure> {
    let engine = &job.agent.engine;
    match answers(engine, &server.container, probe).await? {
        Ok(()) => Ok(()),
        Err(why) => {
            let said = last_lines(engine, &server.container).await;
            Err(said
                .into_iter()
                .fold(not_started(why), |failure, line| failure.cause(format!("it said: {line}"))))
        }
    }
}

/// What a container wrote last.
pub async fn last_lines(engine: &Engine, container: &str) -> Vec<String> {
    let options = LogOptions { tail: Some(LAST_LINES), ..LogOptions::default() };
    let lines = engine.logs(container, &options).filter_map(|line| ready(line.ok().map(|line| line.text)));
    let lines: Vec<String> = lines.take(LAST_LINES as usize).collect().await;
    lines.into_iter().filter(|line| !line.trim().is_empty()).collect()
}

/// Waits until the server of a container answers its probe; else why it never will.
///
/// # Errors
/// The engine does not answer.
pub async fn answers(
    engine: &Engine,
    container: &str,
    probe: Option<Vec<String>>,
) -> Result<Result<(), String>, Failure> {
    let until = Instant::now() + STARTS_WITHIN;
    let asked = probe.as_ref().and_then(|words| words.first()).cloned().unwrap_or_default();
    let ask = probe.map(ExecSpec::new);
    loop {
        let found = engine.container(container).await.map_err(|e| failures::of_engine(&e))?;
        let running = found.as_ref().is_some_and(|found| found.state == ContainerState::Running);
        if !running {
            let code = found.and_then(|found| found.exit_code).unwrap_or_default();
            return Ok(Err(format!("it ended with exit code {code}")));
        }
        let Some(ask) = &ask else { return Ok(Ok(())) };
        let answer = engine.exec_to_end(container, ask, &[], Duration::from_secs(10), ANSWER_BYTES).await;
        match answer {
            Ok(answer) if answer.code == Some(0) => return Ok(Ok(())),
            Ok(answer) if answer.code == Some(126) || answer.code == Some(127) => {
                return Ok(Err(format!("its image lacks a program: {asked} ended with exit code 127")));
            }
            _ if Instant::now() >= until => {
                return Ok(Err(format!("it does not answer after {} s", STARTS_WITHIN.as_secs())));
            }
            _ => tokio::time::sleep(ASK_EVERY).await,
        }
    }
}

fn not_started(why: String) -> Failure {
    Failure::new(FailureKind::Environment, "the throwaway database server did not start")
        .cause(why)
        .hint("see that the server has memory and disk left, and that the database's image starts by itself")
}
