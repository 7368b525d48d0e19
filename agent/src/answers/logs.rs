//! What an app's containers write.

use super::known_app;
use crate::agent::Agent;
use crate::conversation::{Stop, Talk};
use crate::failures;
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use wharf_access::Permit;
use wharf_engine::LogOptions;
use wharf_proto::message::{LogsRequest, ServerMessage};
use wharf_proto::{Failure, FailureKind};

/// Sends lines until there are no more, or, when following, until the client leaves.
///
/// # Errors
/// An app or service that is not known, a time that cannot be read, an engine that does not answer.
pub async fn stream(
    agent: &Agent,
    talk: &mut Talk,
    permit: &Permit,
    request: LogsRequest,
) -> Result<(), Stop> {
    let record = known_app(agent, permit, &request.app).await?;
    let options = LogOptions {
        follow: request.follow,
        tail: request.lines,
        since: request.since.as_deref().map(|text| moment("since", text)).transpose()?,
        until: request.until.as_deref().map(|text| moment("until", text)).transpose()?,
    };
    let mut containers = agent
        .engine
        .project_containers(&record.project)
        .await
        .map_err(|e| Stop::from(failures::of_engine(&e)))?;
    containers.retain(|c| !c.one_off);
    for service in &request.services {
        if !containers.iter().any(|c| c.service == *service) {
            return Err(no_such_service(service, containers.iter().map(|c| c.service.as_str())).into());
        }
    }
    containers.retain(|c| request.services.is_empty() || request.services.contains(&c.service));
    let each = containers.into_iter().map(|container| {
        let lines = agent.engine.logs(&container.id, &options);
        Box::pin(lines.map(move |line| (container.service.clone(), line)))
    });
    let mut lines = stream::select_all(each);
    while let Some((service, line)) = lines.next().await {
        let (_, line) = line.map_err(|e| Stop::from(failures::of_engine(&e)))?;
        talk.say(&ServerMessage::Line { service, line }).await?;
    }
    Ok(())
}

/// The app has no such service, or it has no container.
pub fn no_such_service<'a>(service: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let mut known: Vec<&str> = known.collect();
    known.dedup();
    Failure::new(FailureKind::NotFound, format!("no container of a service called {service}"))
        .hint(format!("name one of: {}", known.join(", ")))
}

/// A time as people write it: how long ago (`10m`, `1h30m`), or a time of day with its zone.
fn moment(option: &str, text: &str) -> Result<i32, Failure> {
    let time = match text.parse::<SignedDuration>() {
        Ok(ago) => Timestamp::now().checked_sub(ago).ok(),
        Err(_) => text.parse::<Timestamp>().ok(),
    };
    time.and_then(|time| i32::try_from(time.as_second()).ok()).ok_or_else(|| {
        Failure::new(FailureKind::Config, format!("--{option} {text:?} is not a time"))
            .hint("write how long ago (10m, 2h) or a time with its zone (2026-01-31T08:00:00Z)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(moment("since", "1970-01-01T00:01:00Z").unwrap(), 60);
        let now = i32::try_from(Timestamp::now().as_second()).unwrap();
        assert!((moment("since", "10m").unwrap() - (now - 600)).abs() <= 5);
        assert!(moment("since", "yesterday").unwrap_err().message.contains("yesterday"));
    }
}
