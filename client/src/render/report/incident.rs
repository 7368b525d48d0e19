//! An incident: what is known of it, and headings for people to fill in.

use super::markdown::{facts, list, or_none, table, text};
use super::{as_of, containers, live};
use crate::render::{ErrorLines, Style, tables};
use jiff::Timestamp;
use wharf_proto::release::{AppStatus, AuditEntry, JobInfo};

pub struct IncidentFacts<'a> {
    pub since: Timestamp,
    pub at: Timestamp,
    pub app: &'a AppStatus,
    /// Those that began or ended since, in any order.
    pub jobs: &'a [JobInfo],
    /// Entries since, in any order; or why the audit is not told.
    pub audit: Result<&'a [AuditEntry], String>,
    /// Whether there are older jobs or entries, within the time, than could be asked for.
    pub cut: bool,
    pub errors: Result<ErrorLines, String>,
}

pub fn incident(facts_: &IncidentFacts<'_>, style: &Style) -> String {
    let IncidentFacts { since, at, app, .. } = facts_;
    let mut out = format!("# Incident: {}\n\n", text(app.app.as_str()));
    out += &format!(
        "Facts from {} to {}. What stands in _italics_ is for a person to fill in.\n\n",
        style.time(*since),
        as_of(*at, style)
    );
    out += &facts(&[("App", app.app.to_string()), ("Live now", live(app, style))]);
    out += "- **Began**: _when_\n- **Noticed**: _when, by whom, how_\n- **Over**: _when_\n";
    out += "\n## Summary\n\n_What happened, in two sentences._\n";
    out += "\n## Impact\n\n_Who noticed what, for how long; which data, if any, is lost or wrong._\n";
    out += &format!("\n## Timeline\n\n{}", timeline(facts_, style));
    out += &format!("\n## Error lines in the logs\n\n{}", error_lines(facts_));
    out += &format!("\n## How it is now\n\n{}\n", containers(app));
    out += &format!("Warnings:\n\n{}", or_none(list(app.warnings.iter().map(String::as_str))));
    out += "\n## Root cause\n\n_Why it happened, and why it was not noticed before._\n";
    out + "\n## Follow-ups\n\n- [ ] _what, who, until when_\n"
}

fn timeline(facts: &IncidentFacts<'_>, style: &Style) -> String {
    let mut rows: Vec<(Timestamp, Vec<String>)> = match &facts.audit {
        // It tells of jobs, too: when they began and how they ended.
        Ok(audit) => audit.iter().map(|entry| entry_row(entry, style)).collect(),
        Err(_) => facts.jobs.iter().flat_map(|job| job_rows(job, style)).collect(),
    };
    rows.retain(|(at, _)| *at >= facts.since && *at <= facts.at);
    rows.sort_by_key(|(at, _)| *at);
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(_, row)| row).collect();
    let mut out = or_none(table(&["When", "What", "By", "Outcome"], &rows));
    if let Err(why) = &facts.audit {
        out += &format!("\nThe audit could not be read, so only jobs are told: {}.\n", text(why));
    }
    if facts.cut {
        out += "\nThere was more than could be asked for: the oldest part is missing.\n";
    }
    out
}

fn entry_row(entry: &AuditEntry, style: &Style) -> (Timestamp, Vec<String>) {
    (entry.at, vec![style.time(entry.at), entry.action.clone(), entry.by.clone(), entry.outcome.clone()])
}

fn job_rows(job: &JobInfo, style: &Style) -> Vec<(Timestamp, Vec<String>)> {
    let row = |at, outcome| (at, vec![style.time(at), tables::job_kind(&job.kind), job.by.clone(), outcome]);
    let mut rows = vec![row(job.started, format!("job {} started", job.job))];
    if let (Some(at), Some(outcome)) = (job.finished, &job.outcome) {
        rows.push(row(at, tables::outcome(outcome)));
    }
    rows
}

fn error_lines(facts: &IncidentFacts<'_>) -> String {
    let errors = match &facts.errors {
        Ok(errors) => errors,
        Err(why) => return format!("The logs could not be read: {}.\n", text(why)),
    };
    let services = facts.app.containers.iter().map(|container| container.service.clone());
    let mut counts: std::collections::BTreeMap<String, u64> =
        errors.counts.iter().map(|((_, service), count)| (service.clone(), *count)).collect();
    for service in services {
        counts.entry(service).or_default();
    }
    let rows: Vec<Vec<String>> =
        counts.iter().map(|(service, count)| vec![service.clone(), count.to_string()]).collect();
    let mut out = or_none(table(&["Service", "Lines"], &rows));
    if errors.more {
        out += "\nCounting ended here: there are more.\n";
    }
    let since = facts.since;
    out + &format!(
        "\nCounted in the logs of the containers that are there now. To read them: `wharf logs -n all --since {since} --grep '{}'`\n",
        errors.pattern
    )
}
