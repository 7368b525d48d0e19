//! Programs that somebody on a laptop uses: in a running container, in a new one, a database's console.
//!
//! **Invariants**
//! - A program ends when its client leaves, with all that it started; one that an agent's death left is ended when the
//!   agent starts again ([`journal`]).
//! - The audit tells who, which service and the program's name. Arguments may hold secrets, and are never written down.

mod console;
pub mod journal;
mod pump;

use crate::agent::Agent;
use crate::answers::known_app;
use crate::audit;
use crate::conversation::{Stop, Talk};
use crate::failures;
use crate::outside;
use wharf_access::Permit;
use wharf_engine::exec::ExecSpec;
use wharf_engine::interactive::{Program, Size, Template};
use wharf_engine::{Engine, EngineError};
use wharf_plan::facts::{ContainerFacts, ContainerState};
use wharf_proto::message::{Request, ServerMessage};
use wharf_proto::terminal::{ExecRequest, Terminal, TerminalSize};
use wharf_proto::{AppName, Failure, FailureKind};

/// The most that one command line may be.
const COMMAND_BYTES: usize = 128 * 1024;
/// How long a terminal's kind may be.
const KIND_BYTES: usize = 64;
/// The label of one-off containers of this sort.
const LABEL: &str = "dev.wharf.program";

/// Runs a program for a client until one of the two leaves.
///
/// # Errors
/// No such service or container, or an engine that does not answer.
pub async fn requested(
    agent: &Agent,
    talk: &mut Talk,
    permit: &Permit,
    request: Request,
) -> Result<(), Stop> {
    match request {
        Request::Exec(exec) => in_running(agent, talk, permit, exec, "exec").await,
        Request::Run(exec) => in_new(agent, talk, permit, exec).await,
        Request::DbConsole(console) => {
            let exec = console::command(agent, permit, console).await?;
            let record = known_app(agent, permit, &exec.app).await?;
            if outside::find(&record.spec, &exec.service).is_none() {
                return in_running(agent, talk, permit, exec, "db console").await;
            }
            let mut visit = outside::Visit::new(agent, &record.spec);
            let container = visit.open(&exec.service).await?.container;
            let ended = in_container(agent, talk, &container.id, exec, "db console").await;
            visit.close().await;
            ended
        }
        _ => Err(Failure::new(FailureKind::Internal, "a request that is about no program").into()),
    }
}

async fn in_running(
    agent: &Agent,
    talk: &mut Talk,
    permit: &Permit,
    exec: ExecRequest,
    verb: &str,
) -> Result<(), Stop> {
    check(&exec)?;
    let containers = containers_of(agent, permit, &exec.app, &exec.service).await?;
    let Some(container) = containers.iter().find(|c| c.state == ContainerState::Running) else {
        return Err(not_running(&exec.service).into());
    };
    in_container(agent, talk, &container.id, exec, verb).await
}

async fn in_container(
    agent: &Agent,
    talk: &mut Talk,
    container: &str,
    exec: ExecRequest,
    verb: &str,
) -> Result<(), Stop> {
    let spec = ExecSpec {
        cmd: exec.command.clone(),
        env: environment(exec.terminal.as_ref()),
        user: exec.user.clone(),
        stdin: true,
    };
    let size = exec.terminal.as_ref().map(|terminal| size(terminal.size));
    let prepared = agent.engine.prepare_exec(container, &spec, size).await;
    let program = prepared.map_err(|e| Stop::from(failures::of_engine(&e)))?;
    let note = journal::note(&agent.layout, &journal::Entry::of(&program)).await?;
    hold(agent, talk, &exec, verb, program, note).await
}

async fn in_new(agent: &Agent, talk: &mut Talk, permit: &Permit, exec: ExecRequest) -> Result<(), Stop> {
    check(&exec)?;
    let containers = containers_of(agent, permit, &exec.app, &exec.service).await?;
    let Some(like) = containers.first() else { return Err(not_running(&exec.service).into()) };
    let name = journal::container_name(&like.project, &exec.service);
    let template = Template {
        like: like.id.clone(),
        name: name.clone(),
        command: exec.command.clone(),
        env: environment(exec.terminal.as_ref()),
        user: exec.user.clone(),
        labels: vec![(LABEL.to_owned(), "run".to_owned())],
    };
    let size = exec.terminal.as_ref().map(|terminal| size(terminal.size));
    let note = journal::note(&agent.layout, &journal::Entry::Container { name }).await?;
    let prepared = agent.engine.prepare_one_off(&template, size).await;
    let program = prepared.map_err(|e| Stop::from(failures::of_engine(&e)))?;
    hold(agent, talk, &exec, "run", program, note).await
}

/// Starts the program, carries its input and output, and ends it when nobody uses it any more.
async fn hold(
    agent: &Agent,
    talk: &mut Talk,
    exec: &ExecRequest,
    verb: &str,
    program: Program,
    note: journal::Note,
) -> Result<(), Stop> {
    let size = exec.terminal.as_ref().map(|terminal| size(terminal.size));
    let action = format!("{verb} {}: {}", exec.service, name_of(&exec.command));
    audit::write(agent, &talk.who, Some(&exec.app), &action, "began").await?;
    // Whatever becomes of this conversation, the program does not outlive it.
    let guard = Guard { engine: agent.engine.clone(), program: Some((program.clone(), note)) };
    let ended = match agent.engine.start_program(&program, size).await {
        Ok(streams) => {
            talk.say(&ServerMessage::Started).await?;
            pump::pump(talk, &agent.engine, &program, streams).await
        }
        Err(error) => could_not_start(talk, &error).await,
    };
    guard.end().await;
    let outcome = match &ended {
        Ok(code) => format!("exit code {code}"),
        Err(Stop::Gone) => "ended: the client left".to_owned(),
        Err(Stop::Failed(failure)) => format!("failed: {failure}"),
    };
    audit::write(agent, &talk.who, Some(&exec.app), &action, outcome).await?;
    let code = ended?;
    talk.say(&ServerMessage::Exited { code }).await
}

/// The engine says why a container's program cannot be started; a shell would say it with an exit code.
async fn could_not_start(talk: &mut Talk, error: &EngineError) -> Result<i32, Stop> {
    let failure = failures::of_engine(error);
    let said = format!("{}: {}", failure.message, failure.causes.join(": "));
    let code = if said.contains("executable file not found") || said.contains("no such file or directory") {
        127
    } else if said.contains("permission denied") || said.contains("is a directory") {
        126
    } else {
        return Err(failure.into());
    };
    talk.say(&ServerMessage::Started).await?;
    pump::say_error(talk, &format!("{said}\n")).await?;
    Ok(code)
}

/// A program that must not outlive its conversation.
struct Guard {
    engine: Engine,
    program: Option<(Program, journal::Note)>,
}

impl Guard {
    async fn end(mut self) {
        if let Some((program, note)) = self.program.take() {
            end(&self.engine, &program, note).await;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some((program, note)) = self.program.take() {
            let engine = self.engine.clone();
            tokio::spawn(async move { end(&engine, &program, note).await });
        }
    }
}

async fn end(engine: &Engine, program: &Program, note: journal::Note) {
    match engine.hang_up(program).await {
        Ok(()) => note.clear(),
        // The note stays, and the next start of the agent tries again.
        Err(error) => tracing::warn!(%error, "a program that nobody uses could not be ended"),
    }
}

/// The service's containers, one-offs apart.
async fn containers_of(
    agent: &Agent,
    permit: &Permit,
    app: &AppName,
    service: &str,
) -> Result<Vec<ContainerFacts>, Failure> {
    let record = known_app(agent, permit, app).await?;
    let all = agent.engine.project_containers(&record.project).await.map_err(|e| failures::of_engine(&e))?;
    let all: Vec<ContainerFacts> = all.into_iter().filter(|container| !container.one_off).collect();
    let of_service: Vec<ContainerFacts> = all.iter().filter(|c| c.service == service).cloned().collect();
    if of_service.is_empty() {
        return Err(crate::answers::logs::no_such_service(service, all.iter().map(|c| c.service.as_str())));
    }
    Ok(of_service)
}

fn check(exec: &ExecRequest) -> Result<(), Failure> {
    if exec.command.is_empty() {
        return Err(Failure::new(FailureKind::Config, "there is no command to run"));
    }
    let bytes: usize = exec.command.iter().map(|word| word.len() + 1).sum();
    if bytes > COMMAND_BYTES {
        let text = format!("a command of {bytes} bytes, more than the {COMMAND_BYTES} that may be");
        return Err(Failure::new(FailureKind::Config, text).hint("send what is long through standard input"));
    }
    Ok(())
}

fn not_running(service: &str) -> Failure {
    Failure::new(FailureKind::NotFound, format!("no container of {service} runs"))
        .hint("see why: wharf status, wharf logs")
        .hint(format!("use a container of its own: wharf run {service} -- …"))
}

fn size(size: TerminalSize) -> Size {
    Size { columns: size.columns, rows: size.rows }
}

fn environment(terminal: Option<&Terminal>) -> Vec<String> {
    let kind = terminal.map(|terminal| terminal.kind.as_str()).unwrap_or_default();
    let plain = kind.len() <= KIND_BYTES
        && kind.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+'));
    if kind.is_empty() || !plain { Vec::new() } else { vec![format!("TERM={kind}")] }
}

/// The program's name, as the audit tells it: no argument, no folder, nothing odd.
fn name_of(command: &[String]) -> String {
    let first = command.first().map(String::as_str).unwrap_or_default();
    let name = first.rsplit('/').next().unwrap_or_default();
    name.chars().filter(|c| !c.is_control() && !c.is_whitespace()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_tells_the_programs_name_and_no_argument() {
        let command = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert_eq!(name_of(&command(&["/usr/bin/psql", "-c", "secret"])), "psql");
        assert_eq!(name_of(&command(&["a\nb c"])), "abc");
        assert_eq!(name_of(&[]), "");
    }

    #[test]
    fn a_terminals_kind_is_a_plain_word() {
        let terminal =
            |kind: &str| Terminal { size: TerminalSize { columns: 80, rows: 24 }, kind: kind.to_owned() };
        assert_eq!(environment(Some(&terminal("xterm-256color"))), ["TERM=xterm-256color"]);
        assert!(environment(Some(&terminal("x\nLD_PRELOAD=y"))).is_empty());
        assert!(environment(None).is_empty());
    }
}
