//! What a deploy needs, checked: facts come in, findings go out.
//!
//! **Invariants**: no I/O here, so that each judgement is a table in a test. Every finding that is not ok says what to do.

mod app;
mod clock;
mod laptop;
mod network;
mod server;
#[cfg(test)]
mod tests;

pub use clock::Clocks;
pub use laptop::{configuration, git};
pub use network::{here, network};
pub use server::server;
pub(crate) use server::{OLDEST_API, OLDEST_COMPOSE, version};

use serde::Serialize;
use wharf_proto::Failure;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// A deploy goes through; something should be done all the same.
    Warning,
    Failed,
}

/// One check, and how it came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked, in a word or two: scripts may look for it.
    pub check: &'static str,
    pub level: Level,
    pub text: String,
    /// What to do, where it is not ok: each an instruction.
    pub remedy: Vec<String>,
}

impl Finding {
    pub fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, text: text.into(), remedy: Vec::new() }
    }

    pub fn warning(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, text: text.into(), remedy: vec![remedy.into()] }
    }

    pub fn failed(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, level: Level::Failed, text: text.into(), remedy: vec![remedy.into()] }
    }

    /// A check that failed as `failure` says.
    pub fn of_failure(check: &'static str, failure: &Failure) -> Self {
        let mut text = failure.message.clone();
        failure.causes.iter().for_each(|cause| text += &format!("; {cause}"));
        Self { check, level: Level::Failed, text, remedy: failure.hints.clone() }
    }
}
