//! What the project's command counts.
//!
//! No other connection shares the moment that a dump is of, so tables are counted before it and after it. Where both agree the
//! dump is taken to have that very number; where they do not, one between them.

use crate::exec::Program;
use crate::instance::Instance;
use crate::line::Outbox;
use crate::{BackupError, DumpReport, TableRows};
use bollard::Docker;
use std::collections::BTreeMap;
use std::time::Duration;
use wharf_proto::spec::DumpSpec;

/// The most that is counted at once.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;
const TABLES: usize = 20_000;
/// The longest name of a table.
const NAME_BYTES: usize = 512;
/// How long counting may take without a word.
const COUNTS_WITHIN: Duration = Duration::from_secs(1800);
/// How many tables are told.
const TOLD: usize = 5;

/// What was counted before a dump, by commands that count once more after it.
pub(crate) struct Counting {
    pub(crate) spec: DumpSpec,
    before: Vec<TableRows>,
}

impl Counting {
    /// Counts before the dump.
    pub(crate) async fn begin(docker: &Docker, at: &Instance, spec: DumpSpec) -> Result<Self, BackupError> {
        let before = count(docker, at, &spec).await.map_err(|(exit, text)| failed(at, &spec, exit, &text))?;
        Ok(Self { spec, before })
    }

    /// Counts after the dump: what it has of each table, or between which numbers that is.
    pub(crate) async fn rows(self, docker: &Docker, at: &Instance) -> Result<Vec<TableRows>, BackupError> {
        let after = count(docker, at, &self.spec).await;
        let after = after.map_err(|(exit, text)| failed(at, &self.spec, exit, &text))?;
        Ok(between(self.before, after))
    }
}

fn failed(at: &Instance, spec: &DumpSpec, exit: Option<i64>, text: &str) -> BackupError {
    let program = spec.count.first().map_or("", String::as_str);
    at.failed(&format!("its count ({program})"), exit, text)
}

/// What there is now; nothing where there is no command that counts. Else why it is not known, with the exit code.
pub(super) async fn count(
    docker: &Docker,
    at: &Instance,
    spec: &DumpSpec,
) -> Result<Vec<TableRows>, (Option<i64>, String)> {
    if spec.count.is_empty() {
        return Ok(Vec::new());
    }
    let arguments: Vec<&str> = spec.count.iter().map(String::as_str).collect();
    let program =
        Program { container: &at.container, arguments: &arguments, environment: Vec::new(), input: true };
    let ended = program.answer(docker, b"", ANSWER_BYTES, COUNTS_WITHIN).await.map_err(|why| (None, why))?;
    match ended.exit {
        Some(0) => counts(&ended.stdout).map_err(|why| (ended.exit, why)),
        exit => Err((exit, ended.said())),
    }
}

/// Reads lines of `NAME COUNT`. A name may have spaces in it: the number is the last word. What is wrong is told by the line's
/// number: its text may be an error that a program wrote there, with a password in it.
///
/// # Errors
/// What is wrong with a line, in words.
pub fn counts(answer: &[u8]) -> Result<Vec<TableRows>, String> {
    let text = std::str::from_utf8(answer).map_err(|_| "what it counted is not UTF-8".to_owned())?;
    let mut tables = BTreeMap::new();
    let lines = text.lines().zip(1..).map(|(line, number)| (line.trim(), number));
    for (line, number) in lines.filter(|(line, _)| !line.is_empty()) {
        let (name, digits) = line.rsplit_once(char::is_whitespace).unwrap_or((line, ""));
        let (name, rows) = (name.trim_end(), digits.parse::<u64>());
        let Ok(rows) = rows else {
            return Err(format!("it wrote something else in line {number}, where NAME COUNT is awaited"));
        };
        if name.len() > NAME_BYTES || name.chars().any(char::is_control) {
            return Err(format!("it wrote no name of a table in line {number}"));
        }
        if tables.insert(name.to_owned(), rows).is_some() {
            return Err(format!("it counted a table twice, again in line {number}"));
        }
        if tables.len() > TABLES {
            return Err(format!("it counted more than {TABLES} tables"));
        }
    }
    Ok(tables.into_iter().map(|(table, rows)| TableRows::new(table, rows)).collect())
}

/// Two counts as one. A table that only one of them has may or may not be in the dump: it had none, or so many.
fn between(before: Vec<TableRows>, after: Vec<TableRows>) -> Vec<TableRows> {
    let mut after: BTreeMap<String, u64> = after.into_iter().map(|one| (one.table, one.rows)).collect();
    let mut both: Vec<TableRows> = before
        .into_iter()
        .map(|one| {
            let then = after.remove(&one.table).unwrap_or(0);
            let (least, most) = (one.rows.min(then), one.rows.max(then));
            TableRows { up_to: (least < most).then_some(most), ..TableRows::new(one.table, least) }
        })
        .collect();
    both.extend(
        after
            .into_iter()
            .map(|(table, rows)| TableRows { up_to: (rows > 0).then_some(rows), ..TableRows::new(table, 0) }),
    );
    both.sort_by(|a, b| a.table.cmp(&b.table));
    both
}

/// Nobody is to take a count for one of the dump's own moment where it is none.
pub(crate) fn tell_of_writers(report: &DumpReport, outbox: &Outbox) {
    let changed: Vec<&str> = report
        .tables
        .iter()
        .filter(|table| table.up_to.is_some())
        .map(|table| table.table.as_str())
        .collect();
    if changed.is_empty() {
        return;
    }
    let more = changed.len().saturating_sub(TOLD);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let told = changed.iter().take(TOLD).copied().collect::<Vec<_>>().join(", ");
    outbox.note(format!(
        "{}: {told}{more} changed while it was dumped, so a drill takes any number between the counts before and after",
        report.label
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(all: &[(&str, u64)]) -> Vec<TableRows> {
        all.iter().map(|&(table, rows)| TableRows::new(table, rows)).collect()
    }

    #[test]
    fn a_line_is_a_name_and_a_number() {
        let read = counts(b"shop.items 2\n\n  my table \t 10\r\nempty 0\n").unwrap();
        assert_eq!(read, tables(&[("empty", 0), ("my table", 10), ("shop.items", 2)]));
        assert_eq!(counts(b"").unwrap(), []);
        for (wrong, why) in [
            (&b"items\n"[..], "NAME COUNT"),
            (b"items -1\n", "NAME COUNT"),
            (b"items 1.5\n", "NAME COUNT"),
            (b"12\n", "NAME COUNT"),
            (b"items 1\nitems 2\n", "twice"),
            (b"it\x1bems 1\n", "no name"),
            (b"\xff 1\n", "UTF-8"),
        ] {
            let said = counts(wrong).unwrap_err();
            assert!(said.contains(why), "{wrong:?}: {said}");
        }
        let said = counts(b"items 1\n\ncould not connect to db://root:hunter2@host\n").unwrap_err();
        assert!(said.contains("line 3") && !said.contains("hunter2"), "{said}");
    }

    #[test]
    fn two_counts_are_exact_where_they_agree() {
        let before = tables(&[("falls", 5), ("gone", 2), ("rises", 1), ("same", 3)]);
        let after = tables(&[("falls", 4), ("made", 7), ("none", 0), ("rises", 9), ("same", 3)]);
        let found: Vec<_> =
            between(before, after).into_iter().map(|one| (one.table, one.rows, one.up_to)).collect();
        let expected = [
            ("falls", 4, Some(5)),
            ("gone", 0, Some(2)),
            ("made", 0, Some(7)),
            ("none", 0, None),
            ("rises", 1, Some(9)),
            ("same", 3, None),
        ];
        assert_eq!(found, expected.map(|(name, least, most)| (name.to_owned(), least, most)));
    }
}
