//! What containers write: of one app, or of all that the key may see.

mod lines;
mod tail;
mod wanted;

use super::known_app;
use crate::agent::Agent;
use crate::conversation::{Stop, Talk};
use crate::failures;
use jiff::Timestamp;
use lines::Lines;
use std::collections::BTreeMap;
use wanted::Wanted;
use wharf_access::Permit;
use wharf_proto::log::LogsRequest;
use wharf_proto::message::ServerMessage;
use wharf_proto::{AppName, Failure, FailureKind};

/// The most containers whose logs one conversation reads: each takes a connection to the engine.
const CONTAINERS: usize = 500;

/// A container whose log is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    app: AppName,
    service: String,
    container: String,
}

/// Sends lines until there are no more, or, when following, until the client leaves.
///
/// # Errors
/// An app or service that is not known, a time or pattern that cannot be read, an engine that does not answer.
pub async fn stream(
    agent: &Agent,
    talk: &mut Talk,
    permit: &Permit,
    request: LogsRequest,
) -> Result<(), Stop> {
    let wanted = Wanted::of(&request)?;
    let app = request.app.as_ref();
    let projects = projects(agent, permit, app).await?;
    // Before the look at the containers, so that one that starts meanwhile is not missed.
    let now = Timestamp::now();
    let follow = request.follow && wanted.until.is_none_or(|until| i64::from(until) > now.as_second());
    let one = app.and_then(|_| projects.keys().next());
    let starts = follow.then(|| agent.engine.starts(one.map(String::as_str), now.as_second()));
    let sources = sources(agent, &projects, &wanted).await?;
    let mut lines = Lines::new(agent, permit, wanted, projects, starts);
    lines.begin(sources);
    while let Some(said) = talk.unless_gone(lines.next()).await? {
        let app = app.is_none().then_some(said.app);
        talk.say(&ServerMessage::Line { app, service: said.service, line: said.line }).await?;
    }
    Ok(())
}

/// The apps whose logs are wanted, by their Compose project.
async fn projects(
    agent: &Agent,
    permit: &Permit,
    app: Option<&AppName>,
) -> Result<BTreeMap<String, AppName>, Failure> {
    let mut known = match app {
        Some(app) => vec![known_app(agent, permit, app).await?],
        None => agent.state.apps().await.map_err(|e| failures::of_state(&e))?,
    };
    known.retain(|record| permit.covers(&record.app));
    Ok(known.into_iter().map(|record| (record.project, record.app)).collect())
}

async fn sources(
    agent: &Agent,
    projects: &BTreeMap<String, AppName>,
    wanted: &Wanted,
) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for (project, app) in projects {
        let found = agent.engine.project_containers(project).await.map_err(|e| failures::of_engine(&e))?;
        let serving = found.into_iter().filter(|container| !container.one_off);
        sources.extend(serving.map(|c| Source { app: app.clone(), service: c.service, container: c.id }));
    }
    for service in &wanted.services {
        if !sources.iter().any(|source| source.service == *service) {
            return Err(no_such_service(service, sources.iter().map(|source| source.service.as_str())));
        }
    }
    sources.retain(|source| wanted.has(&source.service));
    if sources.len() > CONTAINERS {
        return Err(Failure::new(
            FailureKind::Refused,
            format!("these are {} containers; at most {CONTAINERS} can be read at once", sources.len()),
        )
        .hint("name services: wharf logs SERVICE"));
    }
    Ok(sources)
}

/// The app has no such service, or it has no container.
pub fn no_such_service<'a>(service: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    known.dedup();
    let failure = Failure::new(FailureKind::NotFound, format!("no container of a service called {service}"));
    match known.as_slice() {
        [] => failure.hint("see what there is: wharf status"),
        known => failure.hint(format!("name one of: {}", known.join(", "))),
    }
}
