//! What people and scripts see.
//!
//! **Invariants**: everything here but [`Console`] and [`Progress`] is a pure function from a value to text. Data goes to
//! stdout, everything else to stderr. The text is whole without colour, and colour is used only on a terminal without
//! `NO_COLOR`. What a server sent is shown without its control characters.

mod backups;
mod carried;
mod console;
mod databases;
mod error_lines;
mod failure;
mod findings;
pub mod json;
mod keys;
mod migrations;
mod plan;
mod progress;
mod prune;
mod registries;
mod report;
mod scales;
#[cfg(test)]
mod schema;
mod secrets;
mod story;
mod table;
mod tables;
#[cfg(test)]
mod tests;
mod text;
mod watch;

pub use backups::{backups, contents as backup_contents, prune_plan};
pub use carried::CarryProgress;
pub use console::{Captured, Console, Verbosity};
pub use databases::databases;
pub use error_lines::{ErrorLines, error_lines};
pub use failure::failure;
pub use findings::{findings, findings_summary};
pub use keys::keys;
pub use migrations::migrations;
pub use plan::plan;
pub use progress::Progress;
pub use prune::docker_prune_plan;
pub use registries::registries;
pub use report::{
    DeployFacts, HealthFacts, IncidentFacts, deploy as deploy_report, health as health_report,
    incident as incident_report,
};
pub use scales::scales;
pub use secrets::secrets;
pub use story::Story;
pub use tables::{audit, jobs, locked, releases, status};
pub use text::{Style, bytes, clean, duration};
pub use watch::{alike, screen, watched};
