//! What the doctor found.

use super::{Style, clean};
use crate::doctor::{Finding, Level};

/// A line a check, and below each that is not ok what to do.
pub fn findings(findings: &[Finding], style: &Style) -> String {
    let width = findings.iter().map(|finding| finding.check.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for Finding { check, level, text, remedy } in findings {
        let level = match level {
            Level::Ok => style.green("ok     "),
            Level::Warning => style.yellow("warning"),
            Level::Failed => style.red("failed "),
        };
        let text: Vec<String> = text.lines().map(clean).collect();
        out += &format!("{level}  {check:<width$}  {}\n", text.join(" "));
        for remedy in remedy {
            out += &format!("{:9}{:width$}  -> {}\n", "", "", clean(remedy));
        }
    }
    out
}

/// How many of each, in a line.
pub fn findings_summary(findings: &[Finding]) -> String {
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let warnings = match count(Level::Warning) {
        1 => "1 warning".to_owned(),
        count => format!("{count} warnings"),
    };
    format!("{} ok, {warnings}, {} failed", count(Level::Ok), count(Level::Failed))
}
