//! Reports: Markdown with the facts filled in, for people to keep, to send on, and to finish.

mod deploy;
mod health;
mod incident;
mod markdown;
#[cfg(test)]
mod tests;

pub use deploy::{DeployFacts, deploy};
pub use health::{HealthFacts, health};
pub use incident::{IncidentFacts, incident};

use super::{Style, tables};
use jiff::Timestamp;
use markdown::{or_none, table};
use wharf_proto::release::AppStatus;

/// `2026-11-21 10:30 (Europe/Berlin)`; other times of a report are in the same zone.
fn as_of(at: Timestamp, style: &Style) -> String {
    format!("{} ({})", style.time(at), style.zone.iana_name().unwrap_or("local time"))
}

fn containers(app: &AppStatus) -> String {
    let row = |container: &wharf_proto::release::ContainerStatus| {
        vec![
            container.service.clone(),
            container.state.clone(),
            container.health.clone().unwrap_or_default(),
            container.restarts.to_string(),
            tables::memory(container),
            container.image.clone(),
        ]
    };
    let none = |service: &String| {
        let mut row = vec![service.clone(), tables::SCALED_TO_ZERO.to_owned()];
        row.resize(6, String::new());
        row
    };
    let rows: Vec<Vec<String>> =
        app.containers.iter().map(row).chain(app.scaled_to_zero.iter().map(none)).collect();
    or_none(table(&["Service", "State", "Health", "Restarts", "Memory", "Image"], &rows))
}

/// `v2 (1.0.1) since 2026-11-21 10:02`.
fn live(app: &AppStatus, style: &Style) -> String {
    let Some(live) = &app.live else { return "nothing".to_owned() };
    let versions = tables::versions(live);
    let versions = if versions.is_empty() { versions } else { format!(" ({versions})") };
    format!("{}{versions} since {}", live.release, style.time(live.created))
}
