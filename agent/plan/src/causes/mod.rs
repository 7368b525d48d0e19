//! Why something failed, where that is well known: symptom, cause, remedy.
//!
//! **Invariants**
//! - A cause is named only where the facts show it. What cannot be told is not guessed.
//! - What is said quotes names (services, ports, paths of the project, keys), never a line of a log and never a value.
//! - Every row of [`TABLE`] stands in `docs/TROUBLESHOOTING.md`, word for word.

mod missing;
mod table;
#[cfg(test)]
mod tests;
mod web;

use crate::facts::ContainerFacts;
pub use table::{KnownCause, TABLE};

/// What was seen of a failure.
#[derive(Debug, Default)]
pub struct Evidence {
    /// What the failure says, and the last lines of what its step ran.
    pub told: Vec<String>,
    /// What containers wrote, by service.
    pub logs: Vec<(String, String)>,
    /// The containers that the job has to answer for.
    pub containers: Vec<ContainerFacts>,
    /// Keys of the env file whose values are passwords with characters that break URLs.
    pub odd_passwords: Vec<String>,
    /// The files of the release, by their paths in the project.
    pub shipped: Vec<String>,
    /// Pages that did not answer as they should.
    pub pages: Vec<Page>,
}

/// A page that did not answer as it should, and what was asked beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub url: String,
    pub wanted: u16,
    pub status: u16,
    /// Where the answer sends the browser.
    pub location: Option<String>,
    /// The same address with a slash more or less at its end, and what that answers.
    pub twin: Option<(String, u16)>,
    /// What the site's start page answers.
    pub start_page: Option<u16>,
    /// The service whose nginx answered, where its configuration was read and has no `try_files`.
    pub nginx_without_try_files: Option<String>,
}

/// A cause that the facts show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub known: &'static KnownCause,
    /// The cause in this case: a sentence without a full stop.
    pub cause: String,
    /// What to do in this case: an instruction.
    pub remedy: String,
}

/// Every known cause that the evidence shows, in the table's order.
pub fn causes(evidence: &Evidence) -> Vec<Found> {
    let found = |known: &'static KnownCause| {
        let (cause, remedy) = (known.matches)(evidence)?;
        Some(Found { known, cause, remedy })
    };
    TABLE.iter().filter_map(found).collect()
}

impl Evidence {
    /// Everything that was written, by whomever.
    fn lines(&self) -> impl Iterator<Item = &str> {
        self.told.iter().map(String::as_str).chain(self.logs.iter().map(|(_, line)| line.as_str()))
    }

    /// Whether one of the texts is in what was written, whatever its case.
    fn says(&self, texts: &[&str]) -> bool {
        self.lines().any(|line| {
            let line = line.to_lowercase();
            texts.iter().any(|text| line.contains(text))
        })
    }
}
