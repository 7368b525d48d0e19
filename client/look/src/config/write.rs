//! A new `wharf.toml`.

use super::{Answers, mongo, parts};
use crate::Findings;

/// The text of a `wharf.toml` for what was found.
pub fn write(findings: &Findings, answers: &Answers) -> String {
    let mut sections = vec![
        "# How Wharf ships this project. Every key: docs/CONFIGURATION.md of Wharf's.\n\
         # `wharf init` wrote it from what it found, and changes nothing in it any more.\n"
            .to_owned(),
        format!("app = {}\n", parts::quoted(answers.app(findings))),
        parts::server(findings, answers),
        parts::compose(findings),
    ];
    sections.extend(findings.front_ends.iter().map(parts::front_end));
    sections.extend(findings.databases.iter().map(parts::database));
    sections.extend(findings.databases.iter().map(mongo::section));
    sections.extend(findings.health.iter().map(parts::health));
    if !findings.required.is_empty() || !findings.plain.is_empty() {
        sections.push(parts::secrets(findings));
    }
    sections.push(parts::checks(findings));
    sections.push(parts::remarks(findings));
    sections.retain(|section| !section.is_empty());
    sections.join("\n")
}
