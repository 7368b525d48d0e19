//! How many lines of the logs look like errors, as a table.

use super::{Style, table::table};
use std::collections::BTreeMap;
use wharf_proto::AppName;

/// Lines of the logs that look like errors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorLines {
    /// By app, where those of several were looked at, and service.
    pub counts: BTreeMap<(Option<AppName>, String), u64>,
    /// What was looked for.
    pub pattern: String,
    /// Counting was ended: there are more.
    pub more: bool,
}

/// By app and service.
pub fn error_lines(errors: &ErrorLines, style: &Style) -> String {
    let row = |((app, service), count): (&(Option<AppName>, String), &u64)| {
        let whose = app.as_ref().map_or_else(|| service.clone(), |app| format!("{app}/{service}"));
        vec![whose, count.to_string()]
    };
    let rows: Vec<Vec<String>> = errors.counts.iter().map(row).collect();
    table(&["SERVICE", "ERROR LINES"], &rows, style)
}
